package engine

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
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

// However fast a host changes, looking at it at rest takes a tenth of the time, and the
// last change is seen.
func TestAStormOfHints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var looks atomic.Int64
		r := start(t, sim.Desk(policy()), func(o *Options) { o.Host = laggard{o.Host, &looks} })
		time.Sleep(time.Minute)
		r.state(fsm.AtDesktop)
		looks.Store(0)
		for range 10000 { // in ten seconds
			r.eng.Hint(fsm.AboutUnits)
			time.Sleep(time.Millisecond)
		}
		r.host.Change(func(_ *fsm.Facts, l *fsm.Logins, units map[string]fsm.Unit) {
			*l = fsm.Logins{}
			units["compute.target"] = fsm.Unit{Name: "compute.target", Load: "loaded", Active: "active", CanIsolate: true}
			units["desktop.target"] = fsm.Unit{Name: "desktop.target", Load: "loaded", Active: "inactive", CanIsolate: true}
		})
		if n := looks.Load(); n < 20 || n > 26 {
			t.Errorf("%d looks of 40 ms in 10 s", n)
		}
		time.Sleep(time.Second)
		r.state(fsm.AtCompute)
		at := looks.Load()
		time.Sleep(time.Hour)
		if n := looks.Load(); n > at+1 {
			t.Errorf("%d looks in an hour without a change", n-at)
		}
	})
}

// laggard takes 40 ms for a look.
type laggard struct {
	Host
	looks *atomic.Int64
}

func (l laggard) Observe(ctx context.Context, q fsm.Query) fsm.Facts {
	l.looks.Add(1)
	time.Sleep(40 * time.Millisecond)
	return l.Host.Observe(ctx, q)
}
