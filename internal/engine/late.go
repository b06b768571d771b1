package engine

import (
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// A wish is kept on disk as handled before the engine is told of it (D4). What
// comes when Run has just ended must therefore go on to the next engine, or be
// answered: it would never be found again.

func (e *Engine) tooLate(m any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.late = append(e.late, m)
}

// leftover returns, in order, what Run has not handled, once.
func (e *Engine) leftover() []any {
	var out []any
	for len(e.inbox) > 0 {
		out = append(out, <-e.inbox)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	out, e.late = append(out, e.late...), nil
	return out
}

// Inherit hands e, in order, what came too late for a predecessor. It waits for
// e's Run; whoever submits to the predecessor has to have ended before.
func (e *Engine) Inherit(old *Engine) {
	for _, m := range old.leftover() {
		switch m.(type) {
		case wished, cancelled, rejected, noted:
			e.send(m)
		}
	}
}

// Dismiss records each wish that came too late as interrupted, for an engine
// that has no successor; whoever submits has to have ended before.
func (e *Engine) Dismiss() {
	for _, m := range e.leftover() {
		switch m := m.(type) {
		case wished:
			e.opt.Recorder.Record(fsm.AttemptEnded{Attempt: e.unbegun(m.wish, fsm.Interrupted, "the controller had ended before it could begin")})
		case rejected:
			e.opt.Recorder.Record(fsm.AttemptEnded{Attempt: e.unbegun(m.wish, fsm.Failed, m.cause)})
		case noted:
			e.opt.Recorder.Record(m.note)
		}
	}
}

// unbegun is the record of a wish for which no attempt was made.
func (e *Engine) unbegun(w fsm.Wish, out fsm.Outcome, cause string) fsm.Attempt {
	now, mode := time.Now(), e.Snapshot().Observation.Mode
	return fsm.Attempt{Schema: fsm.Schema, ID: e.opt.NewID(), Wish: w, Kind: fsm.Transition,
		From: mode, To: w.Mode, Final: mode, Outcome: out,
		Exit: fsm.ExitCode(out, 0, false), Cause: cause, Begun: now, Ended: now}
}

const hostGoesDown = "the host goes down"

// closing says why no attempt is begun any more, "" while one may be (D11).
func (l *loop) closing() string {
	switch {
	case l.opt.Going != nil && l.opt.Going():
		return hostGoesDown
	case l.ctx.Err() != nil:
		return "the controller was told to stop"
	}
	return ""
}
