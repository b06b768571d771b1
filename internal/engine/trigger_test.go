package engine

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/sim"
)

const idleAfter = 10 * time.Minute

// idling is an engine whose background triggers are open, on a host that alice has
// just touched; kept are the wishes that the loop had stored.
type idling struct {
	*rig
	mu      sync.Mutex
	kept    []fsm.Mode
	instead []string // the ids of the wishes whose place those took
	seen    int      // attempts, by after
}

func idle(t *testing.T, in fsm.Mode, change func(*fsm.Policy)) *idling {
	t.Helper()
	p := policy()
	p.Gate.Background = true
	p.Idle = fsm.IdlePolicy{After: idleAfter, Countdown: 30 * time.Second, OnBlock: fsm.OnBlockRevert, Retry: true}
	if change != nil {
		change(&p)
	}
	x := &idling{}
	x.rig = start(t, sim.Desk(p), func(o *Options) {
		o.Policy = p
		o.Keep = func(w fsm.Wish, instead string) {
			x.mu.Lock()
			defer x.mu.Unlock()
			x.kept, x.instead = append(x.kept, w.Mode), append(x.instead, instead)
		}
	})
	x.state(fsm.AtDesktop)
	if in != fsm.Desktop {
		x.want(in, fsm.Reached)
	}
	x.host.Touch()
	x.after(0)
	return x
}

// after lets time pass, and returns the attempts that triggers made since it did so
// last.
func (x *idling) after(d time.Duration) []fsm.Attempt {
	x.t.Helper()
	time.Sleep(d)
	synctest.Wait()
	made := x.tape.attempts()[x.seen:]
	x.seen += len(made)
	return slices.DeleteFunc(made, func(a fsm.Attempt) bool { return !a.Wish.Reason.Automatic() })
}

// nothing wants no trigger to have acted in a time.
func (x *idling) nothing(d time.Duration) {
	x.t.Helper()
	if made := x.after(d); len(made) > 0 {
		x.t.Fatalf("within %v: %s", d, x.tape.text())
	}
}

// one wants a single attempt in a time, with an outcome.
func (x *idling) one(d time.Duration, by fsm.Reason, to fsm.Mode, out fsm.Outcome) fsm.Attempt {
	x.t.Helper()
	made := x.after(d)
	if len(made) != 1 || made[0].Wish.Reason != by || made[0].To != to || made[0].Outcome != out {
		x.t.Fatalf("within %v: %+v, want one to %s by %s that ends %s\n%s", d, made, to, by, out, x.tape.text())
	}
	return made[0]
}

func (x *idling) wishes(want fsm.Mode, kept ...fsm.Mode) {
	x.t.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	if got := x.eng.Snapshot().Wish; got == nil || got.Mode != want || !slices.Equal(x.kept, kept) {
		x.t.Errorf("wished is %+v, stored %v; want %s and %v", got, x.kept, want, kept)
	}
}

func (x *idling) notes(what string) int { return strings.Count(x.tape.text(), "note "+what) }

func TestAnIdleDesktopGoesToCompute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := idle(t, fsm.Desktop, nil)
		x.nothing(idleAfter - time.Second)
		x.host.Touch()
		x.nothing(idleAfter - time.Second)
		a := x.one(time.Minute, fsm.ByIdle, fsm.Compute, fsm.Reached)
		if a.Steps[0].Op.Verb != fsm.Countdown || a.Steps[0].Ended.Sub(a.Steps[0].Began) != 30*time.Second {
			t.Errorf("first step %+v", a.Steps[0])
		}
		x.wishes(fsm.Compute, fsm.Compute)
		x.nothing(24 * time.Hour)
	})
}

func TestInputInTheCountdownCallsItOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := idle(t, fsm.Desktop, nil)
		time.Sleep(idleAfter + 20*time.Second)
		synctest.Wait()
		x.host.Touch()
		a := x.one(0, fsm.ByIdle, fsm.Compute, fsm.Cancelled)
		if !strings.Contains(a.Cause, "input on simulated keyboard") || len(x.host.Done()) != 1 {
			t.Errorf("%s, done %v", a.Cause, x.host.Done())
		}
		x.state(fsm.AtDesktop)
		x.wishes(fsm.Desktop, fsm.Compute, fsm.Desktop)
		x.nothing(idleAfter - time.Second)
		x.one(time.Minute, fsm.ByIdle, fsm.Compute, fsm.Reached)
	})
}

func TestWhatAnIdleHostWaitsFor(t *testing.T) {
	for name, c := range map[string]func(f *fsm.Facts, on bool){
		"audio":     func(f *fsm.Facts, on bool) { f.Audio.Value.Users = some(on, fsm.AudioUse{PID: 7, Comm: "reaper"}) },
		"a job":     func(f *fsm.Facts, on bool) { f.Jobs.Value = some(on, fsm.UserJob{What: "rsync"}) },
		"inhibitor": func(f *fsm.Facts, on bool) { f.Inhibitors.Value = some(on, fsm.Inhibitor{What: "idle", Who: "film"}) },
		"CPU":       func(f *fsm.Facts, on bool) { f.Load.Value.CPUSome = map[bool]float64{true: 99}[on] },
		"a hold":    func(f *fsm.Facts, on bool) { f.Holds.Value = some(on, fsm.Hold{Why: "rendering"}) },
		"blindness": func(f *fsm.Facts, on bool) { f.Audio.OK = !on },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := idle(t, fsm.Desktop, nil)
				change := func(on bool) {
					x.host.Change(func(f *fsm.Facts, _ *fsm.Logins, _ map[string]fsm.Unit) { c(f, on) })
				}
				change(true)
				x.nothing(8 * time.Hour)
				if n := x.notes(fsm.NoteSource); n != 1 {
					t.Errorf("told %d times why it does not go\n%s", n, x.tape.text())
				}
				x.wishes(fsm.Desktop)
				change(false)
				x.one(again+time.Minute, fsm.ByIdle, fsm.Compute, fsm.Reached)
			})
		})
	}
}

func some[T any](on bool, v T) []T {
	if on {
		return []T{v}
	}
	return nil
}

// What turns bad in the countdown refuses after it; what was wished stands again,
// or not, as configured.
func TestRefusedAfterTheCountdown(t *testing.T) {
	for policy, kept := range map[string][]fsm.Mode{fsm.OnBlockRevert: {fsm.Compute, fsm.Desktop}, fsm.OnBlockKeep: {fsm.Compute}} {
		synctest.Test(t, func(t *testing.T) {
			x := idle(t, fsm.Desktop, func(p *fsm.Policy) { p.Idle.OnBlock = policy })
			time.Sleep(idleAfter + time.Second)
			x.host.Change(func(f *fsm.Facts, _ *fsm.Logins, _ map[string]fsm.Unit) {
				f.Jobs.Value = []fsm.UserJob{{What: "rsync"}}
			})
			x.one(time.Minute, fsm.ByIdle, fsm.Compute, fsm.Blocked)
			x.state(fsm.AtDesktop)
			x.wishes(kept[len(kept)-1], kept...)
		})
	}
}

// What an idle host tried in vain it does not try again while nobody is there.
func TestAnIdleHostThatFailsStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := idle(t, fsm.Desktop, nil)
		x.host.Break(sim.Fault{Op: fsm.Op{Verb: fsm.Start, Arg: "vllm@compute.service"}, Kind: sim.Fails, Left: -1})
		x.one(idleAfter+time.Minute, fsm.ByIdle, fsm.Compute, fsm.Recovered)
		x.nothing(24 * time.Hour)
		x.host.Touch()
		x.after(0)
		if made := x.after(idleAfter + time.Minute); len(made) != 1 {
			t.Errorf("after somebody was there: %d attempts\n%s", len(made), x.tape.text())
		}
	})
}

// Who calls it off without a key has peace for as long as it takes to count as idle.
func TestAnIdleHostThatIsCancelledWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := idle(t, fsm.Desktop, nil)
		time.Sleep(idleAfter + time.Second)
		x.eng.Cancel(fsm.NoCaller)
		x.one(0, fsm.ByIdle, fsm.Compute, fsm.Cancelled)
		x.nothing(idleAfter - time.Second)
		x.one(time.Minute, fsm.ByIdle, fsm.Compute, fsm.Reached)
	})
}

func TestTheGateHoldsAnIdleHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := idle(t, fsm.Desktop, func(p *fsm.Policy) { p.Gate.Background, p.Idle.Watch = false, true })
		x.nothing(24 * time.Hour)
		x.host.Touch()
		x.nothing(24 * time.Hour)
		if n := x.notes(fsm.NoteGate); n != 1 {
			t.Errorf("told %d times what it would have done\n%s", n, x.tape.text())
		}
		x.wishes(fsm.Desktop)
	})
}

func TestWhoLeavesTheStudio(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := idle(t, fsm.StudioLocal, nil)
		x.nothing(24 * time.Hour)
	})
	synctest.Test(t, func(t *testing.T) {
		x := idle(t, fsm.StudioLocal, func(p *fsm.Policy) { p.Idle.Studio = true })
		x.one(idleAfter+time.Minute, fsm.ByIdle, fsm.Compute, fsm.Reached)
	})
}

// What cannot be healed does not keep an idle host from anything else.
func TestALackThatStaysHidesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := idle(t, fsm.Compute, func(p *fsm.Policy) { p.Idle.Heal, p.Idle.Return = true, true })
		x.host.Break(sim.Fault{Op: fsm.Op{Verb: fsm.Start, Arg: "vllm@compute.service"}, Kind: sim.Fails, Left: -1})
		x.host.Change(func(_ *fsm.Facts, _ *fsm.Logins, units map[string]fsm.Unit) {
			u := units["vllm@compute.service"]
			u.Active = "failed"
			units["vllm@compute.service"] = u
		})
		if made := x.after(time.Hour); len(made) != 1 || made[0].Wish.Reason != fsm.ByDrift || made[0].Success {
			t.Fatalf("%+v", made)
		}
		x.host.Touch()
		x.one(time.Minute, fsm.ByReturn, fsm.Desktop, fsm.Reached)
	})
}

func TestNeverIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := idle(t, fsm.Desktop, func(p *fsm.Policy) { p.Idle.After = 0 })
		x.nothing(24 * time.Hour)
	})
	synctest.Test(t, func(t *testing.T) {
		x := idle(t, fsm.Desktop, nil)
		x.host.Change(func(f *fsm.Facts, _ *fsm.Logins, _ map[string]fsm.Unit) { f.Idle.OK = false })
		x.nothing(24 * time.Hour)
	})
}

func TestInputInComputeAsksForTheDesk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := idle(t, fsm.Compute, func(p *fsm.Policy) { p.Idle.Return = true })
		x.nothing(time.Hour) // the hand that wished for compute does not count
		x.host.Touch()
		x.one(time.Minute, fsm.ByReturn, fsm.Desktop, fsm.Reached)
		x.wishes(fsm.Desktop, fsm.Desktop)
	})
	synctest.Test(t, func(t *testing.T) {
		x := idle(t, fsm.Compute, nil)
		time.Sleep(time.Hour)
		x.host.Touch()
		x.nothing(time.Hour)
	})
}

func TestWhatAModeLacksIsStartedAgain(t *testing.T) {
	dies := func(_ *fsm.Facts, _ *fsm.Logins, units map[string]fsm.Unit) {
		u := units["vllm@compute.service"]
		u.Active = "failed"
		units["vllm@compute.service"] = u
	}
	synctest.Test(t, func(t *testing.T) {
		x := idle(t, fsm.Compute, func(p *fsm.Policy) { p.Idle.Heal = true })
		x.host.Change(dies)
		x.one(time.Minute, fsm.ByDrift, fsm.Compute, fsm.Reached)
		x.wishes(fsm.Compute) // nothing is wished that was not wished before
		x.host.Break(sim.Fault{Op: fsm.Op{Verb: fsm.Start}, Kind: sim.Fails, Left: -1})
		x.host.Change(dies)
		if made := x.after(24 * time.Hour); len(made) != 1 {
			t.Errorf("what cannot be started was tried %d times", len(made))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		x := idle(t, fsm.Compute, func(p *fsm.Policy) { p.Idle.Heal, p.Gate.Background, p.Idle.Watch = true, false, true })
		x.host.Change(dies)
		x.nothing(24 * time.Hour)
		if n := x.notes(fsm.NoteGate); n != 1 {
			t.Errorf("told %d times what it would have done\n%s", n, x.tape.text())
		}
	})
}
