package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/sim"
)

// The outcome is that of the last look also where nothing was done but to wait: the
// host may have changed meanwhile (D6).
func TestAWaitThatIsRefusedEndsInWhatIsObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := in(t, fsm.Compute, func(o *Options) { o.Policy.Inference.OnTimeout = fsm.DrainBlock })
		r.host.Change(func(f *fsm.Facts, _ *fsm.Logins, _ map[string]fsm.Unit) {
			f.Inference.Value = []fsm.Inference{{Unit: "vllm@compute.service", Ready: true, Known: true, Running: 1}}
		})
		w := wish(fsm.Desktop)
		r.eng.Submit(w)
		time.Sleep(time.Second)
		r.host.SetUnit("studio-local-policy.service", "active")
		if a := r.wait(w.ID); a.Outcome != fsm.Blocked || a.Final != fsm.StudioLocal {
			t.Errorf("ended %s in %s\n%s", a.Outcome, a.Final, r.tape.text())
		}
		r.state(fsm.AtStudioLocal)
	})
}

// What the plan was judged by is as old as the oldest of its looks: where one of them
// takes long, the first step is judged again (D8).
func TestALookThatTakesLongMakesTheOthersOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hooked{Host: sim.Desk(policy())}
		r := start(t, h.Host, func(o *Options) { o.Host = h })
		slow, used := true, false
		h.before = func(q fsm.Query) {
			if q.About&fsm.AboutInhibitors != 0 && slow {
				slow = false
				time.Sleep(time.Second)
				h.Change(func(f *fsm.Facts, _ *fsm.Logins, _ map[string]fsm.Unit) {
					f.Audio.Value.Users, used = []fsm.AudioUse{{PID: 7, Comm: "reaper"}}, true
				})
			}
		}
		if a := r.want(fsm.Compute, fsm.Blocked); !used || a.Exit != 10 || len(h.Done()) != 0 {
			t.Errorf("exit %d, the host did %v\n%s", a.Exit, h.Done(), r.tape.text())
		}
	})
}

// An attempt that was left half way for a wish that then is cancelled is not left so.
func TestAWishThatIsCancelledLeavesNothingHalfWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, mannedDesk(), nil)
		r.host.Takes(fsm.EndSession, 3*time.Second)
		w, next := wish(fsm.Compute), wish(fsm.Desktop)
		r.eng.Submit(w)
		time.Sleep(time.Second)
		r.eng.Submit(next)
		r.eng.Cancel(fsm.NoCaller)
		r.answered(w.ID, next.ID)
		time.Sleep(time.Minute)
		r.state(fsm.AtDesktop)
		if u := r.units()[displayManager]; u.Load != "loaded" || !u.Is(true) || r.tape.intent != nil {
			t.Errorf("the login is held back: %+v; left %v\n%s", u, r.tape.intent, r.tape.text())
		}
	})
}

// A step that was written ahead and then not begun is not taken back: it would undo
// what was so before.
func TestAStepThatWasNotBegunIsNotTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := sim.Desk(policy())
		host.Change(func(_ *fsm.Facts, _ *fsm.Logins, units map[string]fsm.Unit) {
			u := units[displayManager]
			u.Load, u.Runtime = "masked", true
			units[displayManager] = u
		})
		d := &disk{}
		r := start(t, host, func(o *Options) { d.tape = o.Recorder.(*tape); o.Recorder = d })
		d.ahead = func(*fsm.Intent) { r.eng.Cancel(fsm.NoCaller); time.Sleep(time.Second) }
		r.want(fsm.Compute, fsm.Cancelled)
		if len(host.Done()) != 0 || r.tape.intent != nil {
			t.Errorf("the host did %v; left %v", host.Done(), r.tape.intent)
		}
	})
}
