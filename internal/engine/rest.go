package engine

import (
	"fmt"
	"strings"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// hinted wakes a running attempt, or looks at the host if nothing runs.
func (l *loop) hinted() {
	if l.running != nil {
		l.running.hint()
		return
	}
	if l.looking || l.ctx.Err() != nil {
		return // the look under way ends with another, if hints came meanwhile
	}
	if wait := time.Until(l.breath); wait > 0 && !l.booting {
		if !l.paused {
			l.paused = true
			time.AfterFunc(wait, func() { l.Hint(0) })
		}
		return
	}
	l.paused = false
	heard := fsm.Subject(l.dirty.Swap(0))
	l.triggers.heard(heard)
	if !l.heeds(heard) {
		return
	}
	l.looking = true
	about := fsm.Core | l.watches()
	if l.machine.State() == fsm.FailedTransition {
		about |= fsm.AboutGPU | fsm.AboutWorkers // a holder there keeps a failure from being over
	}
	go func() {
		began := time.Now()
		f := observe(l.ctx, l.opt.Host, l.opt.Policy, fsm.Query{About: about})
		l.send(observed{f, time.Since(began)})
	}()
}

// breathe keeps the next look at rest from following too soon on one that took so
// long: however fast a host changes, looking at it takes a tenth of the time.
func (l *loop) breathe(took time.Duration) {
	l.breath = time.Now().Add(min(9*took, breathMost))
}

const breathMost = time.Second

// look takes an observation into the snapshot.
func (l *loop) look(o fsm.Observation) { l.snap.Observation = o }

// rested handles an observation that was made while no attempt ran: the first
// one of a start, a drift by hand, the end of a failure, a host that cannot be
// read.
func (l *loop) rested(f fsm.Facts) {
	defer l.publish()
	if l.dirty.Load() != 0 {
		l.Hint(0)
	}
	if l.running != nil || l.ctx.Err() != nil {
		return // a wish came while we looked; its attempt looks for itself
	}
	if l.stale {
		l.Hint(fsm.Core) // an attempt has come and gone since it began
		return
	}
	before := l.snap.Observation
	o := fsm.Classify(f, l.opt.Policy)
	l.look(o)
	if l.booting {
		if l.closing() == "" {
			l.bootStep(o, f)
		}
		return
	}
	if o.Mode == fsm.Unknown {
		l.relook.Later()
		l.once("unknown", fsm.NoteUnreadable, strings.Join(o.Evidence, "; "), nil)
		return
	}
	delete(l.told, "unknown")
	l.settle(o)
	l.tellDeviations(before, o)
	l.feel(o, f)
}

// settle walks the edge between what the machine rests in and what is observed.
func (l *loop) settle(o fsm.Observation) {
	l.relook.Stop()
	state := l.machine.State()
	rest, resting := state.Mode()
	switch {
	case state == fsm.FailedTransition && fsm.Clean(o):
		l.fire(fsm.RecoveredMode(o.Mode), "observed "+string(o.Mode)+" in order")
	case state == fsm.FailedTransition:
		l.relook.Later()
	case resting && rest != o.Mode:
		l.fire(fsm.DriftedTo(o.Mode), "changed by hand: "+strings.Join(o.Evidence, "; "))
	}
}

// tellDeviations notes deviations that were not there before.
func (l *loop) tellDeviations(before, now fsm.Observation) {
	had := map[string]bool{}
	for _, d := range before.Degraded {
		had[d.What] = true
	}
	for _, d := range now.Degraded {
		if !had[d.What] {
			l.note(fsm.NoteDegraded, fmt.Sprintf("%s: %s", d.What, d.Evidence), nil)
		}
	}
}

// backoff is a timer that runs only while something is amiss: one second, then
// doubled up to half a minute (D20).
type backoff struct {
	timer *time.Timer
	wait  time.Duration
}

const (
	relookFirst = time.Second
	relookMost  = 30 * time.Second
)

func newBackoff() backoff { return backoff{wait: relookFirst} }

// C returns the channel of the next look, nil while none is due.
func (b *backoff) C() <-chan time.Time {
	if b.timer == nil {
		return nil
	}
	return b.timer.C
}

// Later plans the next look.
func (b *backoff) Later() {
	if b.timer != nil {
		b.timer.Stop()
	}
	b.timer = time.NewTimer(b.wait)
	b.wait = min(b.wait*2, relookMost)
}

// Stop ends the looking, since all is well.
func (b *backoff) Stop() {
	if b.timer != nil {
		b.timer.Stop()
	}
	*b = newBackoff()
}
