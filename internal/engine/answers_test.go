package engine

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/sim"
)

// A wish is on disk as handled before the engine sees it: what comes in the very
// moment of a reload acts in the next engine, and once.
func TestAWishThatMeetsAReload(t *testing.T) {
	for after := range 12 {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, sim.Desk(policy()), nil)
			var ids []string
			for i := range 12 {
				if i == after {
					r.eng.Finish()
				}
				w := wish(fsm.Modes[i%3])
				ids = append(ids, w.ID)
				r.eng.Submit(w)
			}
			<-r.ended
			next := start(t, r.host, nil)
			next.eng.Inherit(r.eng)
			for _, id := range ids {
				n := 0
				time.Sleep(time.Second)
				for _, a := range append(r.tape.attempts(), next.tape.attempts()...) {
					if a.Serves(id) {
						n++
					}
				}
				if n != 1 {
					t.Errorf("a wish was answered %d times", n)
				}
			}
			if m := next.eng.Snapshot().Observation.Mode; m != fsm.Compute {
				t.Errorf("the last wish was for compute, the host is in %s", m)
			}
		})
	}
}

func TestACancelThatMeetsAReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, sim.Desk(policy()), nil)
		r.close()
		w := wish(fsm.Compute)
		r.eng.Submit(w)
		r.eng.Cancel(fsm.NoCaller)
		next := start(t, r.host, nil)
		next.eng.Inherit(r.eng)
		next.answered(w.ID)
		if a := next.wait(w.ID); a.Outcome != fsm.Cancelled || a.Cause == "" {
			t.Errorf("ended %s: %q", a.Outcome, a.Cause)
		}
	})
}

func TestAWishWithoutAnEngineIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, sim.Desk(policy()), nil)
		r.close()
		w, bad := wish(fsm.Compute), wish(fsm.Desktop)
		r.eng.Submit(w)
		r.eng.Reject(bad, "the disk is full")
		r.eng.Note(fsm.Note{What: fsm.NoteBadWish})
		r.eng.Dismiss()
		r.eng.Dismiss()
		r.answered(w.ID, bad.ID)
		if a := r.wait(w.ID); a.Outcome != fsm.Interrupted || len(r.host.Done()) != 0 {
			t.Errorf("ended %s, the host did %v", a.Outcome, r.host.Done())
		}
		if !strings.Contains(r.tape.text(), "note "+fsm.NoteBadWish) {
			t.Error("the note is lost")
		}
	})
}

func TestARejectedWishIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, sim.Desk(policy()), nil)
		w := wish(fsm.Compute)
		r.eng.Reject(w, "the disk is full")
		r.eng.Note(fsm.Note{What: fsm.NoteBadWish})
		r.answered(w.ID)
		if a := r.wait(w.ID); a.Outcome != fsm.Failed || a.Cause != "the disk is full" || a.Exit != 41 {
			t.Errorf("ended %s (%d): %s", a.Outcome, a.Exit, a.Cause)
		}
	})
}

// While a boot's own attempt runs, the last wish wins as well.
func TestTheLastWishWinsDuringABoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := booting(t)
		r.host.Takes(fsm.Start, 5*time.Second)
		early, last := wish(fsm.Compute), wish(fsm.Desktop)
		r.eng.Submit(early)
		synctest.Wait()
		manager(r.host, "running")
		time.Sleep(time.Second)
		r.eng.Submit(last)
		r.answered(early.ID, last.ID)
		time.Sleep(time.Minute)
		r.state(fsm.AtDesktop)
		if a := r.wait(early.ID); a.Outcome != fsm.Superseded || a.Exit != 42 {
			t.Errorf("the first wish ended %s", a.Outcome)
		}
	})
}

func TestEarlyWishesAreAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := booting(t)
		first, second, third := wish(fsm.Compute), wish(fsm.StudioLocal), wish(fsm.Compute)
		r.eng.Submit(first)
		r.eng.Submit(second)
		r.answered(first.ID)
		r.eng.Cancel(fsm.NoCaller)
		r.answered(second.ID)
		if a := r.wait(second.ID); a.Outcome != fsm.Cancelled || a.Exit != 42 {
			t.Errorf("the second wish ended %s", a.Outcome)
		}
		r.eng.Submit(third)
		synctest.Wait()
		r.eng.GoingDown()
		r.answered(third.ID)
		fourth := wish(fsm.Compute)
		r.eng.Submit(fourth)
		synctest.Wait()
		r.stop()
		r.answered(fourth.ID)
		r.answered(third.ID)
		if a := r.wait(third.ID); a.Outcome != fsm.Interrupted {
			t.Errorf("the third wish ended %s", a.Outcome)
		}
	})
}

func TestABackgroundWishTakesNothingOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, sim.Desk(policy()), func(o *Options) { o.Policy.Gate.Background = true })
		r.host.Takes(fsm.Isolate, 10*time.Second)
		w, idle := wish(fsm.Compute), wish(fsm.Desktop)
		idle.Reason = fsm.ByReturn
		r.eng.Submit(w)
		time.Sleep(time.Second)
		r.eng.Submit(idle)
		r.answered(w.ID)
		r.state(fsm.AtCompute)
		if got := r.eng.Snapshot().Wish; got.ID != w.ID || !strings.Contains(r.tape.text(), "note "+fsm.NoteGate) {
			t.Errorf("the wish is %+v\n%s", got, r.tape.text())
		}
	})
}

// The exit code of a refusal is that of what refused, not of what was passed over.
func TestTheExitOfARefusalAfterForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, sim.Desk(policy()), func(o *Options) { o.Policy.Force = true })
		r.host.Change(func(f *fsm.Facts, _ *fsm.Logins, _ map[string]fsm.Unit) {
			f.Load.Value.CPUSome = 99
			f.Audio = fsm.Reading[fsm.Audio]{Cause: "no /proc"}
		})
		w := wish(fsm.Compute)
		w.Force = true
		r.eng.Submit(w)
		if a := r.wait(w.ID); a.Outcome != fsm.Blocked || a.Exit != 20 || len(a.Bypassed) != 1 {
			t.Errorf("ended %s (%d), passed over %v: %s", a.Outcome, a.Exit, a.Bypassed, a.Cause)
		}
	})
}

func TestLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := sim.Desk(policy())
		if p := Look(t.Context(), h, policy(), wish(fsm.Compute)); p.Exit != 0 || !p.Plan.Has(fsm.EndSession) || len(p.Verdicts) == 0 {
			t.Errorf("a free way is previewed as %d %v", p.Exit, p.Plan.Steps)
		}
		if p := Look(t.Context(), h, policy(), wish(fsm.Desktop)); p.Exit != 0 || !p.Plan.Empty() {
			t.Errorf("a noop is previewed as %d %v", p.Exit, p.Plan.Steps)
		}
		h.Change(func(f *fsm.Facts, _ *fsm.Logins, _ map[string]fsm.Unit) {
			f.Audio.Value.Users = []fsm.AudioUse{{PID: 812, Comm: "reaper"}}
		})
		if p := Look(t.Context(), h, policy(), wish(fsm.Compute)); p.Exit != 10 {
			t.Errorf("a refusal is previewed as %d", p.Exit)
		}
		breakLogins(h, "broken: no bus")
		if p := Look(t.Context(), h, policy(), wish(fsm.Compute)); p.Exit < 20 || p.Exit > 29 {
			t.Errorf("an unreadable host is previewed as %d", p.Exit)
		}
		if len(h.Done()) != 0 {
			t.Errorf("looking did %v", h.Done())
		}
	})
}
