package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/engine"
	"github.com/modewatch/modewatch/internal/sim"
	"github.com/modewatch/modewatch/sinks/journal"
	"github.com/modewatch/modewatch/sources/desired"
)

// demoVerb plays scenes with the real engine on a host in memory: nothing of
// this machine is looked at or changed, and no privilege is needed.
func demoVerb(f *pflag.FlagSet) runner {
	pace := f.Duration("pace", 250*time.Millisecond, "`time` that each step takes; 0 for none")
	return func(e env, _ []string) (int, error) {
		d := newDemo(e, *pace)
		defer d.end()
		for _, s := range scenes {
			e.say("\n%s", d.style.strong(s.title))
			if a := d.play(s); a.Outcome != s.want {
				return exitError, fmt.Errorf("the scene %q ended %s: %s", s.title, a.Outcome, a.Cause)
			}
		}
		e.say("\nThat was the engine of the daemon, on a host in memory. `%s help` lists what it does on a real one.", e.prog)
		return 0, nil
	}
}

// scene is one wish on the host as change left it.
type scene struct {
	title  string
	change func(*demo)
	wish   fsm.Mode
	then   fsm.Mode // another wish, shortly after; "" for none
	want   fsm.Outcome
}

// scenes tell what modewatch is for.
var scenes = []scene{
	{"Alice is recording. Somebody wishes for compute.", (*demo).recording, fsm.Compute, "", fsm.Blocked},
	{"She has stopped. The same wish again.", (*demo).silence, fsm.Compute, "", fsm.Reached},
	{"Back to the desk; the display manager comes back.", nil, fsm.Desktop, "", fsm.Reached},
	{"She logs in and makes the desk a studio.", (*demo).login, fsm.StudioLocal, "", fsm.Reached},
	{"Compute again, but a process keeps the GPU when her session ends.", (*demo).holder, fsm.Compute, "", fsm.Recovered},
	{"It is gone, she is back. Compute, and at once another wish: desktop.", (*demo).comeBack, fsm.Compute, fsm.Desktop, fsm.Reached},
}

// demo is the engine on its simulated host.
type demo struct {
	e      env
	style  style
	out    io.Writer
	policy fsm.Policy
	host   *sim.Host
	eng    *engine.Engine
	stop   context.CancelFunc
	over   chan struct{}

	mu    sync.Mutex
	ended map[string]fsm.Attempt
	news  chan struct{}
}

func newDemo(e env, pace time.Duration) *demo {
	p := sim.Policy()
	p.Deadlines.GPURelease = 4 * max(pace, 10*time.Millisecond)
	d := &demo{e: e, style: e.styles(), out: e.stdout, policy: p, host: sim.Desk(p), over: make(chan struct{}),
		ended: map[string]fsm.Attempt{}, news: make(chan struct{}, 1)}
	for _, v := range []fsm.Verb{fsm.MaskNow, fsm.UnmaskNow, fsm.EndSession, fsm.StopAudio, fsm.Isolate, fsm.Start, fsm.Stop} {
		d.host.Takes(v, pace)
	}
	d.eng = engine.New(engine.Options{Policy: p, Host: d.host, Recorder: d, Boot: "demo", NewID: desired.NewID,
		Wish: &fsm.Wish{ID: "demo", Mode: fsm.Desktop, Reason: fsm.ByBoot}, Ended: d.note})
	d.host.Hint = d.eng.Hint
	var ctx context.Context
	ctx, d.stop = context.WithCancel(context.Background())
	go func() { defer close(d.over); _ = d.eng.Run(ctx) }()
	return d
}

func (d *demo) end() { d.stop(); <-d.over }

// Publish, Record and Ahead make the demo the engine's recorder: the story goes
// to standard output, in the journal's own words.
func (d *demo) Publish(fsm.Snapshot) {}

func (d *demo) Record(r fsm.Record) {
	if !d.e.quiet {
		fmt.Fprintln(d.out, "  "+d.style.dim(time.Now().Format("15:04:05.000"))+"  "+journal.Text(r))
	}
}

func (d *demo) Ahead(*fsm.Intent) error { return nil }

func (d *demo) note(a fsm.Attempt) {
	d.mu.Lock()
	d.ended[a.Wish.ID] = a
	d.mu.Unlock()
	select {
	case d.news <- struct{}{}:
	default:
	}
}

// play sets the scene, wishes, and returns how the last wish ended.
func (d *demo) play(s scene) fsm.Attempt {
	if s.change != nil {
		s.change(d)
	}
	id := d.ask(s.wish)
	if s.then != "" {
		time.Sleep(20 * time.Millisecond)
		id = d.ask(s.then)
	}
	for {
		d.mu.Lock()
		a, ok := d.ended[id]
		d.mu.Unlock()
		if ok {
			return a
		}
		<-d.news
	}
}

func (d *demo) ask(m fsm.Mode) string {
	w := fsm.Wish{ID: desired.NewID(), Mode: m, Reason: fsm.ByRequest, By: fsm.Caller{UID: 1000}, At: time.Now()}
	d.eng.Submit(w)
	return w.ID
}

func (d *demo) recording() {
	d.host.Change(func(f *fsm.Facts, _ *fsm.Logins, _ map[string]fsm.Unit) {
		f.Audio.Value.Users = []fsm.AudioUse{{PID: 812, UID: 1000, Comm: "reaper", How: "configured process"}}
	})
}

func (d *demo) silence() {
	d.host.Change(func(f *fsm.Facts, _ *fsm.Logins, _ map[string]fsm.Unit) { f.Audio.Value.Users = nil })
}

func (d *demo) login() { d.host.Login("alice", 1000) }

func (d *demo) holder() {
	d.host.Break(sim.Fault{Op: fsm.Op{Verb: fsm.EndSession}, Kind: sim.KeepsHolder})
}

func (d *demo) comeBack() {
	d.host.Change(func(f *fsm.Facts, _ *fsm.Logins, _ map[string]fsm.Unit) { f.GPU.Value.Holders = nil })
	d.login()
}
