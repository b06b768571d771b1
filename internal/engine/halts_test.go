package engine

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/sim"
)

// disk is a recorder on which something happens before the intent is written.
type disk struct {
	*tape
	ahead func(*fsm.Intent)
}

func (d *disk) Ahead(i *fsm.Intent) error {
	if i != nil && d.ahead != nil {
		d.ahead(i)
	}
	return d.tape.Ahead(i)
}

// A cancel that comes before the irreversible step is done keeps it from being
// done, however late.
func TestACancelRightBeforeThePointOfNoReturn(t *testing.T) {
	for _, during := range []string{"judging", "write-ahead"} {
		t.Run(during, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, d := &hooked{Host: sim.Desk(policy())}, &disk{}
				r := start(t, h.Host, func(o *Options) { d.tape = o.Recorder.(*tape); o.Host, o.Recorder = h, d })
				r.hook(fsm.Compute)
				cancel := func() { r.eng.Cancel(fsm.NoCaller); time.Sleep(time.Second) }
				if during == "judging" {
					h.after = once(func() bool { return r.doing("judging", fsm.EndSession) }, cancel)
				} else {
					d.ahead = func(i *fsm.Intent) {
						if i.NoReturn {
							cancel()
						}
					}
				}
				a := r.want(fsm.Compute, fsm.Cancelled)
				if len(r.host.Done()) != 1 || a.Exit != 42 || r.tape.intent != nil {
					t.Errorf("the host did %v; exit %d, left %v", r.host.Done(), a.Exit, r.tape.intent)
				}
			})
		})
	}
}

func TestTheWholeAttemptIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := in(t, fsm.Compute, func(o *Options) { o.Policy.Overall = 5 * time.Second })
		r.host.Takes(fsm.Isolate, 20*time.Second)
		began := time.Now()
		a := r.ask(fsm.Desktop)
		if a.Halt != fsm.HaltTimeout || a.Exit != 44 || !strings.Contains(a.Cause, "longer than 5s") || !strings.Contains(a.Cause, "isolate") {
			t.Errorf("halted by %q with %s (%d): %s", a.Halt, a.Outcome, a.Exit, a.Cause)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// falling starts a host whose shutdown is announced by the returned function.
func falling(t *testing.T, from fsm.Mode) (*rig, func()) {
	t.Helper()
	var going atomic.Bool
	r := in(t, from, func(o *Options) { o.Going = going.Load })
	return r, func() { going.Store(true); r.eng.GoingDown() }
}

func (r *rig) noUndo() {
	r.t.Helper()
	if strings.Contains(r.tape.text(), "undo=true") {
		r.t.Errorf("something was taken back\n%s", r.tape.text())
	}
}

func TestNothingIsTakenBackOnAShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, fall := falling(t, fsm.Compute)
		r.host.Takes(fsm.Isolate, 10*time.Second)
		w, next := wish(fsm.Desktop), wish(fsm.StudioLocal)
		r.eng.Submit(w)
		time.Sleep(time.Second)
		fall()
		r.eng.Submit(next)
		r.answered(w.ID, next.ID)
		for _, id := range []string{w.ID, next.ID} {
			if a := r.wait(id); a.Outcome != fsm.Interrupted || !strings.Contains(a.Cause, "goes down") {
				t.Errorf("ended %s: %s", a.Outcome, a.Cause)
			}
		}
		r.noUndo()
		if r.tape.intent != nil {
			t.Errorf("it is told already, and %+v is left", r.tape.intent)
		}
	})
}

// The wish that waits for the running attempt is not begun on a host that goes down.
func TestAShutdownBeginsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, fall := falling(t, fsm.Desktop)
		r.host.Takes(fsm.EndSession, 8*time.Second)
		w, next := wish(fsm.Compute), wish(fsm.Desktop)
		r.eng.Submit(w)
		time.Sleep(time.Second)
		r.eng.Submit(next)
		synctest.Wait()
		fall()
		r.answered(w.ID, next.ID)
		time.Sleep(time.Minute)
		if n := len(r.host.Done()); n != 1 {
			t.Errorf("the host did %v", r.host.Done())
		}
		if a := r.wait(next.ID); a.Outcome != fsm.Interrupted {
			t.Errorf("the wish that waited ended %s", a.Outcome)
		}
	})
}

// A step that fails because the host goes down is not taken back, whichever is
// told first.
func TestAStepThatFailsInAShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h, going := fallible(t)
		r.host.Break(sim.Fault{Op: fsm.Op{Verb: fsm.Isolate}, Kind: sim.Fails})
		h.after = once(func() bool { return r.doing("judging", fsm.Isolate) }, func() { going.Store(true) })
		a := r.ask(fsm.Desktop)
		r.noUndo()
		if a.Outcome != fsm.Interrupted || !strings.Contains(a.Cause, "simulated fault") {
			t.Errorf("ended %s: %s", a.Outcome, a.Cause)
		}
	})
}

// Nor is the rest of a walk back that is under way.
func TestAWalkBackThatAShutdownEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, h, going := fallible(t)
		marker := fsm.Op{Verb: fsm.Start, Arg: policy().Units.StudioPolicy}
		r.host.Break(sim.Fault{Op: marker, Kind: sim.Fails})
		before := len(r.host.Done())
		h.after = once(func() bool { return r.doing("undo", fsm.Isolate) }, func() { going.Store(true) })
		a := r.ask(fsm.StudioLocal)
		for _, op := range r.host.Done()[before:] {
			if op.Verb == fsm.Start {
				t.Errorf("the host did %v", op)
			}
		}
		if a.Outcome != fsm.Interrupted || r.tape.intent == nil || !r.tape.intent.Undoing {
			t.Errorf("ended %s: %s; left %+v", a.Outcome, a.Cause, r.tape.intent)
		}
	})
}

// Nor is the wish that waits begun before the engine is told.
func TestAShutdownThatIsToldLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var going atomic.Bool
		r := in(t, fsm.Desktop, func(o *Options) { o.Going = going.Load })
		r.host.Takes(fsm.EndSession, 8*time.Second)
		w, next := wish(fsm.Compute), wish(fsm.Desktop)
		r.eng.Submit(w)
		time.Sleep(time.Second)
		r.eng.Submit(next)
		synctest.Wait()
		going.Store(true)
		r.answered(w.ID)
		time.Sleep(time.Minute)
		r.eng.GoingDown()
		r.answered(next.ID)
		if a := r.wait(next.ID); a.Outcome != fsm.Interrupted {
			t.Errorf("the wish that waited ended %s", a.Outcome)
		}
	})
}

// fallible starts a host in compute that can be made to go down in mid-step,
// before the engine is told.
func fallible(t *testing.T) (*rig, *hooked, *atomic.Bool) {
	t.Helper()
	var going atomic.Bool
	h := &hooked{Host: sim.Desk(policy())}
	r := start(t, h.Host, func(o *Options) { o.Host, o.Going = h, going.Load })
	r.want(fsm.Compute, fsm.Reached)
	synctest.Wait()
	return r, h, &going
}

// A cancel past the point of no return is heard before the next step.
func TestACancelWhileTheIsolateIsJudged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hooked{Host: sim.Desk(policy())}
		r := start(t, h.Host, func(o *Options) { o.Host = h })
		h.after = once(func() bool { return r.doing("judging", fsm.Isolate) }, func() {
			r.eng.Cancel(fsm.NoCaller)
			time.Sleep(time.Second)
		})
		r.want(fsm.Compute, fsm.Cancelled)
		if did(r.host, fsm.Isolate) || !did(r.host, fsm.EndSession) {
			t.Errorf("the host did %v", r.host.Done())
		}
	})
}

// A stop past the point of no return leaves the rest to the next start, also
// when another wish had come before it.
func TestAStopPastThePointOfNoReturn(t *testing.T) {
	for _, superseded := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, mannedDesk(), nil)
			r.host.Takes(fsm.EndSession, 3*time.Second)
			w, next := wish(fsm.Compute), wish(fsm.Desktop)
			r.eng.Submit(w)
			time.Sleep(time.Second)
			want, stands := fsm.Compute, w
			if superseded {
				want, stands = fsm.Desktop, next
				r.eng.Submit(next)
				synctest.Wait()
			}
			r.close()
			r.answered(w.ID)
			if superseded {
				r.answered(next.ID)
			}
			left := r.tape.intent
			if left == nil {
				t.Fatalf("nothing is left for the next start\n%s", r.tape.text())
			}
			again := start(t, r.host.Clone(), func(o *Options) { o.Wish, o.Intent, o.Last = &stands, left, r.eng.Snapshot().Last })
			time.Sleep(time.Minute)
			again.state(fsm.Resting(want))
			if u := again.units()[displayManager]; want == fsm.Desktop && u.Load != "loaded" {
				t.Errorf("the login is held back\n%s", again.tape.text())
			}
			if !superseded && strings.Contains(again.tape.text(), string(fsm.Interrupted)) {
				t.Errorf("the interruption is told twice\n%s", again.tape.text())
			}
		})
	}
}

const displayManager = "display-manager.service"

// mannedDesk is a desk with a display manager that runs.
func mannedDesk() *sim.Host {
	h := sim.Desk(policy())
	h.Change(func(_ *fsm.Facts, _ *fsm.Logins, units map[string]fsm.Unit) {
		u := units[displayManager]
		u.Active = "active"
		units[displayManager] = u
	})
	return h
}

// The plan was judged right before its first step: it is not judged again for that,
// but is for the next that cannot be taken back, and for what leads into compute.
func TestTheFirstStepIsJudgedOnce(t *testing.T) {
	for hook, want := range map[bool]int32{false: 3, true: 4} { // the plan, isolate and start; and end-session
		synctest.Test(t, func(t *testing.T) {
			h := &hooked{Host: sim.Desk(policy())}
			r := start(t, h.Host, func(o *Options) { o.Host = h })
			if hook {
				r.hook(fsm.Compute)
			}
			synctest.Wait()
			var judged atomic.Int32
			h.before = func(q fsm.Query) {
				if q.About&fsm.AboutAudio != 0 {
					judged.Add(1)
				}
			}
			r.want(fsm.Compute, fsm.Reached)
			if judged.Load() != want {
				t.Errorf("with a hook %v: judged %d times, want %d", hook, judged.Load(), want)
			}
		})
	}
}
