package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/sim"
)

// plays has reaper play on a host, or not.
func (x *idling) plays(on bool) {
	x.host.Change(func(f *fsm.Facts, _ *fsm.Logins, _ map[string]fsm.Unit) {
		f.Audio.Value.Users = some(on, fsm.AudioUse{PID: 7, Comm: "reaper"})
	})
}

// refused is a host on which a person's wish for compute was just refused.
func refused(t *testing.T, change func(*fsm.Policy)) *idling {
	t.Helper()
	x := idle(t, fsm.Desktop, change)
	x.plays(true)
	x.want(fsm.Compute, fsm.Blocked)
	x.after(0)
	return x
}

func TestARefusedWishIsTriedAgainWhenItsCauseIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := refused(t, nil)
		x.nothing(5 * time.Minute)
		if got := x.eng.Snapshot().Waits; !strings.Contains(got, "compute once nothing refuses it; now check_audio_idle (10)") {
			t.Errorf("it waits for %q", got)
		}
		x.plays(false)
		x.nothing(2 * time.Second) // the countdown
		a := x.one(31*time.Second, fsm.ByRetry, fsm.Compute, fsm.Reached)
		if a.Steps[0].Op.Verb != fsm.Countdown || a.Wish.By.UID != 0 {
			t.Errorf("%+v", a)
		}
		x.wishes(fsm.Compute, fsm.Compute)
		if !strings.HasPrefix(x.instead[0], "w-") {
			t.Errorf("it takes the place of %q, not of the wish that was refused", x.instead[0])
		}
		if got := x.eng.Snapshot().Waits; got != "" {
			t.Errorf("it still waits for %q", got)
		}
		x.nothing(24 * time.Hour)
	})
}

// A wish that ends no session needs no countdown.
func TestARetryWithoutASessionIsNotAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := idle(t, fsm.Compute, nil)
		x.host.Change(func(f *fsm.Facts, _ *fsm.Logins, _ map[string]fsm.Unit) {
			f.Holds.Value = []fsm.Hold{{Why: "rendering"}}
		})
		x.want(fsm.Desktop, fsm.Blocked)
		x.after(0)
		x.host.Change(func(f *fsm.Facts, _ *fsm.Logins, _ map[string]fsm.Unit) { f.Holds.Value = nil })
		if a := x.one(2*time.Second, fsm.ByRetry, fsm.Desktop, fsm.Reached); a.Steps[0].Op.Verb == fsm.Countdown {
			t.Errorf("first step %v", a.Steps[0].Op)
		}
	})
}

func TestWhatEndsARetry(t *testing.T) {
	for name, end := range map[string]func(x *idling){
		"cancel":       func(x *idling) { x.eng.Cancel(fsm.NoCaller) },
		"another wish": func(x *idling) { x.want(fsm.Desktop, fsm.Noop) },
		"input": func(x *idling) {
			x.plays(false)
			x.nothing(10 * time.Second)
			x.host.Touch()
			if a := x.one(0, fsm.ByRetry, fsm.Compute, fsm.Cancelled); !strings.Contains(a.Cause, "input on simulated keyboard") {
				x.t.Errorf("cause %q", a.Cause)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := refused(t, func(p *fsm.Policy) { p.Idle.After = 0 })
				end(x)
				x.plays(false)
				x.nothing(24 * time.Hour)
				if got := x.eng.Snapshot().Waits; got != "" {
					t.Errorf("it waits for %q", got)
				}
			})
		})
	}
}

func TestTheGateHoldsARetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := refused(t, func(p *fsm.Policy) { p.Gate.Background = false })
		x.plays(false)
		x.nothing(24 * time.Hour)
		if n := x.notes(fsm.NoteGate); n != 1 {
			t.Errorf("told %d times that it is not tried again\n%s", n, x.tape.text())
		}
	})
}

// What refuses is listened to, for as long as it is waited for, and asked about again
// soon after it told, but no oftener than once in a while.
func TestWhatRefusesIsListenedTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policy()
		p.Gate.Background = true
		p.Idle = fsm.IdlePolicy{After: idleAfter, OnBlock: fsm.OnBlockRevert}
		var heard []fsm.Subject
		looks := 0
		x := &idling{}
		x.rig = start(t, sim.Desk(p), func(o *Options) {
			o.Policy = p
			o.Listen = func(about fsm.Subject) { heard = append(heard, about) }
			o.Host = counted{o.Host, &looks}
		})
		x.state(fsm.AtDesktop)
		x.host.Touch()
		x.plays(true)
		x.nothing(idleAfter + time.Second)
		if fmt.Sprint(heard) != fmt.Sprint([]fsm.Subject{fsm.AboutAudio}) {
			t.Fatalf("listens to %v", heard)
		}
		looks = 0
		for range 100 { // in ten seconds
			x.eng.Hint(fsm.AboutAudio)
			x.nothing(100 * time.Millisecond)
		}
		if looks < 5 || looks > 11 {
			t.Errorf("%d looks at the audio in 10 s", looks)
		}
		looks = 0
		for range 100 {
			x.eng.Hint(fsm.AboutUnits)
			x.nothing(100 * time.Millisecond)
		}
		if looks > 1 {
			t.Errorf("%d looks at the audio by hints about something else", looks)
		}
		x.plays(false)
		x.one(2*time.Second, fsm.ByIdle, fsm.Compute, fsm.Reached)
		if !slices.Equal(heard, []fsm.Subject{fsm.AboutAudio, 0}) {
			t.Errorf("listened to %v", heard)
		}
	})
}

// What changes while the guards are being asked has them asked again.
func TestAChangeWhileTheGuardsAreAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, h := refusedSlowly(t)
		h.inTheMidst()
		x.plays(false)
		x.one(again/2, fsm.ByRetry, fsm.Compute, fsm.Reached)
	})
}

// What the guards said of a wish that was given up meanwhile counts for nothing.
func TestAnAnswerThatComesTooLate(t *testing.T) {
	for name, end := range map[string]func(x *idling){
		"cancel":       func(x *idling) { x.eng.Cancel(fsm.NoCaller) },
		"another wish": func(x *idling) { x.eng.Submit(wish(fsm.Desktop)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, h := refusedSlowly(t)
				x.plays(false)
				h.inTheMidst() // of the look that finds nothing in the way
				end(x)
				x.nothing(24 * time.Hour)
			})
		})
	}
}

// refusedSlowly is a host on which a wish for compute was refused a while ago, and
// which may be made to take its time for the next look at its audio.
func refusedSlowly(t *testing.T) (*idling, *slow) {
	t.Helper()
	var h *slow
	p := policy()
	p.Gate.Background, p.Idle.Retry = true, true
	x := &idling{}
	x.rig = start(t, sim.Desk(p), func(o *Options) {
		o.Policy = p
		h = &slow{Host: o.Host}
		o.Host = h
	})
	x.state(fsm.AtDesktop)
	x.plays(true)
	x.want(fsm.Compute, fsm.Blocked)
	x.nothing(again / 2)
	return x, h
}

// inTheMidst returns while the next look at audio is under way.
func (s *slow) inTheMidst() {
	s.time.Store(int64(500 * time.Millisecond))
	for s.time.Load() != 0 {
		time.Sleep(100 * time.Millisecond)
	}
}

// slow takes its time to answer about audio.
type slow struct {
	Host
	time atomic.Int64
}

func (s *slow) Observe(ctx context.Context, q fsm.Query) fsm.Facts {
	f := s.Host.Observe(ctx, q)
	if q.About&fsm.AboutAudio != 0 {
		time.Sleep(time.Duration(s.time.Swap(0)))
	}
	return f
}

// counted counts the looks at audio.
type counted struct {
	Host
	audio *int
}

func (c counted) Observe(ctx context.Context, q fsm.Query) fsm.Facts {
	if q.About&fsm.AboutAudio != 0 {
		*c.audio++
	}
	return c.Host.Observe(ctx, q)
}
