package main

import (
	"bufio"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sources/bus/bustest"
)

// wall is what shows notices on the bus of a test.
type wall struct {
	able  []string
	shown chan dbus.Message // the calls of Notify
	gone  chan uint32
}

func (w wall) GetCapabilities() ([]string, *dbus.Error) { return w.able, nil }

func (w wall) CloseNotification(id uint32) *dbus.Error { w.gone <- id; return nil }

func (w wall) Notify(m dbus.Message, _ string, replaces uint32, _, _, _ string, _ []string, _ map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	w.shown <- m
	if replaces == 0 {
		return 7, nil
	}
	return replaces, nil
}

// hang puts it on the bus.
func (w wall) hang(t *testing.T, conn *dbus.Conn) {
	t.Helper()
	if err := conn.Export(w, notifierPath, notifier); err != nil {
		t.Fatal(err)
	}
	if r, err := conn.RequestName(notifier, dbus.NameFlagDoNotQueue); err != nil || r != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(r, err)
	}
}

// next is the notice that is shown next: what it replaces, its texts, its actions.
func (w wall) next(t *testing.T) (replaces uint32, summary, body string, actions []string, hints map[string]dbus.Variant) {
	t.Helper()
	select {
	case m := <-w.shown:
		var app, icon string
		var lasts int32
		if err := dbus.Store(m.Body, &app, &replaces, &icon, &summary, &body, &actions, &hints, &lasts); err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("no notice is shown")
	}
	return
}

func newWall(able ...string) wall {
	return wall{able, make(chan dbus.Message, 16), make(chan uint32, 16)}
}

// pressed presses until there is a command in the spool: who shows a notice may press
// before it is known which one it is.
func (r *rig) pressed(press func() error) spooled {
	r.t.Helper()
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-over:
				return
			case <-time.After(10 * time.Millisecond):
				if err := press(); err != nil {
					r.t.Error(err)
				}
			}
		}
	}()
	q, _ := r.spool()
	close(over)
	<-done
	return q
}

// errors are the lines that a command which goes on writes to standard error.
func (r *rig) errors() <-chan string {
	in, out := io.Pipe()
	r.env.stderr = out
	lines := make(chan string, 64)
	go func() {
		for s := bufio.NewScanner(in); s.Scan(); {
			lines <- s.Text()
		}
	}()
	r.t.Cleanup(func() { out.Close() })
	return lines
}

// A transition is one notice, from its first step to its end, and its button cancels.
func TestNoticesOfATransition(t *testing.T) {
	bus := bustest.New(t)
	bus.Start()
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+bus.Socket)
	w, shower := newWall("body-markup", "actions"), bus.Stranger()
	w.hang(t, shower)
	r := newRig(t, nil)
	lock := r.alive("modewatch.service", resting(atDesk))
	defer lock.Release()
	f := r.follow("notify")
	early := stopping()
	early.Phase = fsm.Before
	r.publish(moving(resting(atDesk), early))
	replaces, summary, body, actions, hints := w.next(t)
	if replaces != 0 || summary != "desktop → compute" || !strings.Contains(body, "step") || !strings.Contains(body, "ends every session") {
		t.Errorf("first is shown %d %q %q", replaces, summary, body)
	}
	if len(actions) != 2 || actions[0] != cancelKey || hints["urgency"].Value() != byte(1) {
		t.Errorf("it has %v and %v", actions, hints)
	}
	press := func() error { return shower.Emit(notifierPath, notifier+".ActionInvoked", uint32(7), cancelKey) }
	if got := r.pressed(press); got.Verb != "cancel" {
		t.Errorf("the daemon is asked for %+v", got)
	}
	r.publish(after(resting(atDesk), attempted(fsm.Blocked, fsm.Desktop, "a < b")))
	if replaces, summary, body, actions, _ = w.next(t); replaces != 7 || !strings.Contains(summary, "is blocked") || body != "a &lt; b" || len(actions) != 0 {
		t.Errorf("at the end is shown %d %q %q %v", replaces, summary, body, actions)
	}
	bus.Stop()
	if code := <-f.code; code != exitError {
		t.Errorf("without a bus it exits with %d", code)
	}
}

// Where nothing shows notices it says so, once, and goes on; it ends without a fault.
func TestNobodyShowsNotices(t *testing.T) {
	bus := bustest.New(t)
	bus.Start()
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+bus.Socket)
	r := newRig(t, nil)
	lock := r.alive("modewatch.service", resting(atDesk))
	defer lock.Release()
	told := r.errors()
	f := r.follow("notify")
	r.publish(moving(resting(atDesk), stopping()))
	if line := <-told; !strings.Contains(line, "no notice can be shown") {
		t.Errorf("it says %q", line)
	}
	w := newWall()
	w.hang(t, bus.Stranger())
	r.publish(after(resting(atDesk), attempted(fsm.Recovered, fsm.Desktop, "a < b")))
	if _, summary, body, actions, _ := w.next(t); !strings.Contains(summary, "taken back") || body != "a < b" || len(actions) != 0 {
		t.Errorf("to who can do nothing more is shown %q %q %v", summary, body, actions)
	}
	r.publish(moving(resting(atDesk), stopping()))
	w.next(t)
	if code := f.stop(); code != 0 {
		t.Errorf("it exits with %d", code)
	}
	if id := <-w.gone; id != 7 {
		t.Errorf("notice %d is taken away", id)
	}
}

// What went wrong stays on the screen until somebody has read it.
func TestTheEndStaysOnTheScreen(t *testing.T) {
	bus := bustest.New(t)
	bus.Start()
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+bus.Socket)
	w := newWall()
	w.hang(t, bus.Stranger())
	r := newRig(t, nil)
	lock := r.alive("modewatch.service", resting(atDesk))
	defer lock.Release()
	f := r.follow("notify")
	r.publish(moving(resting(atDesk), stopping()))
	w.next(t)
	r.publish(after(resting(atDesk), attempted(fsm.Failed, fsm.Desktop, "it broke")))
	if _, _, _, _, hints := w.next(t); hints["urgency"].Value() != byte(2) {
		t.Errorf("it is shown with %v", hints)
	}
	if code := f.stop(); code != 0 || len(w.gone) > 0 {
		t.Errorf("it exits with %d, and %d notices were taken away", code, len(w.gone))
	}
}

// The same trouble is told once.
func TestTroubleWithNoticesIsToldOnce(t *testing.T) {
	bus := bustest.New(t)
	bus.Start()
	r := newRig(t, nil)
	d := &desktop{env: r.env, conn: bus.Stranger()}
	d.show(notice{summary: "one"})
	d.show(notice{summary: "two"})
	if n := strings.Count(r.err.String(), "no notice can be shown"); n != 1 {
		t.Errorf("it is told %d times:\n%s", n, r.err.String())
	}
}

func TestNoNoticesWithoutASession(t *testing.T) {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
	if code, _, err := newRig(t, nil).run("notify"); code != exitError || !strings.Contains(err, "the bus of a session cannot be reached") {
		t.Errorf("it exits with %d and %q", code, err)
	}
}

// What is shown, and what is not.
func TestNoticer(t *testing.T) {
	at := func(s fsm.Snapshot) overview { return overviewOf(view{Snapshot: s, Live: true}, noon) }
	failed := attempted(fsm.Recovered, fsm.Desktop, "it broke")
	failed.Ended = noon.Add(-time.Minute)
	old := failed
	old.Ended = noon.Add(-time.Hour)
	counts := stopping()
	counts.Op = fsm.Op{Verb: fsm.Countdown, Arg: "30s"}
	looks := fsm.Running{ID: "a1", To: fsm.Compute, Doing: "observing", Phase: fsm.Before}
	late := stopping()
	late.Phase = fsm.After
	for name, c := range map[string]struct {
		seen []fsm.Snapshot
		want string
	}{
		"a host at rest":             {[]fsm.Snapshot{resting(atDesk)}, ""},
		"a failure just before":      {[]fsm.Snapshot{after(resting(atDesk), failed)}, "failed and was taken back"},
		"a failure of long ago":      {[]fsm.Snapshot{after(resting(atDesk), old)}, ""},
		"a success before":           {[]fsm.Snapshot{after(resting(atDesk), attempted(fsm.Reached, fsm.Compute, ""))}, ""},
		"what gave way":              {[]fsm.Snapshot{resting(atDesk), after(resting(atDesk), attempted(fsm.Superseded, fsm.Desktop, ""))}, ""},
		"a countdown":                {[]fsm.Snapshot{moving(resting(atDesk), counts)}, ""},
		"beyond the way back":        {[]fsm.Snapshot{moving(resting(atDesk), late)}, "desktop → compute"},
		"the same for a second time": {[]fsm.Snapshot{moving(resting(atDesk), late), moving(resting(atDesk), late)}, ""},
		"one that has not looked":    {[]fsm.Snapshot{moving(resting(atDesk), looks)}, "→ compute"},
	} {
		var n noticer
		var last notice
		for _, s := range c.seen {
			last, _ = n.next(at(s))
		}
		if last.summary == "" != (c.want == "") || !strings.Contains(last.summary, c.want) {
			t.Errorf("of %s is shown %+v", name, last)
		}
	}
	if n, _ := underWay(looks); n.summary != "→ compute" {
		t.Errorf("of one that does not know from where is shown %q", n.summary)
	}
	if n, _ := underWay(late); n.cancel || strings.Contains(n.body, "every session") {
		t.Errorf("beyond the point of no return is shown %+v", n)
	}
}
