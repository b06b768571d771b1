package sim

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

func look(h *Host, about fsm.Subject) fsm.Facts {
	return h.Observe(context.Background(), fsm.Query{About: about})
}

func active(h *Host, name string) string {
	return look(h, fsm.AboutUnits).Units.Value[name].Active
}

// What each fault does to the host, and what it answers.
func TestFaults(t *testing.T) {
	const unit = "audio-priority.service"
	for kind, want := range map[FaultKind]struct {
		now, then string
		fails     bool
	}{
		"": {"active", "active", false}, Fails: {"inactive", "inactive", true}, Hangs: {"inactive", "inactive", true},
		HalfDone: {"failed", "failed", true}, Slow: {"active", "active", false}, Late: {"inactive", "active", false},
		LiesDone: {"inactive", "inactive", false}, LiesFailed: {"active", "active", true}, DoneHangs: {"active", "active", true},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := Desk(Policy())
			h.Break(Fault{Kind: kind})
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			err := h.Do(ctx, fsm.Op{Verb: fsm.Start, Arg: unit})
			if now := active(h, unit); now != want.now || (err != nil) != want.fails {
				t.Errorf("%s: %s, %v", kind, now, err)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if then := active(h, unit); then != want.then {
				t.Errorf("%s: later it is %s", kind, then)
			}
		})
	}
}

// A look that goes wrong does so as often as was planned.
func TestBlurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := Desk(Policy())
		h.Blur(Blur{About: fsm.AboutSessions, Kind: Lies})
		h.Logout(1000)
		if n := len(look(h, fsm.Core).Logins.Value.Sessions); n != 1 {
			t.Errorf("the lie tells of %d sessions", n)
		}
		if n := len(look(h, fsm.Core).Logins.Value.Sessions); n != 0 {
			t.Errorf("after the lie there are %d sessions", n)
		}
		h.Blur(Blur{About: fsm.AboutGPU, Kind: Errs, Left: 2})
		for i, want := range []bool{false, false, true} {
			if f := look(h, fsm.Core|fsm.AboutGPU); f.GPU.OK != want || !f.Units.OK {
				t.Errorf("look %d: %v %v", i, f.GPU, f.Units.OK)
			}
		}
		h.Blur(Blur{About: fsm.AboutGPU, Kind: Waits})
		began := time.Now()
		if f := look(h, fsm.AboutGPU); f.GPU.OK || time.Since(began) != Policy().Deadlines.Observe {
			t.Errorf("%v after %s", f.GPU.OK, time.Since(began))
		}
	})
}

// An isolate's target is up before what it stops is down, as on systemd 257.
func TestAnIsolateStopsSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := Desk(Policy())
		h.StopsTake = time.Second
		h.Service("cups.service", "enabled", false)
		h.Service("ssh.service", "enabled", true)
		if err := h.Do(context.Background(), fsm.Op{Verb: fsm.Isolate, Arg: "compute.target"}); err != nil {
			t.Fatal(err)
		}
		if active(h, "compute.target") != "active" || active(h, "cups.service") != "deactivating" || active(h, "ssh.service") != "active" {
			t.Error(look(h, fsm.AboutUnits).Units)
		}
		time.Sleep(2 * time.Second)
		if got := active(h, "cups.service"); got != "inactive" {
			t.Errorf("it is %s", got)
		}
	})
}

// A boot leaves nothing of the run before, and what starts sessions runs.
func TestABoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := Desk(Policy())
		h.Autologin, h.LoginTakes = "alice", time.Second
		_ = h.Do(context.Background(), fsm.Op{Verb: fsm.MaskNow, Arg: "display-manager.service"})
		h.Reboot(3 * time.Second)
		f := look(h, fsm.Everything)
		u := f.Units.Value["display-manager.service"]
		if len(f.Logins.Value.Sessions) != 0 || len(f.GPU.Value.Holders) != 0 || u.Load != "loaded" || !u.Is(true) || f.Host.Value.Manager != "starting" {
			t.Errorf("%+v", f)
		}
		time.Sleep(5 * time.Second)
		if f = look(h, fsm.Everything); len(f.Logins.Value.Sessions) != 1 || f.Host.Value.Manager != "running" {
			t.Errorf("%+v", f)
		}
	})
}

// A session that ends is closing for a while, and its scope with it; one that keeps a
// process on the GPU keeps it there.
func TestSessionsThatEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := Desk(Policy())
		h.Lingers = time.Second
		h.Break(Fault{Op: fsm.Op{Verb: fsm.EndSession}, Kind: KeepsHolder})
		_ = h.Do(context.Background(), fsm.Op{Verb: fsm.EndSession, Arg: "1"})
		f := look(h, fsm.Everything)
		if s := f.Logins.Value.Sessions; len(s) != 1 || s[0].State != "closing" || f.Units.Value["session-1.scope"].Gone() {
			t.Errorf("%+v", f)
		}
		time.Sleep(2 * time.Second)
		if f = look(h, fsm.Everything); len(f.Logins.Value.Sessions) != 0 || len(f.GPU.Value.Holders) != 1 {
			t.Errorf("%+v", f)
		}
	})
}
