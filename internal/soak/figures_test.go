package soak

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/modewatch/modewatch/fsm"
)

// figures is what trials did, added up.
type figures struct {
	trials, attempts, passed int
	kinds                    map[string]int // what was injected
	plans                    map[string]int
	outcomes                 map[fsm.Outcome]int
	triples                  map[triple]int
	held                     map[string]int // how often each invariant was held against what is so
	files                    int            // controllers with real files
}

// triple is a step of a plan and what goes wrong with it.
type triple struct {
	plan, op, fault string
	undo            bool
}

func newFigures() *figures {
	return &figures{kinds: map[string]int{}, plans: map[string]int{}, outcomes: map[fsm.Outcome]int{}, triples: map[triple]int{}, held: map[string]int{}}
}

// count counts something that goes wrong with an operation; the caller holds the lock.
func (l *life) count(op fsm.Op, fault string) {
	l.figs.triples[l.triple(op, fault)]++
	if !strings.HasPrefix(fault, "probe") && !strings.HasPrefix(fault, "crash") && fault != "disk" {
		l.figs.kinds[fault]++
	}
}

func (l *life) triple(op fsm.Op, fault string) triple {
	i := l.disk.intent
	if i == nil {
		return triple{op: op.String(), fault: fault}
	}
	t := tripleOf(i.Plan, op, fault, i.Undoing || l.walkingBack())
	if i.Wish.Reason == fsm.ByRecovery && !t.undo {
		t.plan = resumed + t.plan
	}
	return t
}

// tripleOf names an operation without whom it is done to.
func tripleOf(plan fsm.Plan, op fsm.Op, fault string, undo bool) triple {
	switch op.Verb {
	case fsm.EndSession, fsm.StopDesktop, fsm.StopAudio, fsm.StartAudio, fsm.Countdown:
		op.Arg = ""
	}
	return triple{plan: planName(plan), op: op.String(), fault: fault, undo: undo}
}

func (f *figures) add(o *figures) {
	f.trials, f.attempts, f.passed = f.trials+o.trials, f.attempts+o.attempts, f.passed+o.passed
	addTo(f.kinds, o.kinds)
	addTo(f.plans, o.plans)
	addTo(f.outcomes, o.outcomes)
	addTo(f.triples, o.triples)
	addTo(f.held, o.held)
	f.files += o.files
}

func addTo[K comparable](to, from map[K]int) {
	for k, n := range from {
		to[k] += n
	}
}

func listed[K cmp.Ordered](m map[K]int) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, fmt.Sprintf("%v %d", k, m[k]))
	}
	return strings.Join(out, ", ")
}

// resumed marks what a start goes on with, which has any part of a plan.
const resumed = "resumed "

// wanted is how often each of aims is to be injected.
const wanted = 100

// reach tells of the triples that are aimed at, forward or back, how many there are,
// and how many were injected less than wanted times, the rarest of them.
type reach struct {
	of, rare, least int
	which           triple
}

func (f *figures) reach(undo bool) (r reach) {
	for _, list := range aims() {
		t := list[0].want
		if t.undo != undo {
			continue
		}
		have := f.triples[t]
		if r.of++; r.of == 1 || have < r.least {
			r.least, r.which = have, t
		}
		if have < wanted {
			r.rare++
		}
	}
	return r
}

func (r reach) String() string {
	return fmt.Sprintf("%d, %d of them less than %d times, the least %d times (%s, %s, %s)", r.of, r.rare, wanted, r.least, r.which.plan, r.which.op, r.which.fault)
}

// String is the line of figures.
func (f *figures) String() string {
	crashes := f.kinds["crash-before"] + f.kinds["crash-after"]
	return fmt.Sprintf("attempts %d, trials %d, controllers with real files %d, past the point of no return %.1f %%, deaths %d; (plan, step, fault): forward %s, back %s; injected: %s; outcomes: %s",
		f.attempts, f.trials, f.files, 100*float64(f.passed)/float64(max(f.attempts, 1)), crashes, f.reach(false), f.reach(true), listed(f.kinds), listed(f.outcomes))
}
