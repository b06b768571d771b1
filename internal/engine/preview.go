package engine

import (
	"context"
	"slices"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/guards"
)

// Preview is what an attempt would do now, without doing it: the path of a real
// attempt up to the first step (design.md section 2).
type Preview struct {
	Observation fsm.Observation `json:"observation"`
	Plan        fsm.Plan        `json:"plan"`
	Verdicts    []fsm.Verdict   `json:"guards"`
	Facts       fsm.Facts       `json:"facts"`
	Exit        int             `json:"exit"`
}

// Look observes, plans and judges a wish without touching the host.
func Look(ctx context.Context, h Host, p fsm.Policy, w fsm.Wish) Preview {
	look, plan, err := survey(ctx, h, p, w, nil)
	out := Preview{Observation: look.observation, Plan: plan, Facts: look.facts}
	if err != nil {
		out.Verdicts = []fsm.Verdict{guards.CannotTellMode(err.Error())}
		out.Exit = guards.BlockCode(out.Verdicts)
		return out
	}
	if plan.Empty() {
		return out
	}
	set := guards.ForPlan(plan, w, p)
	q := beyond(look.facts, guards.Query(set, plan))
	q.Wish = w.Mode
	if q.About != 0 {
		out.Facts = out.Facts.Merge(observe(ctx, h, p, q), q.About)
	}
	out.Verdicts = guards.Judge(set, guards.Input{Facts: out.Facts, Policy: p, Plan: plan, Wish: w, Observation: look.observation})
	out.Exit = guards.BlockCode(guards.Blocking(out.Verdicts))
	return out
}

type look struct {
	facts       fsm.Facts
	observation fsm.Observation
}

// survey observes the core, makes the plan, and where it isolates looks up the
// stop set and plans again with it. What the guards will ask for is read along,
// unless it depends on the plan.
func survey(ctx context.Context, h Host, p fsm.Policy, w fsm.Wish, given *fsm.Plan) (look, fsm.Plan, error) {
	q := fsm.Query{About: fsm.Core}
	if given == nil {
		q.About |= guards.Ahead(w.Mode)
	}
	f := observe(ctx, h, p, q)
	o := fsm.Classify(f, p)
	if given != nil {
		return look{f, o}, *given, nil
	}
	plan, err := fsm.PlanFor(o, w.Mode, f, p)
	if err != nil {
		return look{f, o}, fsm.Plan{From: o.Mode, To: w.Mode, Kind: fsm.Transition}, err
	}
	if target := plan.Isolates(); target != "" {
		q := beyond(f, guards.Query(guards.ForPlan(plan, w, p), plan))
		q.About = q.About&^(fsm.AboutUnits|fsm.AboutMemory) | fsm.AboutStopSets // whose memory counts is in the stop set
		q.Targets = []string{target}
		f = f.Merge(observe(ctx, h, p, q), q.About)
		plan, err = fsm.PlanFor(o, w.Mode, f, p)
	}
	return look{f, o}, fsm.Announced(plan, w, p), err
}

// beyond drops from a query what was looked at before; units stay where the
// guards ask for more of them than are always watched.
func beyond(f fsm.Facts, q fsm.Query) fsm.Query {
	more := len(q.Units) > 0
	lacks := func(target string) bool { _, ok := f.StopSets.Value[target]; return !ok }
	other := f.StopSets.OK && slices.ContainsFunc(q.Targets, lacks)
	wanted := q.About
	q.About &^= f.Looked()
	if more {
		q.About |= fsm.AboutUnits
	}
	if other {
		q.About |= wanted & fsm.AboutStopSets
	}
	return q
}

func observe(ctx context.Context, h Host, p fsm.Policy, q fsm.Query) fsm.Facts {
	ctx, cancel := context.WithTimeout(ctx, p.Deadlines.Observe)
	defer cancel()
	return h.Observe(ctx, q)
}
