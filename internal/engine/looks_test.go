package engine

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/sim"
)

// watched is a simulated host that keeps what it was asked, and lets something
// happen right after the last look of an attempt.
type watched struct {
	*sim.Host
	after func()

	mu   sync.Mutex
	last fsm.Subject
}

const lastLook = fsm.Core | fsm.AboutGPU | fsm.AboutWorkers

func (w *watched) Observe(ctx context.Context, q fsm.Query) fsm.Facts {
	f := w.Host.Observe(ctx, q)
	w.mu.Lock()
	w.last = q.About
	w.mu.Unlock()
	if q.About == lastLook && w.after != nil {
		w.after()
	}
	return f
}

func (w *watched) asked() fsm.Subject {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

func TestACleanEndIsNotLookedAtAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watched{Host: sim.Desk(policy())}
		r := start(t, w.Host, func(o *Options) { o.Host = w })
		r.want(fsm.StudioLocal, fsm.Reached)
		r.state(fsm.AtStudioLocal)
		if w.asked() != lastLook {
			t.Errorf("after the attempt's own last look there was one at %b", w.asked())
		}
	})
}

func TestWhatHappensDuringTheLastLookIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watched{Host: sim.Desk(policy())}
		w.after = func() {
			w.after = nil
			w.Change(func(_ *fsm.Facts, _ *fsm.Logins, units map[string]fsm.Unit) {
				name := policy().Units.StudioPolicy
				u := units[name]
				u.Active, u.Sub = "inactive", "dead"
				units[name] = u
			})
		}
		r := start(t, w.Host, func(o *Options) { o.Host = w })
		r.want(fsm.StudioLocal, fsm.Reached)
		r.state(fsm.AtDesktop)
	})
}

// A look at rest that an attempt overtook shows a host of the past.
func TestALookThatAnAttemptOvertook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hooked{Host: sim.Desk(policy())}
		r := start(t, h.Host, func(o *Options) { o.Host = h })
		h.after = once(func() bool { return true }, func() { time.Sleep(time.Second) })
		r.eng.Hint(fsm.Core)
		time.Sleep(100 * time.Millisecond)
		r.want(fsm.StudioLocal, fsm.Reached)
		time.Sleep(time.Minute)
		r.state(fsm.AtStudioLocal)
		if strings.Contains(r.tape.text(), "drifted") {
			t.Errorf("a drift was seen that never was\n%s", r.tape.text())
		}
	})
}
