package engine

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/sim"
)

func manager(h *sim.Host, state string) {
	h.Change(func(f *fsm.Facts, _ *fsm.Logins, _ map[string]fsm.Unit) { f.Host.Value.Manager = state })
}

// booting starts an engine on a host that has not finished its boot.
func booting(t *testing.T) *rig {
	t.Helper()
	h := sim.New(policy())
	h.Login("alice", 1000)
	manager(h, "starting")
	return start(t, h, func(o *Options) { o.First, o.Wish = true, nil })
}

// A wish that comes before a boot is normalised is followed after: should it be
// refused, the host has its desktop.target all the same.
func TestAnEarlyWishDoesNotKeepABootFromBeingNormalised(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := booting(t)
		r.host.Change(func(f *fsm.Facts, _ *fsm.Logins, _ map[string]fsm.Unit) {
			f.Audio.Value.Users = []fsm.AudioUse{{PID: 812, Comm: "reaper"}}
		})
		w := wish(fsm.Compute)
		r.eng.Submit(w)
		synctest.Wait()
		manager(r.host, "running")
		if a := r.wait(w.ID); a.Outcome != fsm.Blocked {
			t.Errorf("the wish ended %s", a.Outcome)
		}
		r.answered(w.ID)
		if got, want := fmt.Sprint(r.host.Done()), "[start desktop.target]"; got != want {
			t.Errorf("the host did %s, want %s", got, want)
		}
		if got := r.eng.Snapshot().Wish; got.ID != w.ID {
			t.Errorf("the wish is %+v", got)
		}
	})
}

// A wish on a host that cannot be read is refused, and what a predecessor left is
// settled all the same when it can be.
func TestAnEarlyWishOnAnUnreadableHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		intent, host := caught(t, fsm.Compute, fsm.Desktop, fsm.Isolate)
		breakLogins(host, "broken: no bus")
		r := start(t, host, func(o *Options) { o.Wish, o.Intent = &fsm.Wish{ID: "w", Mode: fsm.Desktop}, intent })
		time.Sleep(time.Hour + 10*time.Second) // in the midst between two looks
		w, began := wish(fsm.Desktop), time.Now()
		r.eng.Submit(w)
		a := r.wait(w.ID)
		if took := time.Since(began); took > time.Second {
			t.Errorf("the answer took %s", took)
		}
		if a.Outcome != fsm.Blocked || a.Exit < 20 || a.Exit > 29 || r.tape.clears != 0 {
			t.Errorf("ended %s (%d); cleared %d times", a.Outcome, a.Exit, r.tape.clears)
		}
		r.state(fsm.Boot)
		breakLogins(host, "")
		time.Sleep(time.Minute)
		r.state(fsm.AtCompute)
		r.answered(w.ID, intent.Wish.ID)
		if r.wait(intent.Wish.ID).Outcome != fsm.Interrupted || r.tape.clears == 0 {
			t.Errorf("what was left is not settled\n%s", r.tape.text())
		}
		if u := r.units()["vllm@compute.service"]; !u.Is(true) {
			t.Error("the AI unit was not started again")
		}
	})
}

func TestTheRecordOfAnotherBootIsOnlyTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		intent, _ := caught(t, fsm.Desktop, fsm.Compute, fsm.Isolate)
		h := sim.Desk(policy())
		r := start(t, h, func(o *Options) { o.Boot, o.Wish, o.Intent = "boot-2", nil, intent })
		time.Sleep(time.Minute)
		r.state(fsm.AtDesktop)
		if r.wait(intent.Wish.ID).Outcome != fsm.Interrupted || len(r.tape.attempts()) != 1 || len(h.Done()) != 0 || r.tape.clears != 1 {
			t.Errorf("the host did %v\n%s", h.Done(), r.tape.text())
		}
	})
}

// A stop that comes before the first step of what follows an interrupted attempt
// leaves the write-ahead record for the next start.
func TestAStopBeforeAnInterruptedAttemptIsSettled(t *testing.T) {
	for _, c := range []struct {
		from, to fsm.Mode
		at       fsm.Verb
	}{{fsm.Compute, fsm.Desktop, fsm.Isolate}, {fsm.Desktop, fsm.Compute, fsm.Isolate}} {
		synctest.Test(t, func(t *testing.T) {
			intent, host := caught(t, c.from, c.to, c.at)
			h := &hooked{Host: host}
			var looks atomic.Int32
			looking := make(chan bool, 1)
			h.after = func(fsm.Query) {
				if looks.Add(1) == 2 { // the first is the start's own
					looking <- true
					time.Sleep(time.Second)
				}
			}
			stands := &fsm.Wish{ID: "w", Mode: c.to}
			r := start(t, host, func(o *Options) { o.Host, o.Wish, o.Intent = h, stands, intent })
			<-looking
			r.close()
			if r.tape.clears != 0 || len(host.Done()) != 0 {
				t.Errorf("cleared %d times, the host did %v\n%s", r.tape.clears, host.Done(), r.tape.text())
			}
		})
	}
}

// What is left to do in a mode that is reached keeps its budgets if it fails.
func TestWhatIsLeftOverKeepsTheModesBudgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		intent, host := caught(t, fsm.Desktop, fsm.Compute, fsm.SetBudgets)
		host.Break(sim.Fault{Op: fsm.Op{Verb: fsm.Start}, Kind: sim.Fails})
		r := start(t, host, func(o *Options) { o.Wish, o.Intent = &fsm.Wish{ID: "w", Mode: fsm.Compute}, intent })
		time.Sleep(time.Minute)
		if got := fmt.Sprint(host.Done()); strings.Contains(got, "set-budgets desktop") || !strings.Contains(got, "set-budgets compute") {
			t.Errorf("the host did %s\n%s", got, r.tape.text())
		}
	})
}

func TestAWalkBackThatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		intent, host := caught(t, fsm.Compute, fsm.Desktop, fsm.Isolate)
		time.Sleep(time.Second)
		host.Login("bob", 1001)
		r := start(t, host, func(o *Options) { o.Wish, o.Intent = &fsm.Wish{ID: "w", Mode: fsm.Desktop}, intent })
		time.Sleep(time.Minute)
		last := r.eng.Snapshot().Last
		if last.Outcome != fsm.Degraded || !strings.Contains(last.Cause, "of bob began after") || len(host.Done()) != 0 {
			t.Errorf("ended %s: %s; the host did %v", last.Outcome, last.Cause, host.Done())
		}
	})
}

// A session that is closing already holds no walk back up.
func TestAClosingSessionIsNoNewcomer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		intent, host := caught(t, fsm.Compute, fsm.Desktop, fsm.Isolate)
		time.Sleep(time.Second)
		host.Change(func(_ *fsm.Facts, l *fsm.Logins, _ map[string]fsm.Unit) {
			l.Sessions = append(l.Sessions, fsm.Session{ID: "9", User: "bob", UID: 1001, Class: "user", Type: "tty", State: "closing", Since: time.Now()})
		})
		r := start(t, host, func(o *Options) { o.Wish, o.Intent = &fsm.Wish{ID: "w", Mode: fsm.Desktop}, intent })
		time.Sleep(time.Minute)
		if len(host.Done()) == 0 || strings.Contains(r.tape.text(), "nothing is taken back") {
			t.Errorf("the host did %v\n%s", host.Done(), r.tape.text())
		}
	})
}

func TestABootInAShutdownChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := sim.New(policy())
		r := start(t, h, func(o *Options) { o.First, o.Wish, o.Going = true, nil, func() bool { return true } })
		time.Sleep(time.Minute)
		r.state(fsm.Boot)
		if len(h.Done()) != 0 {
			t.Errorf("the host did %v", h.Done())
		}
	})
}

// A walk back that the host's shutdown ends is begun again by the next start.
func TestAWalkBackInAShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		intent, host := caught(t, fsm.Compute, fsm.StudioLocal, fsm.Start)
		var going atomic.Bool
		h := &hooked{Host: host}
		h.before = func(fsm.Query) {
			if did(host, fsm.Isolate) {
				going.Store(true)
			}
		}
		r := start(t, host, func(o *Options) {
			o.Host, o.Going, o.Wish, o.Intent = h, going.Load, &fsm.Wish{ID: "w", Mode: fsm.StudioLocal}, intent
		})
		time.Sleep(time.Minute)
		last := r.eng.Snapshot().Last
		if last.Outcome != fsm.Interrupted || last.Kind != fsm.WalkBack || r.tape.clears != 0 || did(host, fsm.Start) {
			t.Errorf("ended %s: %s; cleared %d times, the host did %v", last.Outcome, last.Cause, r.tape.clears, host.Done())
		}
	})
}

// A controller that died after an attempt's record was kept, and before the
// write-ahead record was removed, has nothing left to do.
func TestAnAttemptThatHadEndedIsNotTakenUpAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		intent, host := caught(t, fsm.Compute, fsm.Desktop, fsm.Isolate)
		last := fsm.Attempt{ID: intent.ID, Wish: intent.Wish, Outcome: fsm.Recovered, Halt: fsm.HaltStep, Final: fsm.Compute}
		r := start(t, host, func(o *Options) { o.Wish, o.Intent, o.Last = &intent.Wish, intent, &last })
		synctest.Wait()
		r.state(fsm.AtCompute)
		if n := len(r.tape.attempts()); n != 0 || r.tape.clears != 1 {
			t.Errorf("%d attempts, cleared %d times\n%s", n, r.tape.clears, r.tape.text())
		}
	})
}
