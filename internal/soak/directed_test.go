package soak

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/sim"
)

// Half of the trials are directed: each phase aims at one triple of a plan, a step of
// it and what goes wrong there, so that none is left to chance. Which triples there are
// is taken from the plans themselves, of every situation under every policy.

// recipe is how to come to a triple.
type recipe struct {
	want    triple
	variant variantID
	managed bool // the desktop runs under its user's manager
	phase   phase
	early   bool // it happens at the first start, before any wish
	past    bool // it is past the point of no return
	weak    bool // it may not come to it
}

// aims are the recipes of each triple, those of steps forward before those that take
// back, in an order that depends on nothing.
var aims = sync.OnceValue(func() [][]recipe {
	all := map[triple][]recipe{}
	for v := range variantID(len(variants)) {
		for _, managed := range []bool{false, true} {
			for s := situationID(1); int(s) < len(situations); s++ {
				for _, to := range fsm.Modes {
					meet(all, recipe{variant: v, managed: managed, phase: phase{Clear: true, Stands: s, To: to, Reason: fsm.ByRequest}})
				}
			}
		}
	}
	for _, s := range []situationID{plainDesk, plainStudio} {
		meet(all, recipe{variant: byItself, phase: phase{Clear: true, Stands: s, To: fsm.Compute, Reason: fsm.ByIdle, Idle: true, Rest: 4 * time.Minute}})
	}
	normalise(all)
	order := func(x, y triple) int {
		back := map[bool]int{true: 1}
		return cmp.Or(back[x.undo]-back[y.undo], cmp.Compare(x.plan, y.plan), cmp.Compare(x.op, y.op), cmp.Compare(x.fault, y.fault))
	}
	var out [][]recipe
	for _, t := range slices.SortedFunc(maps.Keys(all), order) {
		list := all[t]
		if strong := slices.DeleteFunc(slices.Clone(list), func(r recipe) bool { return r.weak }); len(strong) > 0 {
			list = strong
		}
		out = append(out, list)
	}
	return out
})

// beyond are those of aims that are past the point of no return.
var beyond = sync.OnceValue(func() [][]recipe {
	return slices.DeleteFunc(slices.Clone(aims()), func(list []recipe) bool { return !list[0].past })
})

// byItself is the variant of the policy under which an idle host goes to compute.
const byItself variantID = 6

// meet adds what can go wrong in the plan of a recipe.
func meet(all map[triple][]recipe, r recipe) {
	w := newWorld(script{Variant: r.variant, Host: sim.Character{Managed: r.managed}}, newFigures())
	w.clear()
	w.stand(situations[r.phase.Stands])
	f := w.truth()
	plan, err := fsm.PlanFor(fsm.Classify(f, w.policy), r.phase.To, f, w.policy)
	if err != nil {
		panic(err)
	}
	addSteps(all, r, fsm.Announced(plan, fsm.Wish{Mode: r.phase.To, Reason: r.phase.Reason}, w.policy))
}

// normalise adds what can go wrong in the only plan that nobody wishes for.
func normalise(all map[triple][]recipe) {
	w := newWorld(script{Start: atBoot}, newFigures())
	f := w.truth()
	addSteps(all, recipe{early: true, phase: phase{Idle: true}}, fsm.NormalisePlan(fsm.Classify(f, w.policy), f, w.policy))
}

func addSteps(all map[triple][]recipe, r recipe, plan fsm.Plan) {
	for i, s := range plan.Steps {
		r.past = slices.ContainsFunc(plan.Steps[:i+1], func(s fsm.Step) bool { return s.Final })
		for _, act := range mishaps(s.Op) {
			r := r
			r.want = tripleOf(plan, s.Op, actWord(s.Op, act), false)
			r.phase.Moments = []moment{{At: point{"step", i + 1}, Act: act}}
			all[r.want] = append(all[r.want], r)
		}
	}
	for i := range plan.Steps {
		addUndo(all, r, plan, i+1)
	}
}

// addUndo adds what can go wrong on the way back from the nth step, which has failed.
func addUndo(all map[triple][]recipe, r recipe, plan fsm.Plan, n int) {
	if slices.ContainsFunc(plan.Steps[:n], func(s fsm.Step) bool { return s.Final }) {
		return // a walk back from beyond is rare and by guards: that is left to chance
	}
	failed := moment{At: point{"step", n}, Act: action{What: "fault", Kind: sim.LiesFailed}}
	r.past = false
	for i, s := range plan.Undo(n) {
		if s.Waits() {
			continue
		}
		for _, act := range mishaps(s.Op) {
			r := r
			r.want = tripleOf(plan, s.Op, actWord(s.Op, act), true)
			r.weak = s.Op == plan.Steps[n-1].Undo // the step that failed may have nothing to take back
			r.phase.Moments = []moment{failed, {At: point{"undo", i + 1}, Act: act}}
			all[r.want] = append(all[r.want], r)
		}
	}
}

// mishaps are all that can go wrong with an operation.
func mishaps(op fsm.Op) (out []action) {
	for _, kind := range kindsOf(op) {
		out = append(out, action{What: "fault", Kind: kind})
	}
	for _, after := range []bool{false, true} {
		out = append(out, action{What: "crash", After: after})
	}
	about := fsm.Needs(op, fsm.Plan{}, variants[0]).About
	for _, kind := range []sim.BlurKind{sim.Errs, sim.Waits, sim.Lies} {
		out = append(out, action{What: "blur", Blur: kind, About: about})
	}
	return append(out, action{What: "disk", N: 1})
}

func actWord(op fsm.Op, a action) string {
	if a.What == "fault" {
		return string(a.fault(op))
	}
	return word(a)
}

// direct makes a trial of the nth triple, and of others that are had under the same
// policy on the same host.
func direct(s script, n uint64, r *rand.Rand) script {
	list := aims()
	first := oneOf(r, list[n%uint64(len(list))])
	s.Variant, s.Start, s.Early = first.variant, 0, first.early
	if first.early {
		s.Start = atBoot
	}
	if r.IntN(2) == 0 {
		s.Host, s.Takes = sim.Character{}, nil
	}
	s.Host.Managed = first.managed
	s.Phases = []phase{first.aimed(r)}
	for i := range 16 {
		if i == 1 {
			list = beyond()
		}
		next := oneOf(r, list[r.IntN(len(list))])
		if next.variant == first.variant && next.managed == first.managed && !next.early && len(s.Phases) < 3 {
			s.Phases = append(s.Phases, next.aimed(r))
		}
	}
	return s
}

func oneOf(r *rand.Rand, list []recipe) recipe { return list[r.IntN(len(list))] }

// aimed is the phase of a recipe with moments of its own, and what is by chance in it.
func (a recipe) aimed(r *rand.Rand) phase {
	p := a.phase
	p.Moments = slices.Clone(p.Moments)
	for i := range p.Moments {
		m := &p.Moments[i].Act
		switch {
		case m.What == "blur" && r.IntN(2) == 0:
			b := blur(r)
			m.About, m.N = b.About, b.N
		case m.What == "crash":
			m.N = r.IntN(3)
		}
	}
	if r.IntN(6) == 0 {
		p.Moments = append(p.Moments, primary(r))
	}
	return p
}
