package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// takeBack undoes what the halt asks to, and tells how the attempt ends then.
// Where the host goes down that is what ended it, and nothing more is taken back:
// what went wrong meanwhile may be its doing (D11).
func (a *attempt) takeBack(halt fsm.Halt, cause string) (fsm.Halt, string, bool) {
	if halt == fsm.NoHalt {
		return halt, cause, true
	}
	down := a.goingDown()
	undone := a.undo(halt)
	if halt != fsm.HaltShutdown && a.changed && (down || !undone && a.goingDown()) {
		return fsm.HaltShutdown, hostGoesDown + "; before that: " + cause, undone
	}
	return halt, cause, undone
}

// undo takes back the steps that ran, last first, and tells whether nothing of
// it was refused or failed (D8). It is detached from whoever asked: nothing
// cuts it short but the deadlines of its steps.
func (a *attempt) undo(halt fsm.Halt) bool {
	switch {
	case a.goingDown():
		return true // D11
	case halt == fsm.HaltSupersede && a.noReturn:
		return true // the next plan starts from what is observed (D9)
	case halt == fsm.HaltShutdown && a.noReturn:
		return true // the next start goes on (D11)
	}
	steps := a.plan.Undo(a.step)
	if len(steps) == 0 {
		return true
	}
	a.mu.Lock()
	a.stage = fsm.Leaving
	a.mu.Unlock()
	if who := a.newcomer(); who != "" {
		a.report(fsm.Note{What: fsm.NoteDegraded, At: time.Now(),
			Text: "nothing is taken back: " + who + " began after this attempt"})
		return false
	}
	return a.undoSteps(steps)
}

// walkBack takes back what an interrupted predecessor did, as undo would have
// done, and says what of it could not be (D11). Should this end half way as well,
// the next start does it again: what is taken back already is passed over.
func (a *attempt) walkBack() (fsm.Halt, string) {
	back := a.plan
	defer func() { a.plan = back }()
	a.plan, a.step, a.noReturn = a.left.Plan, a.left.Step, a.left.NoReturn
	if who := a.newcomer(); who != "" {
		return fsm.HaltStep, "nothing is taken back: " + who + " began after the attempt that was interrupted"
	}
	if a.undoSteps(back.Steps) {
		return fsm.NoHalt, ""
	}
	if a.goingDown() {
		return fsm.HaltShutdown, hostGoesDown
	}
	for _, s := range slices.Backward(a.record.Steps) {
		if s.Result != "done" {
			return fsm.HaltStep, s.Op.String() + ": " + s.Cause
		}
	}
	return fsm.HaltStep, "the write-ahead record cannot be written"
}

func (a *attempt) undoSteps(steps []fsm.Step) bool {
	ok := true
	forward := a.plan
	defer func() { a.plan = forward }()
	a.plan = fsm.Plan{Kind: fsm.WalkBack, From: forward.To, To: forward.From, Steps: steps}
	for i := range steps {
		s := &steps[i]
		if a.goingDown() {
			return false
		}
		if a.holds(*s) {
			continue // it never took effect, or is taken back already
		}
		if s.Guarded() {
			if bad := a.judgeBefore(s); len(bad) > 0 {
				now := time.Now()
				a.record.Steps = append(a.record.Steps, fsm.StepResult{Op: s.Op, Undo: true, Result: "refused", Cause: reasons(bad), Began: now, Ended: now})
				return false
			}
		}
		if err := a.aheadUndo(forward); err != nil {
			a.report(fsm.Note{What: fsm.NoteSource, At: time.Now(), Text: "cannot write the write-ahead record: " + err.Error()})
			return false
		}
		if h, _ := a.do(*s, i+1, true); h != fsm.NoHalt {
			ok = false
		}
	}
	return ok
}

// holds tells whether what the step would bring about is so already.
func (a *attempt) holds(s fsm.Step) bool {
	return a.progress(s.Op, 0, func(q fsm.Query) fsm.Facts { return observe(a.bound(), a.opt.Host, a.opt.Policy, q) }).Done
}

func (a *attempt) aheadUndo(forward fsm.Plan) error {
	return a.opt.Recorder.Ahead(&fsm.Intent{Schema: fsm.Schema, Boot: a.opt.Boot, ID: a.id, Wish: a.wish, Plan: forward,
		Step: a.step, NoReturn: a.noReturn, Undoing: true, Begun: a.begun})
}

// newcomer names a user session that is newer than the attempt: what
// it stands on is not taken away under it (D8).
func (a *attempt) newcomer() string {
	f := observe(a.bound(), a.opt.Host, a.opt.Policy, fsm.Query{About: fsm.AboutSessions})
	if !f.Logins.OK {
		return "perhaps a session (" + f.Logins.Why() + ")"
	}
	begun := a.begun
	if a.left != nil {
		begun = a.left.Begun
	}
	for _, s := range f.Logins.Value.Sessions {
		if s.Class == "user" && s.State != "closing" && s.Since.After(begun) {
			return fmt.Sprintf("session %s of %s", s.ID, s.User)
		}
	}
	return ""
}

func (a *attempt) goingDown() bool { return a.opt.Going != nil && a.opt.Going() }
