package main

import (
	"context"
	"sync"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sources/audio"
	"github.com/modewatch/modewatch/sources/load"
	"github.com/modewatch/modewatch/sources/procs"
)

// listening runs the watchers that cost something only while somebody waits for what
// they tell: that a stream ends, that a job is over, that the CPUs rest.
type listening struct {
	ways []way
	log  func(string)

	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
}

// way is one watcher. It hints once as soon as nothing can be missed any more.
type way struct {
	about fsm.Subject
	watch func(context.Context) error
	end   context.CancelFunc // nil while it does not run
}

// to has changes of about hinted at, and of nothing else. It does not wait.
func (l *listening) to(about fsm.Subject) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.ways {
		w := &l.ways[i]
		switch wanted := w.about&about != 0 && !l.closed; {
		case wanted && w.end == nil:
			ctx, end := context.WithCancel(context.Background())
			w.end = end
			l.wg.Go(func() {
				if err := w.watch(ctx); err != nil {
					l.log(err.Error() + "; it is looked at each minute instead")
				}
			})
		case !wanted && w.end != nil:
			w.end()
			w.end = nil
		}
	}
}

// close ends all watchers for good.
func (l *listening) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.to(0)
	l.wg.Wait()
}

// waysOf are the watchers of this machine.
func waysOf(p fsm.Policy, proc *procs.Procs, sound *audio.Source, hint func(fsm.Subject)) []way {
	pressure := load.New("/proc").Load
	rested := func() {
		if l, err := pressure(context.Background()); err != nil || l.CPUSome <= p.Load.CPUSome {
			hint(fsm.AboutLoad)
		}
	}
	starts := &procs.Watcher{Root: "/proc", Names: procs.Interests(p), Hint: hint}
	cpu := &load.Watcher{Root: "/proc", Load: pressure, Percent: p.Load.CPUSome, Hint: rested}
	ways := []way{
		{about: fsm.AboutJobs | fsm.AboutAudio, watch: starts.Watch},
		{about: fsm.AboutLoad, watch: cpu.Watch},
	}
	if sound != nil {
		ways = append(ways, way{about: fsm.AboutAudio, watch: func(ctx context.Context) error {
			servers, err := proc.Servers(ctx)
			if err == nil {
				sound.Watch(ctx, servers, func() { hint(fsm.AboutAudio) })
			}
			return err
		}})
	}
	return ways
}
