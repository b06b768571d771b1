package soak

import (
	"slices"
	"strings"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// What must hold of the story that is recorded; all are called with the world's lock.

func (l *life) recorded(r fsm.Record) {
	switch r := r.(type) {
	case fsm.Edge:
		l.onlyEdgesOfTheTable(r)
		if r.Row.From == fsm.Boot && r.Row.To != fsm.Transitioning {
			l.forwardOrBack(nil, r.Row.To)
		}
	case fsm.Note:
		if r.What == fsm.NoteTable {
			l.fail("onlyEdgesOfTheTable", "%s", r.Text)
		}
	case fsm.AttemptBegun:
		l.figs.attempts++
		l.figs.plans[planName(r.Plan)]++
		l.forwardOrBack(&r.Plan, fsm.Transitioning)
		l.hold("oneAttemptAtATime")
		if l.cur != nil {
			l.fail("oneAttemptAtATime", "%s begins before %s has ended", r.ID, l.cur.id)
		}
		l.cur = &running{id: r.ID, plan: r.Plan, begun: r.At}
	case fsm.StepBegan:
		if r.N < 1 || r.N > r.Of {
			l.fail("stepsInOrder", "step %d of %d: %s", r.N, r.Of, r.Step.Op)
		}
	case fsm.AttemptEnded:
		l.attemptEnded(r.Attempt)
	}
}

func (l *life) attemptEnded(a fsm.Attempt) {
	l.figs.outcomes[a.Outcome]++
	if a.Outcome == fsm.Noop {
		l.figs.attempts++
	}
	l.failureComplete(a)
	l.oneOutcome(a)
	l.successOnlyObserved(a)
	l.finalObserved(a)
	if l.cur != nil && l.cur.id == a.ID {
		l.withinBound(a)
		l.stepsInOrder(a)
		l.notUndoneForTheNext(a)
		l.walkedBack(a)
		l.cur = nil
	}
}

// onlyEdgesOfTheTable: "A table-refused event is a bug of ours" (design, section 4).
func (l *life) onlyEdgesOfTheTable(e fsm.Edge) {
	l.hold("onlyEdgesOfTheTable")
	if !slices.Contains(fsm.Table, e.Row) {
		l.fail("onlyEdgesOfTheTable", "%v", e.Row)
	}
}

// failureComplete: "every failure is logged with: desired state, prior state, failing
// guard or action, timestamp" (section 13.3).
func (l *life) failureComplete(a fsm.Attempt) {
	if a.Success {
		return
	}
	l.hold("failureComplete")
	bad := func(why string) { l.fail("failureComplete", "%s, %s: %s", a.ID, a.Outcome, why) }
	_, known := fsm.ParseMode(string(a.Wish.Mode))
	switch {
	case !known || a.To == "":
		bad("no desired state")
	case a.From == "":
		bad("no prior state")
	case strings.TrimSpace(a.Cause) == "":
		bad("no cause")
	case a.Begun.IsZero() || a.Ended.Before(a.Begun):
		bad("no time")
	case a.Exit == 0:
		bad("exit 0")
	case a.Halt == fsm.HaltGuard && !slices.ContainsFunc(a.Verdicts, func(v fsm.Verdict) bool { return !v.OK && v.Guard != "" && v.Reason != "" }):
		bad("no failing guard")
	case a.Halt == fsm.HaltStep && a.Kind != fsm.WalkBack && !slices.ContainsFunc(a.Steps, func(s fsm.StepResult) bool { return s.Result != "done" && s.Cause != "" }) && !strings.Contains(a.Cause, "write-ahead"):
		bad("no failing action: " + a.Cause)
	}
}

// oneOutcome: "One place sets the outcome" (D6): each attempt ends once, and each wish
// that was admitted is answered once.
func (l *life) oneOutcome(a fsm.Attempt) {
	l.hold("oneOutcome")
	if !slices.Contains(fsm.Outcomes, a.Outcome) {
		l.fail("oneOutcome", "%s ended %q", a.ID, a.Outcome)
	}
	for i := range l.wishes {
		if m := &l.wishes[i]; a.Serves(m.wish.ID) {
			if m.answers++; m.answers > 1 && !m.lost {
				l.fail("oneOutcome", "%s was answered %d times", m.wish.ID, m.answers)
			}
		}
	}
}

// withinBound: "Nothing that can hang runs without a deadline": an attempt ends within
// the policy's bound for the whole, that of the step under way, and those of what
// takes the steps back (D6, D8).
func (l *life) withinBound(a fsm.Attempt) {
	l.hold("withinBound")
	steps := l.cur.plan.Steps
	bound := l.policy.Overall + time.Duration(4+2*len(steps))*(l.policy.Deadlines.Observe+time.Millisecond)
	for _, s := range steps {
		bound += s.Deadline + l.policy.Deadlines.Observe
	}
	if took := a.Ended.Sub(a.Begun); took > bound {
		l.fail("withinBound", "%s took %s, more than %s", a.ID, took, bound)
	}
}

// successOnlyObserved: "A transition must either complete to a stable target state or
// abort" (section 6.1); success is what the last look showed, and what is so (where
// that look was not lied to).
func (l *life) successOnlyObserved(a fsm.Attempt) {
	if !a.Success {
		return
	}
	l.hold("successOnlyObserved")
	t := &l.told
	if a.Final != a.To || t.full != a.To {
		l.fail("successOnlyObserved", "%s to %s ended %s in %s, the last look showed %s", a.ID, a.To, a.Outcome, a.Final, t.full)
		return
	}
	if why := lacking(a.To, t.fullOf, l.policy); why != "" {
		l.fail("successOnlyObserved", "%s ended %s in %s, but %s", a.ID, a.Outcome, a.Final, why)
	}
	if !t.fullLie && !slices.Contains(t.true[:], a.To) {
		l.fail("successOnlyObserved", "%s ended in %s, but the host was in %s", a.ID, a.Final, t.true)
	}
	if a.Outcome != fsm.Reached || a.Kind == fsm.WalkBack {
		return
	}
	if n := len(l.cur.plan.Steps); len(a.Steps) < n {
		l.fail("successOnlyObserved", "%s reached %s by %d of %d steps", a.ID, a.To, len(a.Steps), n)
	}
}

// walkedBack: "A transition must either complete to a stable target state or abort
// back to a known-safe prior state" (section 6.1): what was taken back is as it was,
// where nothing but plain failures came between.
func (l *life) walkedBack(a fsm.Attempt) {
	if a.Outcome != fsm.Recovered || a.Kind != fsm.Transition || l.tainted || l.lated || l.misled || l.stoodID != a.ID || l.host.StopsTake > 0 || l.host.Autologin != "" || l.host.StarterEnds {
		return
	}
	l.hold("walkedBack")
	now := l.host.Truth(fsm.Query{About: fsm.AboutUnits}).Units.Value
	for _, name := range l.policy.Units.Watched() {
		was, is := l.stood[name], now[name]
		if name == l.policy.Units.Desktop && is.Is(true) || name == l.policy.Units.Compute && a.From != fsm.Compute {
			continue // what takes an isolate back isolates desktop.target, whatever was up before
		}
		if name == starter && (was.Load == "masked" || a.From == fsm.Compute) || slices.Contains(l.policy.Units.AIUnits(), name) && !slices.Contains(l.policy.Units.AI[a.From], name) {
			continue // a login that was held back is let go, one let in does not outlast an isolate of compute, a foreign AI unit stays away
		}
		if (name == l.policy.Units.AudioPriority || name == l.policy.Units.StudioPolicy) && a.From != fsm.StudioLocal {
			continue // what the studio left beside the desktop does not outlast an isolate, and is none of the desktop's
		}
		if was.Active == "deactivating" || was.Active == "activating" {
			continue // it was on its way
		}
		if was.Is(true) != is.Is(true) || was.Load != is.Load {
			l.fail("walkedBack", "%s: %s was %s and %s, is %s and %s", a.ID, name, was.Load, was.Active, is.Load, is.Active)
		}
	}
}

// finalObserved: "Current state is observed runtime fact" (section 6.2).
func (l *life) finalObserved(a fsm.Attempt) {
	l.hold("finalObserved")
	if a.Final != fsm.Unknown && !slices.Contains(l.told.modes, a.Final) {
		l.fail("finalObserved", "%s ended in %s, but the looks showed %v", a.ID, a.Final, l.told.modes)
	}
}

// stepsInOrder: steps go in the order of the plan and stop at the first that is not
// done; "Undo runs in reverse over the steps that ran" (D8).
func (l *life) stepsInOrder(a fsm.Attempt) {
	l.hold("stepsInOrder")
	l.hold("undoInReverse")
	var forward, back []fsm.Op
	stopped := false
	for _, s := range a.Steps {
		switch {
		case s.Undo:
			back = append(back, s.Op)
		case stopped:
			l.fail("firstFailureStops", "%s: %s after a step that was not done", a.ID, s.Op)
		default:
			forward = append(forward, s.Op)
			stopped = s.Result != "done" && s.Op.Verb != fsm.Drain
		}
	}
	plan := l.cur.plan
	for i, op := range forward {
		if i >= len(plan.Steps) || plan.Steps[i].Op != op {
			l.fail("stepsInOrder", "%s: step %d was %s", a.ID, i+1, op)
			return
		}
	}
	undo := plan.Undo(len(forward))
	if plan.Kind == fsm.WalkBack {
		undo = plan.Steps
	}
	for _, s := range undo {
		if len(back) > 0 && back[0] == s.Op {
			back = back[1:]
		}
	}
	if len(back) > 0 {
		l.fail("undoInReverse", "%s: %v is not in the order of %v", a.ID, back, undo)
	}
}

// notUndoneForTheNext: "After it: awaits are interruptible at the next step boundary,
// then the new wish is planned from what is observed" (D9): nothing is taken back.
func (l *life) notUndoneForTheNext(a fsm.Attempt) {
	l.hold("notUndoneForTheNext")
	if a.Outcome == fsm.Superseded && l.passed == a.ID && slices.ContainsFunc(a.Steps, func(s fsm.StepResult) bool { return s.Undo }) {
		l.fail("notUndoneForTheNext", "%s was past its point of no return: %v", a.ID, a.Steps)
	}
}

// forwardOrBack: "A write-ahead record of this boot id: observe; forward if the wish
// still stands and the point of no return was passed, else back" (D11): a start comes
// to rest by no other way than what it owes.
func (l *life) forwardOrBack(begun *fsm.Plan, to fsm.State) {
	in := l.owed
	l.owed = nil
	if in == nil || in.Boot != l.bootID() || l.closing() {
		return
	}
	l.hold("forwardOrBack")
	stands := l.owedWish == in.Plan.To && l.snap.Wish != nil && l.snap.Wish.Mode == in.Plan.To
	forward := stands && in.NoReturn && !in.Undoing
	switch {
	case begun == nil && !forward && len(in.Plan.Undo(in.Step)) == 0:
	case begun == nil && forward && to == fsm.Resting(in.Plan.To): // it is there
	case begun == nil:
		l.fail("forwardOrBack", "the start rests in %s, though %s is half way: %s", to, in.ID, intentName(in))
	case !forward && begun.Kind != fsm.WalkBack && l.owedWish == in.Plan.From && len(in.Plan.Undo(in.Step)) > 0:
		l.fail("forwardOrBack", "%s for %s", planName(*begun), intentName(in))
	}
}

func (l *life) closing() bool { return l.going || l.wakes != "" }

// leavesWhatIsOwed: an attempt that a stop has interrupted past its point of no return
// leaves its record for the next start (D11).
func (w *world) leavesWhatIsOwed(l *life) {
	h := w.disk.history
	for i := len(h) - 1; i >= 0; i-- {
		if a := h[i]; a.ID == l.passed && l.passed != "" {
			if a.Outcome == fsm.Interrupted && slices.ContainsFunc(a.Steps, ends) && w.disk.intent == nil {
				w.fail("forwardOrBack", "%s was interrupted past its point of no return, and its record is gone", a.ID)
			}
			return
		}
	}
}

// ends tells of a step that ends somebody's session.
func ends(s fsm.StepResult) bool { return s.Op.Verb == fsm.EndSession || s.Op.Verb == fsm.StopDesktop }

func planName(p fsm.Plan) string {
	return string(p.Kind) + " " + string(p.From) + " to " + string(p.To)
}
