package engine

import (
	"fmt"
	"strings"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/guards"
)

// bootStep brings a start to rest (D11): it settles what a predecessor left
// unfinished, normalises the first start of a boot, or adopts what it sees. It
// is called with each observation until the machine has left boot.
func (l *loop) bootStep(o fsm.Observation, f fsm.Facts) {
	if o.Mode == fsm.Unknown {
		l.relook.Later()
		l.once("unknown", fsm.NoteUnreadable, strings.Join(o.Evidence, "; "), nil)
		l.refuseNext(o)
		return
	}
	if l.opt.First && f.Host.OK && f.Host.Value.Manager == "starting" {
		l.relook.Later()
		l.once("starting", fsm.NoteSource, "waiting for the manager to finish starting", nil)
		return
	}
	l.relook.Stop()
	if l.intent != nil {
		l.resume(o)
		return
	}
	if l.opt.First && l.opt.Wish == nil { // a wish that came meanwhile is followed after
		l.normalise(o, f)
		return
	}
	l.leaveBoot(o)
}

// refuseNext answers the wish that waits while the host cannot be read. The start
// goes on: what a predecessor left is settled, and a boot normalised, when it can.
func (l *loop) refuseNext(o fsm.Observation) {
	if l.next == nil {
		return
	}
	v := guards.CannotTellMode(strings.Join(o.Evidence, "; "))
	a := l.unbegun(*l.next, fsm.Blocked, v.Reason)
	a.Verdicts, a.Exit, a.Halt = []fsm.Verdict{v}, v.Code, fsm.HaltGuard
	l.next = nil
	l.record(fsm.Refusal{Attempt: a.ID, Verdict: v, At: a.Ended})
	l.finish(a)
}

// leaveBoot adopts the observed mode and follows the wish that came meanwhile.
func (l *loop) leaveBoot(o fsm.Observation) {
	l.booting = false
	l.fire(fsm.AdoptMode(o.Mode), strings.Join(o.Evidence, "; "))
	if w := l.next; w != nil {
		l.next = nil
		l.start(*w)
		return
	}
	if l.watches() != 0 {
		l.Hint(fsm.Core) // for the triggers
	}
}

// normalise wishes for desktop, as every boot does (section 19.15), and starts
// desktop.target where nothing is in the way. It never isolates.
func (l *loop) normalise(o fsm.Observation, f fsm.Facts) {
	w := fsm.Wish{ID: l.opt.NewID(), Mode: fsm.Desktop, Reason: fsm.ByBoot, By: fsm.NoCaller, At: time.Now()}
	if l.next == nil {
		l.snap.Wish = &w
		if l.opt.BootWish != nil {
			l.opt.BootWish(w)
		}
	}
	plan := fsm.NormalisePlan(o, f, l.opt.Policy)
	if plan.Empty() {
		l.leaveBoot(o)
		return
	}
	l.launch(w, &plan, nil)
}

// resume ends an attempt that a predecessor left: forward if its wish stands
// and it had passed the point of no return, else back (D11).
func (l *loop) resume(o fsm.Observation) {
	in := l.intent
	l.intent = nil
	last := l.past(in.ID)
	switch {
	case last == nil:
		l.finish(interrupted(in, o))
	case last.Halt != fsm.HaltShutdown && !(last.Halt == fsm.HaltSupersede && in.NoReturn):
		l.clear() // it had ended, and its controller died before it could do this
		l.Hint(fsm.Core)
		return
	}
	stands := l.snap.Wish != nil && l.snap.Wish.Mode == in.Plan.To
	switch {
	case in.Boot != l.opt.Boot:
		l.clear()
		l.Hint(fsm.Core)
	case stands && in.NoReturn && !in.Undoing && (l.next == nil || l.next.Mode == in.Plan.To):
		w := *l.snap.Wish
		if w.Reason = fsm.ByRecovery; l.next == nil {
			w.ID = l.opt.NewID()
		}
		l.next = nil     // the same wish again: it is served by this
		l.residue = true // of the predecessor, should a guard now refuse to go on
		l.launch(w, leftOver(in, o), nil)
	default:
		l.back(in, o)
	}
}

// past returns the record of a finished attempt, nil if there is none. The last one
// is forgotten by a boot, and may be that of a wish for which none was made.
func (l *loop) past(id string) *fsm.Attempt {
	if a := l.opt.Last; a != nil && a.ID == id {
		return a
	}
	if l.opt.Past == nil {
		return nil
	}
	return l.opt.Past(id)
}

// interrupted is the record of an attempt whose controller died.
func interrupted(in *fsm.Intent, o fsm.Observation) fsm.Attempt {
	return fsm.Attempt{Schema: fsm.Schema, ID: in.ID, Wish: in.Wish, Kind: in.Plan.Kind, From: in.Plan.From,
		To: in.Plan.To, Final: o.Mode, Outcome: fsm.Interrupted, Exit: fsm.ExitCode(fsm.Interrupted, 0, false),
		Halt: fsm.HaltShutdown, Cause: fmt.Sprintf("the controller ended at step %d of %d", in.Step, len(in.Plan.Steps)),
		Begun: in.Begun, Ended: time.Now(), Degraded: o.Degraded, Evidence: o.Evidence}
}

// leftOver is what an interrupted attempt had still to do in the mode that it
// had reached already, such as the wait for a model's load; nil where a new plan
// has to be made.
func leftOver(in *fsm.Intent, o fsm.Observation) *fsm.Plan {
	if o.Mode != in.Plan.To || in.Step < 1 || in.Step > len(in.Plan.Steps) {
		return nil
	}
	plan := fsm.Plan{Kind: fsm.Repair, From: o.Mode, To: o.Mode}
	for _, s := range in.Plan.Steps[in.Step-1:] {
		switch s.Verb {
		case fsm.Isolate: // its target is active, or this would not be its mode
			continue
		case fsm.SetBudgets:
			s.Undo = fsm.Op{} // the mode stays, whatever fails
		}
		plan.Steps = append(plan.Steps, s)
	}
	if plan.Empty() {
		return nil
	}
	return &plan
}

// back takes back the steps of an interrupted attempt, if any can be.
func (l *loop) back(in *fsm.Intent, o fsm.Observation) {
	plan := fsm.Plan{Kind: fsm.WalkBack, From: o.Mode, To: in.Plan.From, Steps: in.Plan.Undo(in.Step)}
	if plan.Empty() {
		l.clear()
		l.leaveBoot(o)
		return
	}
	w := in.Wish
	w.ID, w.Mode, w.Reason = l.opt.NewID(), in.Plan.From, fsm.ByRecovery
	l.launch(w, &plan, in)
}

// clear gives up the write-ahead record; a nil one cannot fail.
func (l *loop) clear() { _ = l.opt.Recorder.Ahead(nil) }
