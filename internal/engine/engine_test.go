package engine

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/sim"
)

// in brings a simulated host into mode m by real attempts.
func in(t *testing.T, m fsm.Mode, change func(*Options)) *rig {
	t.Helper()
	r := start(t, sim.Desk(policy()), change)
	if m != fsm.Desktop {
		r.want(m, fsm.Reached)
	}
	r.state(fsm.Resting(m))
	return r
}

func TestAllSixTransitions(t *testing.T) {
	for _, from := range fsm.Modes {
		for _, to := range fsm.Modes {
			t.Run(fmt.Sprintf("%s to %s", from, to), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := in(t, from, nil)
					want := fsm.Reached
					if from == to {
						want = fsm.Noop
					}
					a := r.want(to, want)
					r.state(fsm.Resting(to))
					if a.Exit != 0 || !a.Success || a.Final != to {
						t.Errorf("record is %+v", a)
					}
					if r.tape.intent != nil {
						t.Error("the write-ahead record was not cleared")
					}
				})
			})
		}
	}
}

func TestEdgesOfADesktopToComputeAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, sim.Desk(policy()), nil)
		r.want(fsm.Compute, fsm.Reached)
		var edges []string
		for _, l := range strings.Split(r.tape.text(), "\n") {
			if strings.HasPrefix(l, "edge ") {
				edges = append(edges, strings.TrimPrefix(l, "edge "))
			}
		}
		want := "adopt-desktop: boot -> desktop, begin: desktop -> transitioning, reached-compute: transitioning -> compute"
		if got := strings.Join(edges, ", "); got != want {
			t.Errorf("edges are\n%s\nwant\n%s", got, want)
		}
	})
}

func TestABlockedWishChangesNothingAndTellsBothEdges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, sim.Desk(policy()), nil)
		r.host.Change(func(f *fsm.Facts, _ *fsm.Logins, _ map[string]fsm.Unit) {
			f.Audio.Value.Users = []fsm.AudioUse{{PID: 812, UID: 1000, Comm: "reaper", How: "configured process"}}
		})
		a := r.want(fsm.Compute, fsm.Blocked)
		if a.Exit != 10 || len(a.Steps) != 0 || len(r.host.Done()) != 0 {
			t.Errorf("exit %d, steps %v, host did %v", a.Exit, a.Steps, r.host.Done())
		}
		for _, edge := range []string{"edge begin: desktop -> transitioning", "edge fail: transitioning -> failed-transition",
			"edge recovered-desktop: failed-transition -> desktop"} {
			if !strings.Contains(r.tape.text(), edge) {
				t.Errorf("%q is not on record:\n%s", edge, r.tape.text())
			}
		}
		if w := r.eng.Snapshot().Wish; w.Mode != fsm.Compute {
			t.Errorf("the wish was rewritten to %s", w.Mode)
		}
	})
}

func TestAnUnreadableHostBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, sim.Desk(policy()), nil)
		r.host.Change(func(f *fsm.Facts, _ *fsm.Logins, _ map[string]fsm.Unit) { f.Logins.Cause = "broken: no bus" })
		a := r.want(fsm.Compute, fsm.Blocked)
		if a.Exit < 20 || a.Exit > 29 || len(r.host.Done()) != 0 {
			t.Errorf("exit %d, host did %v", a.Exit, r.host.Done())
		}
		r.state(fsm.FailedTransition)
		r.host.Change(func(f *fsm.Facts, _ *fsm.Logins, _ map[string]fsm.Unit) { f.Logins.Cause = "" })
		r.state(fsm.AtDesktop)
	})
}

// Each cause that keeps the host unreadable is told when it comes, once: the first
// one, a bus that ends, may well not be the one that lasts.
func TestEachCauseOfAnUnreadableHostIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, sim.Desk(policy()), nil)
		for i, cause := range []string{"broken: no bus", "broken: nobody owns login1"} {
			breakLogins(r.host, cause)
			time.Sleep(10 * time.Minute) // of the test's own clock: the looks in between
			if n := strings.Count(r.tape.text(), "note "+fsm.NoteUnreadable); n != i+1 {
				t.Errorf("%d causes are told in %d notes\n%s", i+1, n, r.tape.text())
			}
		}
	})
}

// Every step of every plan is made to go wrong in every way, once.
func TestEachStepOfEachPlanFails(t *testing.T) {
	kinds := []sim.FaultKind{sim.Fails, sim.Hangs, sim.LiesDone, sim.LiesFailed, sim.ComesBack, sim.KeepsHolder}
	tried := 0
	for _, from := range fsm.Modes {
		for _, to := range fsm.Modes {
			for _, op := range opsOf(t, from, to) {
				for _, kind := range kinds {
					tried++
					synctest.Test(t, func(t *testing.T) { failStep(t, from, to, op, kind) })
				}
			}
		}
	}
	if tried < 100 {
		t.Errorf("only %d faults were tried", tried)
	}
}

func opsOf(t *testing.T, from, to fsm.Mode) []fsm.Op {
	var ops []fsm.Op
	synctest.Test(t, func(t *testing.T) {
		r := in(t, from, nil)
		before := len(r.host.Done())
		r.ask(to)
		ops = r.host.Done()[before:]
	})
	return ops
}

func failStep(t *testing.T, from, to fsm.Mode, op fsm.Op, kind sim.FaultKind) {
	r := in(t, from, nil)
	r.host.Break(sim.Fault{Op: op, Kind: kind})
	a := r.ask(to)
	name := fmt.Sprintf("%s to %s, %s %s: %s", from, to, op, kind, a.Outcome)
	snap := r.eng.Snapshot()
	observed := fsm.Classify(r.host.Observe(t.Context(), fsm.Query{About: fsm.Core}), policy()).Mode
	switch {
	case a.Final != observed:
		t.Errorf("%s: record says %s, the host is in %s", name, a.Final, observed)
	case a.Success && observed != to:
		t.Errorf("%s: success told, but the host is in %s", name, observed)
	case a.Success != (a.Exit == 0):
		t.Errorf("%s: success %v with exit %d", name, a.Success, a.Exit)
	case a.Outcome == fsm.Recovered && observed != from:
		t.Errorf("%s: recovered to %s", name, observed)
	case snap.State == fsm.Transitioning || snap.Attempt != nil:
		t.Errorf("%s: rests in %s", name, snap.State)
	case snap.Wish.Mode != to:
		t.Errorf("%s: the wish was rewritten to %s", name, snap.Wish.Mode)
	}
	if t.Failed() {
		t.Log(r.tape.text())
	}
}

func TestTheLastWishWins(t *testing.T) {
	for _, gap := range []time.Duration{0, 2 * time.Millisecond, 30 * time.Millisecond, 150 * time.Millisecond, 500 * time.Millisecond, 5 * time.Second} {
		for _, second := range fsm.Modes {
			t.Run(fmt.Sprintf("%s after %s", second, gap), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := start(t, sim.Desk(policy()), nil)
					for _, v := range []fsm.Verb{fsm.EndSession, fsm.Isolate, fsm.Start, fsm.StopAudio} {
						r.host.Takes(v, 100*time.Millisecond)
					}
					first := wish(fsm.Compute)
					r.eng.Submit(first)
					time.Sleep(gap)
					last := r.ask(second)
					if last.Exit == 16 { // the session had ended before: refused, and the login is back
						time.Sleep(time.Minute)
						if u := r.units()["display-manager.service"]; u.Load == "masked" {
							t.Errorf("the login stays held back\n%s", r.tape.text())
						}
					} else if !last.Success || r.eng.Snapshot().Observation.Mode != second {
						t.Errorf("the last wish ended %s in %s: %s\n%s", last.Outcome, last.Final, last.Cause, r.tape.text())
					}
					r.wait(first.ID) // the first one is answered too
				})
			})
		}
	}
}

func (r *rig) units() map[string]fsm.Unit {
	return r.host.Observe(r.t.Context(), fsm.Query{About: fsm.AboutUnits}).Units.Value
}

func TestTheSameWishAHundredTimesIsOneTransition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, sim.Desk(policy()), nil)
		r.host.Takes(fsm.Isolate, time.Second)
		var ids []string
		for range 100 {
			w := wish(fsm.Compute)
			ids = append(ids, w.ID)
			r.eng.Submit(w)
		}
		for _, id := range ids {
			r.wait(id)
		}
		isolated := 0
		for _, op := range r.host.Done() {
			if op.Verb == fsm.Isolate {
				isolated++
			}
		}
		if isolated != 1 {
			t.Errorf("isolated %d times", isolated)
		}
	})
}

func TestCancel(t *testing.T) {
	for _, at := range []fsm.Verb{fsm.Start, fsm.EndSession, fsm.Isolate} {
		t.Run("during "+string(at), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, sim.Desk(policy()), nil)
				r.host.Takes(at, 4*time.Second)
				w := wish(fsm.Compute)
				r.eng.Submit(w)
				time.Sleep(time.Second)
				r.eng.Cancel(fsm.Caller{UID: 1000, Session: "3"})
				a := r.wait(w.ID)
				if !strings.HasPrefix(a.Cause, "cancelled by uid 1000 (session 3)") {
					t.Errorf("the cause is %q", a.Cause)
				}
				if a.Outcome != fsm.Cancelled || a.Exit != 42 || a.Final != fsm.Desktop {
					t.Errorf("ended %s in %s, exit %d: %s\n%s", a.Outcome, a.Final, a.Exit, a.Cause, r.tape.text())
				}
			})
		})
	}
}

func TestNoStepWithoutAWriteAheadRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, sim.Desk(policy()), nil)
		r.tape.fail = errDisk
		a := r.want(fsm.Compute, fsm.Recovered)
		if len(r.host.Done()) != 0 || !strings.Contains(a.Cause, errDisk.Error()) {
			t.Errorf("host did %v; cause %q", r.host.Done(), a.Cause)
		}
	})
}

func TestTheFirstStartOfABootOnlyStartsDesktop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told fsm.Wish
		h := sim.New(policy())
		h.Login("alice", 1000)
		r := start(t, h, func(o *Options) { o.First, o.Wish, o.BootWish = true, nil, func(w fsm.Wish) { told = w } })
		time.Sleep(time.Second)
		r.state(fsm.AtDesktop)
		want := []fsm.Op{{Verb: fsm.Start, Arg: policy().Units.Desktop}}
		if got := h.Done(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("host did %v, want %v", got, want)
		}
		if told.Mode != fsm.Desktop || told.Reason != fsm.ByBoot {
			t.Errorf("the wish of the boot is %+v", told)
		}
	})
}

func TestTheFirstStartWaitsForTheManager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := sim.New(policy())
		h.Change(func(f *fsm.Facts, _ *fsm.Logins, _ map[string]fsm.Unit) { f.Host.Value.Manager = "starting" })
		r := start(t, h, func(o *Options) { o.First, o.Wish = true, nil })
		time.Sleep(time.Minute)
		r.state(fsm.Boot)
		h.Change(func(f *fsm.Facts, _ *fsm.Logins, _ map[string]fsm.Unit) { f.Host.Value.Manager = "running" })
		time.Sleep(time.Second)
		r.state(fsm.AtDesktop)
	})
}

func TestARestartOnASettledHostDoesNothing(t *testing.T) {
	for _, m := range fsm.Modes {
		synctest.Test(t, func(t *testing.T) {
			r := in(t, m, nil)
			r.close()
			again := r.host.Clone()
			s := start(t, again, func(o *Options) { o.Wish = &fsm.Wish{ID: "x", Mode: m} })
			time.Sleep(time.Minute)
			s.state(fsm.Resting(m))
			if len(again.Done()) != 0 {
				t.Errorf("in %s the host did %v", m, again.Done())
			}
		})
	}
}

// The controller dies right after each write-ahead record, before the effect
// and after it; the next one goes forward past the point of no return and back
// before it (D11).
func TestDeathAtEachStep(t *testing.T) {
	for _, from := range fsm.Modes {
		for _, to := range fsm.Modes {
			if from == to {
				continue
			}
			synctest.Test(t, func(t *testing.T) {
				r := in(t, from, nil)
				type moment struct {
					intent fsm.Intent
					host   *sim.Host
				}
				var before []moment
				r.tape.onAhead = func(i fsm.Intent) { before = append(before, moment{i, r.host.Clone()}) }
				r.want(to, fsm.Reached)
				r.tape.onAhead = nil
				for _, m := range before {
					survive(t, from, to, m.intent, m.host)
				}
			})
		}
	}
}

func survive(t *testing.T, from, to fsm.Mode, intent fsm.Intent, host *sim.Host) {
	r := start(t, host, func(o *Options) {
		o.Wish, o.Intent = &fsm.Wish{ID: "w", Mode: to, Reason: fsm.ByRequest}, &intent
	})
	time.Sleep(time.Minute)
	synctest.Wait()
	done := r.tape.attempts()
	name := fmt.Sprintf("%s to %s, death at step %d %s", from, to, intent.Step, intent.Plan.Steps[intent.Step-1].Op)
	if len(done) == 0 || done[0].Outcome != fsm.Interrupted {
		t.Errorf("%s: interrupted is not told first: %s", name, r.tape.text())
		return
	}
	want := from
	if intent.NoReturn {
		want = to
	}
	snap := r.eng.Snapshot()
	if snap.Observation.Mode != want || snap.State != fsm.Resting(want) {
		t.Errorf("%s: rests in %s, observed %s, want %s\n%s", name, snap.State, snap.Observation.Mode, want, r.tape.text())
	}
	r.close()
}

func TestDriftByHandIsFollowedByAnEdge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := in(t, fsm.Desktop, nil)
		p := policy().Units
		r.host.Change(func(_ *fsm.Facts, _ *fsm.Logins, u map[string]fsm.Unit) {
			u[p.StudioPolicy] = fsm.Unit{Name: p.StudioPolicy, Load: "loaded", Active: "active"}
		})
		r.state(fsm.AtStudioLocal)
		if len(r.host.Done()) != 0 {
			t.Errorf("the host did %v", r.host.Done())
		}
	})
}

func TestABackgroundWishIsHeldByTheGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := in(t, fsm.Desktop, nil)
		for range 3 {
			w := wish(fsm.Compute)
			w.Reason = fsm.ByIdle
			r.eng.Submit(w)
		}
		r.state(fsm.AtDesktop)
		if n := strings.Count(r.tape.text(), "note "+fsm.NoteGate); n != 1 {
			t.Errorf("told %d times what it would have done", n)
		}
	})
}

func TestADrainThatRunsOutOfTime(t *testing.T) {
	for _, onTimeout := range []string{fsm.DrainStop, fsm.DrainBlock} {
		t.Run(onTimeout, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := policy()
				p.Inference.OnTimeout = onTimeout
				r := in(t, fsm.Compute, func(o *Options) { o.Policy = p })
				r.host.Change(func(f *fsm.Facts, _ *fsm.Logins, _ map[string]fsm.Unit) { f.Inference.Value[0].Running = 3 })
				want := fsm.Reached
				if onTimeout == fsm.DrainBlock {
					want = fsm.Blocked
				}
				began := time.Now()
				r.want(fsm.Desktop, want)
				if took := time.Since(began); took < p.Deadlines.Drain {
					t.Errorf("it waited for %s only", took)
				}
			})
		})
	}
}

func TestForcePassesOverSoftGuardsAlone(t *testing.T) {
	for _, hard := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			p := policy()
			p.Force = true
			r := start(t, sim.Desk(p), func(o *Options) { o.Policy = p })
			r.host.Change(func(f *fsm.Facts, _ *fsm.Logins, _ map[string]fsm.Unit) {
				f.Load.Value.CPUSome = 99
				if hard {
					f.Audio.Value.Users = []fsm.AudioUse{{PID: 812, Comm: "reaper"}}
				}
			})
			w := wish(fsm.Compute)
			w.Force = true
			r.eng.Submit(w)
			a := r.wait(w.ID)
			switch {
			case hard && (a.Outcome != fsm.Blocked || a.Exit != 10):
				t.Errorf("a hard guard was passed over: %s", a.Outcome)
			case !hard && (a.Outcome != fsm.Reached || len(a.Bypassed) != 1 || a.Bypassed[0] != "check_cpu_load_safe"):
				t.Errorf("ended %s, passed over %v", a.Outcome, a.Bypassed)
			}
		})
	}
}
