package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// loop is the state that only Run's goroutine touches.
type loop struct {
	*Engine
	ctx      context.Context
	machine  *fsm.Machine
	snap     fsm.Snapshot
	running  *attempt
	next     *fsm.Wish // the newest wish that waits for the running attempt
	joined   []string  // ids of wishes that the running attempt serves besides
	booting  bool      // until the first start has come to rest
	intent   *fsm.Intent
	leaving  bool      // Run ends with the running attempt
	residue  bool      // an attempt was left past its point of no return
	looking  bool      // an observation at rest is under way
	stale    bool      // it began before an attempt did
	breath   time.Time // no look at rest before
	paused   bool      // a hint waits for that
	relook   backoff
	triggers triggers
	told     map[string]string // the cause told last, by what it is the cause of
}

// Run owns the machine until ctx ends; it then winds a running attempt down
// and returns nil (design.md section 4).
func (e *Engine) Run(ctx context.Context) error {
	l := &loop{Engine: e, ctx: ctx, machine: fsm.NewMachine(), snap: e.Snapshot(), booting: true,
		intent: e.opt.Intent, relook: newBackoff(), told: map[string]string{}}
	l.snap.Wish, l.snap.Last = e.opt.Wish, e.opt.Last
	l.snap.Since = time.Now()
	l.triggers.afresh()
	defer close(e.stopped)
	l.publish()
	if e.opt.Ready != nil {
		e.opt.Ready()
	}
	e.Hint(fsm.Core)
	l.serve()
	return nil
}

// serve is the loop itself. It ends when ctx is done and no attempt is left.
func (l *loop) serve() {
	stop := l.ctx.Done()
	for {
		select {
		case m := <-l.inbox:
			l.handle(m)
		case <-l.wake:
			l.hinted()
		case <-l.relook.C():
			l.Hint(fsm.Core)
		case <-l.triggers.C():
			l.Hint(fsm.Core)
		case <-l.opt.Beat:
			l.opt.Alive()
		case <-stop:
			stop = nil
			l.drop(fsm.Interrupted, l.closing())
			if l.running != nil {
				l.running.halt(fsm.HaltShutdown)
			}
		}
		if (stop == nil || l.leaving && l.next == nil) && l.running == nil && !l.looking && !l.triggers.asking {
			return
		}
	}
}

func (l *loop) handle(m any) {
	switch m := m.(type) {
	case wished:
		l.wished(m.wish)
	case cancelled:
		l.cancelled(m.by)
	case rejected:
		l.finish(l.unbegun(m.wish, fsm.Failed, m.cause))
	case finishing:
		l.leaving = true
	case goingDown:
		l.drop(fsm.Interrupted, hostGoesDown)
		if l.running != nil {
			l.running.halt(fsm.HaltShutdown)
		}
	case noted:
		l.record(m.note)
	case weighed:
		l.weighed(m)
	case observed:
		l.looking = false
		l.breathe(m.took)
		l.rested(m.facts)
		l.stale = false
	case begun:
		l.begun(m)
	case progressed:
		l.progressed(m)
	case ended:
		l.ended(m)
	default:
		l.note(fsm.NoteTable, fmt.Sprintf("cannot handle a message of type %T", m), nil)
	}
}

func (l *loop) begun(m begun) {
	l.look(fsm.Classify(m.facts, l.opt.Policy))
	p := m.plan
	if !(fsm.Direct(p.From, p.To) && l.restsIn(p.From)) && l.machine.State() != fsm.Transitioning {
		l.fire(fsm.Begin, "")
	}
	l.record(fsm.AttemptBegun{ID: l.running.id, Wish: l.running.wish, Plan: p, At: time.Now()})
	l.publish()
}

func (l *loop) restsIn(m fsm.Mode) bool { return l.machine.State() == fsm.Resting(m) }

// progressed takes what an attempt tells on its way: a record, or what is under way.
func (l *loop) progressed(m progressed) {
	if m.record != nil {
		l.record(m.record)
	}
	if m.running != nil {
		l.snap.Attempt = m.running
		l.publish()
	}
}

// ended walks the edges of an attempt's outcome, records it, and follows the
// wish that waits.
func (l *loop) ended(m ended) {
	a := m.attempt
	a.Joined = l.joined
	for _, e := range fsm.EndEdges(l.machine.State(), a.Outcome, m.after) {
		l.fire(e, a.Cause)
	}
	l.joined, l.running, l.snap.Attempt = nil, nil, nil
	l.opt.Host.Attend(false)
	l.look(m.after)
	l.booting = false
	l.end(a, m.settled)
	l.tried(a)
	l.reverts(a)
	if l.follow(m) {
		return
	}
	if !a.Success || l.dirty.Load() != 0 || l.watches() != 0 {
		l.Hint(fsm.Core) // what happened since its last look is looked at now
	}
}

// follow starts what comes after an attempt: the wish that waits, or, where an
// attempt was left half way for a wish that then was refused or cancelled, the repair
// of the mode that is observed, so that nobody stays without a login.
func (l *loop) follow(m ended) bool {
	mode := m.after.Mode
	left := (l.residue && m.attempt.Outcome == fsm.Blocked || m.half) && mode != fsm.Unknown
	l.residue = m.half
	switch {
	case l.closing() != "": // whoever waits is answered by what closes
	case l.next != nil:
		w := *l.next
		l.next = nil
		l.start(w)
		return true
	case left:
		l.residue = false
		l.start(fsm.Wish{ID: l.opt.NewID(), Mode: mode, Reason: fsm.ByRecovery, By: fsm.NoCaller, At: time.Now()})
		return true
	}
	return false
}

func (l *loop) finish(a fsm.Attempt) { l.end(a, false) }

// end does so for an attempt whose write-ahead record may be settled: it goes
// between the record and what shows that the host rests (D6).
func (l *loop) end(a fsm.Attempt, settled bool) {
	l.snap.Last = &a
	l.record(fsm.AttemptEnded{Attempt: a})
	if settled {
		l.clear()
	}
	l.publish()
	if l.opt.Ended != nil {
		l.opt.Ended(a)
	}
}

// fire walks one edge and records it. A refusal is a bug of ours: told, and
// answered by a fresh look, never by a wrong state.
func (l *loop) fire(e fsm.Event, cause string) {
	row, err := l.machine.Fire(e)
	if err != nil {
		l.note(fsm.NoteTable, err.Error(), nil)
		l.Hint(fsm.Core)
		return
	}
	edge := fsm.Edge{Row: row, At: time.Now(), Cause: cause}
	if l.running != nil {
		edge.Attempt, edge.Wish = l.running.id, l.running.wish
	} else if l.snap.Wish != nil {
		edge.Wish = *l.snap.Wish
	}
	l.snap.State, l.snap.Since = row.To, edge.At
	l.record(edge)
}

func (l *loop) record(r fsm.Record) { l.opt.Recorder.Record(r) }

func (l *loop) note(what, text string, w *fsm.Wish) {
	l.record(fsm.Note{What: what, Text: text, At: time.Now(), Wish: w})
}

// once notes a cause that is another than the one told last since the last wish.
func (l *loop) once(key, what, text string, w *fsm.Wish) {
	if l.told[key] != text {
		l.told[key] = text
		l.note(what, text, w)
	}
}

func (l *loop) publish() {
	l.snap.At = time.Now()
	s := l.snap
	l.shown.Store(&s)
	l.opt.Recorder.Publish(s)
}
