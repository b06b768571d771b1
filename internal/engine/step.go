package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/guards"
)

// walk does the steps of the plan in order and stops at the first that is
// refused, fails, or is not to be done any more.
func (a *attempt) walk() (fsm.Halt, string) {
	if d := a.opt.Policy.Overall; d > 0 {
		over := time.AfterFunc(d, a.cancel)
		defer over.Stop()
	}
	for i := range a.plan.Steps {
		if h, cause := a.leave(); h != fsm.NoHalt {
			return h, cause
		}
		s := &a.plan.Steps[i]
		if i > 0 || !a.justJudged(s) {
			if h, cause := a.rejudge(s); h != fsm.NoHalt {
				return h, cause
			}
		}
		if h, cause := a.leave(); h != fsm.NoHalt { // judging takes its time
			return h, cause
		}
		if s.Waits() && a.step > 0 {
			a.step = i + 1 // it changes nothing that would have to be taken back
		} else if err := a.ahead(i+1, s); err != nil {
			return fsm.HaltStep, "no step runs without a write-ahead record: " + err.Error()
		}
		if s.Final && !a.noReturn {
			a.step = i // told to leave while the record was written: it was not begun
			return a.leave()
		}
		if h, cause := a.do(*s, a.step, false); h != fsm.NoHalt {
			return h, cause
		}
	}
	return fsm.NoHalt, ""
}

// leave tells whether the attempt was told to stop, or ran out of time.
func (a *attempt) leave() (fsm.Halt, string) {
	if h := a.halting(); h != fsm.NoHalt {
		return h, a.haltText(h)
	}
	if a.ctx.Err() != nil {
		return fsm.HaltTimeout, fmt.Sprintf("the whole attempt took longer than %s", a.opt.Policy.Overall)
	}
	return fsm.NoHalt, ""
}

func (a *attempt) haltText(h fsm.Halt) string {
	switch h {
	case fsm.HaltCancel:
		a.mu.Lock()
		defer a.mu.Unlock()
		return "cancelled" + a.canceller.By()
	case fsm.HaltSupersede:
		return "another wish came"
	case fsm.HaltShutdown:
		if a.goingDown() {
			return hostGoesDown
		}
		return "the controller was told to stop"
	}
	return string(h)
}

// justNow is how old what the whole plan was judged by may be, its oldest look too, to
// be right before its first step.
const justNow = 500 * time.Millisecond

// justJudged tells whether the guards of the first step have judged it just now, with
// the whole plan: nothing was done since, and what leads into compute by itself is
// judged by more.
func (a *attempt) justJudged(s *fsm.Step) bool {
	return len(a.record.Verdicts) > 0 && s.Verb != fsm.Isolate && s.Verb != fsm.Start && time.Since(a.looks) < justNow
}

// rejudge judges again, on fresh facts, right before a step, what guards.Before
// says has to be: the hard guards before one that cannot be taken back or hands
// the GPU on, more for automatic wishes (D8).
func (a *attempt) rejudge(s *fsm.Step) (fsm.Halt, string) {
	bad := a.judgeBefore(s)
	if len(bad) == 0 {
		return fsm.NoHalt, ""
	}
	return fsm.HaltGuard, fmt.Sprintf("before %s: %s", s.Op, reasons(bad))
}

// judgeBefore returns the verdicts that forbid a step now.
func (a *attempt) judgeBefore(s *fsm.Step) []fsm.Verdict {
	set := guards.Before(*s, a.plan, a.wish, a.opt.Policy)
	if len(set) == 0 {
		return nil
	}
	defer a.looking()()
	a.tell("judging", s.Op, "the guards before "+s.Op.String(), 0)
	q := guards.QueryBefore(set, a.plan, *s)
	q.About |= fsm.Core
	q.Wish = a.to
	a.facts = a.facts.Merge(observe(a.bound(), a.opt.Host, a.opt.Policy, q), q.About)
	in := a.input(s)
	bad := guards.Blocking(guards.Judge(set, in))
	a.record.Verdicts = append(a.record.Verdicts, bad...)
	a.refuse(bad)
	return bad
}

// ahead puts on disk what is about to be done.
func (a *attempt) ahead(step int, s *fsm.Step) error {
	noReturn := a.noReturn || s.Final
	err := a.opt.Recorder.Ahead(&fsm.Intent{Schema: fsm.Schema, Boot: a.opt.Boot, ID: a.id, Wish: a.wish, Plan: a.plan,
		Step: step, NoReturn: noReturn, Begun: a.begun})
	if err != nil {
		return err
	}
	a.step = step
	if s.Final && !a.noReturn {
		a.noReturn = a.pass()
	}
	return nil
}

// do does one step, the nth of the plan, and waits for its post-condition, all within its deadline.
// After the point of no return an effect is not cut short, only a wait is.
func (a *attempt) do(s fsm.Step, n int, undo bool) (fsm.Halt, string) {
	began := time.Now()
	parent := a.ctx
	if undo || a.noReturn {
		parent = a.bound()
	}
	ctx, cancel := context.WithTimeout(parent, s.Deadline)
	defer cancel()
	if !s.Waits() {
		a.changed = true
	}
	of := len(a.plan.Steps)
	a.report(fsm.StepBegan{Attempt: a.id, N: n, Of: of, Step: s, Undo: undo, At: began})
	a.tell(doingWord(undo), s.Op, "systemd to take "+s.Op.String(), s.Deadline)
	looked := a.record.Looked
	err := a.opt.Host.Do(ctx, s.Op)
	if missing(err) && s.Optional {
		err = nil
	} else if err == nil {
		err = a.await(ctx, s, undo)
	}
	halt, result := a.verdictOf(err, undo)
	switch {
	case halt == fsm.HaltTimeout && a.outlasted(s):
		halt = fsm.NoHalt
	case halt == fsm.HaltStep && s.Verb == fsm.Countdown:
		halt = fsm.HaltCancel // somebody is there
	}
	res := fsm.StepResult{Op: s.Op, Undo: undo, Result: result, Began: began, Ended: time.Now(), Looked: a.record.Looked - looked}
	if err != nil {
		res.Cause = err.Error()
	}
	a.record.Steps = append(a.record.Steps, res)
	a.report(fsm.StepEnded{Attempt: a.id, N: n, Of: of, Result: res})
	if halt == fsm.NoHalt {
		return fsm.NoHalt, ""
	}
	if h, cause := a.leave(); !undo && h == halt {
		return h, cause + ", at " + s.Op.String()
	}
	return halt, s.Op.String() + ": " + res.Cause
}

// outlasted tells whether the step is a drain that ran out of time. That halts
// nothing: whether the busy unit may be stopped all the same is for the guards
// before its stop to say (D14).
func (a *attempt) outlasted(s fsm.Step) bool { return s.Verb == fsm.Drain && a.ctx.Err() == nil }

func doingWord(undo bool) string {
	if undo {
		return "undo"
	}
	return "step"
}

func missing(err error) bool {
	var nf NotFound
	return errors.As(err, &nf) && nf.NotFound()
}

// verdictOf sorts how a step ended into the halt it causes and the word for it.
func (a *attempt) verdictOf(err error, undo bool) (fsm.Halt, string) {
	switch {
	case err == nil:
		return fsm.NoHalt, "done"
	case !undo && a.halting() != fsm.NoHalt && !errors.Is(err, context.DeadlineExceeded):
		return a.halting(), "interrupted"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fsm.HaltTimeout, "timeout"
	}
	return fsm.HaltStep, "failed"
}

// lookFirst and lookMost bound the time between two looks of an await: hints come at once,
// the timer is for what gives none (a closing session, a released GPU).
// Who holds a GPU takes a look into every process, and their ends are hinted at.
const (
	lookFirst = 2 * time.Millisecond
	lookScan  = 50 * time.Millisecond
	lookMost  = time.Second
)

// await looks until the post-condition of the step holds. A halt ends the wait
// on both sides of the point of no return; an undo is not cut short.
func (a *attempt) await(ctx context.Context, s fsm.Step, undo bool) error {
	if !undo {
		var cancel context.CancelFunc
		ctx, cancel = both(ctx, a.ctx)
		defer cancel()
	}
	wait, awaited, began := lookFirst, "", time.Now()
	if s.Verb == fsm.AwaitRelease {
		wait = lookScan
	}
	for {
		looked := a.looking()
		p := a.progress(s.Op, time.Since(began), func(q fsm.Query) fsm.Facts { return a.opt.Host.Observe(ctx, q) })
		if left := s.Lasts - time.Since(began); p.Done && left > 0 {
			p = fsm.Progress{Awaiting: "nobody to be there"}
			wait = min(left, lookMost)
		}
		if p.Done {
			looked() // the look that proves a step; those before were part of the wait
			return nil
		}
		if p.Never != "" {
			return errors.New(p.Never)
		}
		if ctx.Err() == nil || awaited == "" {
			awaited = p.Awaiting // a look that the end of the time cut off tells nothing
		}
		a.tell(doingWord(undo), s.Op, awaited, s.Deadline)
		t := time.NewTimer(wait)
		select {
		case <-a.wake:
		case <-t.C:
			wait = min(wait+wait/2, lookMost)
		case <-ctx.Done():
			t.Stop()
			return fmt.Errorf("still waiting for %s: %w", awaited, ctx.Err())
		}
		t.Stop()
	}
}

// progress looks at what op, awaited for so long, brings about, and at what else has
// to be known once that seems to be done.
func (a *attempt) progress(op fsm.Op, since time.Duration, look func(fsm.Query) fsm.Facts) fsm.Progress {
	f := look(fsm.Needs(op, a.plan, a.opt.Policy))
	if op.Verb == fsm.Countdown {
		return fsm.Undisturbed(f, since)
	}
	p := fsm.Settled(op, a.plan, f, a.opt.Policy)
	if p.Ask != 0 {
		f = f.Merge(look(fsm.Query{About: p.Ask}), p.Ask)
		p = fsm.Settled(op, a.plan, f, a.opt.Policy)
	}
	return p
}

// both returns a context that ends with either.
func both(a, b context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(a)
	stop := context.AfterFunc(b, cancel)
	return ctx, func() { stop(); cancel() }
}
