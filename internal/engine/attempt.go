package engine

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/guards"
)

// attempt is one try to bring the host to a mode (D6). It runs in its own
// goroutine; phase, halt and hint may be called from the loop's.
type attempt struct {
	opt    Options
	send   func(any)
	id     string
	wish   fsm.Wish
	to     fsm.Mode
	given  *fsm.Plan   // a plan made before: normalise or walk-back
	left   *fsm.Intent // what a predecessor left, for a walk back of it
	begun  time.Time
	wake   chan struct{}
	ctx    context.Context // ends when the attempt is told to stop where it may
	cancel context.CancelFunc
	fresh  func() // told right before the last look: it will see what was hinted at

	mu        sync.Mutex
	stage     fsm.Phase
	halted    fsm.Halt
	canceller fsm.Caller // of a cancel

	// What follows belongs to the attempt's goroutine alone.
	plan     fsm.Plan
	facts    fsm.Facts
	after    fsm.Observation
	record   fsm.Attempt
	running  fsm.Running
	looks    time.Time // when the first look began that the plan is judged by
	step     int       // steps begun
	changed  bool      // a step took effect, or may have
	noReturn bool
	refused  []fsm.Verdict // what refused last
}

// start begins an attempt towards a wish.
func (l *loop) start(w fsm.Wish) { l.launch(w, nil, nil) }

// launch runs an attempt, with a plan that was made before or with its own; left
// is the record of the attempt that the plan takes back.
func (l *loop) launch(w fsm.Wish, given *fsm.Plan, left *fsm.Intent) {
	ctx, cancel := context.WithCancel(context.Background())
	a := &attempt{opt: l.opt, send: l.send, id: l.opt.NewID(), wish: w, to: w.Mode, given: given, left: left,
		begun: time.Now(), wake: make(chan struct{}, 1), ctx: ctx, cancel: cancel, stage: fsm.Before,
		fresh: func() { l.dirty.Store(0) }}
	switch {
	case left != nil:
		a.stage = fsm.Leaving // nothing may take over a walk back
	case l.residue:
		a.stage, a.noReturn = fsm.After, true // what it goes on from is past it
	}
	l.running, l.stale = a, l.looking
	l.opt.Host.Attend(true)
	go a.run()
}

func (a *attempt) phase() fsm.Phase {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.stage
}

// halt tells the attempt to leave its plan: before the point of no return at
// once, after it at the next boundary of a step (D9). The first halt stands.
func (a *attempt) halt(why fsm.Halt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.halted != fsm.NoHalt || a.stage == fsm.Leaving && why != fsm.HaltShutdown {
		return
	}
	a.halted, a.stage = why, fsm.Leaving
	a.cancel()
}

// cancelled halts for a cancel, and keeps who asked for it.
func (a *attempt) cancelled(by fsm.Caller) {
	a.mu.Lock()
	if a.halted == fsm.NoHalt {
		a.canceller = by
	}
	a.mu.Unlock()
	a.halt(fsm.HaltCancel)
}

func (a *attempt) halting() fsm.Halt {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.halted
}

// pass enters the point of no return, unless the attempt was told to leave
// before.
func (a *attempt) pass() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stage == fsm.Leaving {
		return false
	}
	a.stage = fsm.After
	return true
}

// hint wakes an await; it never blocks.
func (a *attempt) hint() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// run is the attempt from first look to outcome. One place, finish, sets the
// outcome, from the last observation alone.
func (a *attempt) run() {
	defer a.cancel()
	a.record = fsm.Attempt{Schema: fsm.Schema, ID: a.id, Wish: a.wish, From: fsm.Unknown, To: a.to, Begun: a.begun}
	a.running = fsm.Running{ID: a.id, Wish: a.wish, To: a.to, Begun: a.begun, Phase: fsm.Before}
	halt, cause := a.prepare()
	undone := true
	switch {
	case halt == fsm.NoHalt && a.left != nil:
		halt, cause = a.walkBack()
		undone = halt == fsm.NoHalt
	case halt == fsm.NoHalt:
		halt, cause = a.walk()
		halt, cause, undone = a.takeBack(halt, cause)
	}
	if halt == fsm.NoHalt {
		if a.lookAfter(); a.after.Mode != a.to {
			halt, cause = fsm.HaltUnobserved, fmt.Sprintf("every step was done, but %s is observed: %s", a.after.Mode, strings.Join(a.after.Evidence, "; "))
			halt, cause, undone = a.takeBack(halt, cause)
		}
	}
	a.finish(halt, cause, undone)
}

// prepare looks, plans and judges. Everything that blocks is found at once.
func (a *attempt) prepare() (fsm.Halt, string) {
	defer a.looking()()
	a.looks = time.Now()
	a.tell("observing", fsm.Op{}, "a first look at the host", 0)
	look, plan, err := survey(a.bound(), a.opt.Host, a.opt.Policy, a.wish, a.given)
	a.facts, a.plan = look.facts, plan
	a.after = look.observation
	a.record.From, a.record.Kind = look.observation.Mode, plan.Kind
	a.running.From, a.running.Kind, a.running.Steps = look.observation.Mode, plan.Kind, len(plan.Steps)
	if err != nil {
		v := guards.CannotTellMode(err.Error())
		a.record.Verdicts = []fsm.Verdict{v}
		a.send(begun{plan: a.plan, facts: a.facts})
		a.refuse(a.record.Verdicts)
		return fsm.HaltGuard, v.Reason
	}
	if plan.Empty() {
		return a.leave()
	}
	if a.left != nil { // each step is judged when it comes to it
		a.send(begun{plan: plan, facts: a.facts})
		return a.leave()
	}
	set := guards.ForPlan(plan, a.wish, a.opt.Policy)
	a.see(guards.Query(set, plan))
	in := a.input(nil)
	a.record.Verdicts = guards.Judge(set, in)
	a.send(begun{plan: plan, facts: a.facts})
	if bad := a.unforced(guards.Blocking(a.record.Verdicts)); len(bad) > 0 {
		a.refuse(bad)
		return fsm.HaltGuard, reasons(bad)
	}
	return a.leave()
}

// unforced returns the verdicts that block even if the wish forces: the hard
// ones. What is bypassed is on record (D15).
func (a *attempt) unforced(bad []fsm.Verdict) []fsm.Verdict {
	if !a.wish.Force || !a.opt.Policy.Force {
		return bad
	}
	var out []fsm.Verdict
	for _, v := range bad {
		if v.Hard {
			out = append(out, v)
		} else {
			a.record.Bypassed = append(a.record.Bypassed, v.Guard)
		}
	}
	return out
}

// see asks for what the first look has not brought.
func (a *attempt) see(q fsm.Query) {
	q.Wish = a.to
	if q = beyond(a.facts, q); q.About != 0 {
		a.facts = a.facts.Merge(observe(a.bound(), a.opt.Host, a.opt.Policy, q), q.About)
	}
}

func (a *attempt) input(before *fsm.Step) guards.Input {
	return guards.Input{Facts: a.facts, Policy: a.opt.Policy, Plan: a.plan, Wish: a.wish,
		Observation: fsm.Classify(a.facts, a.opt.Policy), Before: before}
}

func (a *attempt) refuse(bad []fsm.Verdict) {
	a.refused = bad
	for _, v := range bad {
		a.report(fsm.Refusal{Attempt: a.id, Verdict: v, At: time.Now()})
	}
}

func reasons(bad []fsm.Verdict) string {
	s := fmt.Sprintf("%s (%d): %s", bad[0].Guard, bad[0].Code, bad[0].Reason)
	if n := len(bad) - 1; n > 0 {
		s += fmt.Sprintf(", and %d more", n)
	}
	return s
}

// bound is the context of looks: they are short and have their own deadlines,
// so a halt need not cut them.
func (a *attempt) bound() context.Context { return context.WithoutCancel(a.ctx) }

// lookAfter is the observation that the outcome is derived from.
func (a *attempt) lookAfter() {
	defer a.looking()()
	a.fresh()
	a.facts = observe(a.bound(), a.opt.Host, a.opt.Policy, fsm.Query{About: fsm.Core | fsm.AboutGPU | fsm.AboutWorkers})
	a.after = fsm.Classify(a.facts, a.opt.Policy)
}

// finish derives the outcome and hands the attempt's record to the loop.
func (a *attempt) finish(halt fsm.Halt, cause string, undone bool) {
	if halt != fsm.NoHalt && (a.changed || a.step > 0) { // a step that only waits may have waited for long
		a.lookAfter()
	}
	out := fsm.OutcomeOf(fsm.Ending{Plan: a.plan, Halt: halt, Changed: a.changed, UndoFailed: !undone, After: a.after})
	if out == fsm.Degraded && cause == "" {
		cause = unmet(a.after)
	}
	r := &a.record
	r.Outcome, r.Halt, r.Cause, r.Final = out, halt, cause, a.after.Mode
	r.Success = out == fsm.Reached || out == fsm.Noop
	r.Exit = fsm.ExitCode(out, guards.BlockCode(a.refused), halt == fsm.HaltTimeout)
	r.Degraded, r.Evidence, r.Ended = a.after.Degraded, a.after.Evidence, time.Now()
	a.send(ended{attempt: *r, after: a.after, half: out == fsm.Superseded && a.noReturn, settled: !a.unsettled(halt, undone)})
}

// unmet is the cause of an attempt that did all of its steps and is in its mode, but
// lacks what the mode needs (section 13.3).
func unmet(o fsm.Observation) string {
	var out []string
	for _, d := range fsm.Unmet(o) {
		out = append(out, d.What+" ("+d.Evidence+")")
	}
	return fmt.Sprintf("every step was done and %s is observed, but: %s", o.Mode, strings.Join(out, "; "))
}

// unsettled tells whether the write-ahead record is still needed: by the next
// start, which goes on from it or takes it back, or, until its own first step, by
// the attempt that follows past the point of no return.
func (a *attempt) unsettled(halt fsm.Halt, undone bool) bool {
	switch halt {
	case fsm.HaltShutdown:
		return a.noReturn || a.left != nil || !undone
	case fsm.HaltSupersede:
		return a.noReturn
	}
	return false
}

// tell publishes what is under way, if it is news; within is the bound of the wait,
// if any.
func (a *attempt) tell(doing string, op fsm.Op, await string, within time.Duration) {
	now := time.Now()
	r := a.running
	if r.Doing != doing || r.Op != op || r.Since.IsZero() {
		r.Since, r.Until = now, time.Time{}
		if within > 0 {
			r.Until = now.Add(within)
		}
	}
	r.Doing, r.Op, r.Await, r.Step, r.Phase = doing, op, await, a.step, a.phase()
	if r != a.running {
		a.running = r
		a.send(progressed{running: &r})
	}
}

func (a *attempt) report(r fsm.Record) { a.send(progressed{record: r}) }

// looking adds the time until the returned function is called to the record.
func (a *attempt) looking() func() {
	began, cpu := time.Now(), a.cpu()
	return func() {
		a.record.Looked += time.Since(began)
		a.record.LookedCPU += a.cpu() - cpu
	}
}

func (a *attempt) cpu() time.Duration {
	if a.opt.CPU == nil {
		return 0
	}
	return a.opt.CPU()
}
