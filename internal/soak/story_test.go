package soak

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/modewatch/modewatch/fsm"
)

// words are the arguments of a line as they are told.
func (l line) words() []any {
	out := slices.Clone(l.args)
	for i, a := range out {
		if r, ok := a.(fsm.Record); ok {
			out[i] = recordText(r)
		}
	}
	return out
}

func recordText(r fsm.Record) string {
	switch r := r.(type) {
	case fsm.Edge:
		return fmt.Sprintf("    edge %s: %s -> %s (%s)", r.Row.On, r.Row.From, r.Row.To, r.Cause)
	case fsm.AttemptBegun:
		var steps []string
		for _, s := range r.Plan.Steps {
			steps = append(steps, s.Op.String())
		}
		return fmt.Sprintf("    attempt %s for %s: %s: %s", r.ID, r.Wish.ID, planName(r.Plan), strings.Join(steps, ", "))
	case fsm.AttemptEnded:
		a := r.Attempt
		return fmt.Sprintf("    ended %s for %s: %s in %s (%d, %s): %s", a.ID, a.Wish.ID, a.Outcome, a.Final, a.Exit, a.Halt, a.Cause)
	case fsm.StepBegan:
		return fmt.Sprintf("    step %d of %d: %s, undo %v", r.N, r.Of, r.Step.Op, r.Undo)
	case fsm.StepEnded:
		return fmt.Sprintf("    step %d of %d: %s, undo %v: %s %s", r.N, r.Of, r.Result.Op, r.Result.Undo, r.Result.Result, r.Result.Cause)
	case fsm.Refusal:
		return fmt.Sprintf("    refused by %s (%d): %s", r.Verdict.Guard, r.Verdict.Code, r.Verdict.Reason)
	case fsm.Note:
		return fmt.Sprintf("    note %s: %s", r.What, r.Text)
	}
	return fmt.Sprint(r)
}

// detail is the figures by plan and by triple, the rarest first.
func (f *figures) detail() string {
	var b strings.Builder
	fmt.Fprintln(&b, f)
	for _, p := range slices.Sorted(maps.Keys(f.plans)) {
		fmt.Fprintf(&b, "%8d %s\n", f.plans[p], p)
	}
	list := slices.SortedFunc(maps.Keys(f.triples), func(x, y triple) int { return f.triples[x] - f.triples[y] })
	for _, t := range list {
		fmt.Fprintf(&b, "%8d undo=%v %s: %s: %s\n", f.triples[t], t.undo, t.plan, t.op, t.fault)
	}
	return b.String()
}
