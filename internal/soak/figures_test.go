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
}

// triple is a step of a plan and what goes wrong with it.
type triple struct {
	plan, op, fault string
	undo            bool
}

func newFigures() *figures {
	return &figures{kinds: map[string]int{}, plans: map[string]int{}, outcomes: map[fsm.Outcome]int{}, triples: map[triple]int{}}
}

// count counts something that goes wrong with an operation; the caller holds the lock.
func (l *life) count(op fsm.Op, fault string) {
	l.figs.triples[l.triple(op, fault)]++
	if !strings.HasPrefix(fault, "probe") && !strings.HasPrefix(fault, "crash") && fault != "disk" {
		l.figs.kinds[fault]++
	}
}

func (l *life) triple(op fsm.Op, fault string) triple {
	switch op.Verb {
	case fsm.EndSession, fsm.StopDesktop, fsm.StopAudio, fsm.StartAudio, fsm.Countdown:
		op.Arg = ""
	}
	t := triple{op: op.String(), fault: fault}
	if i := l.disk.intent; i != nil {
		t.plan, t.undo = planName(i.Plan), i.Undoing || l.walkingBack()
		if i.Wish.Reason == fsm.ByRecovery && !t.undo {
			t.plan = resumed + t.plan
		}
	}
	return t
}

func (f *figures) add(o *figures) {
	f.trials, f.attempts, f.passed = f.trials+o.trials, f.attempts+o.attempts, f.passed+o.passed
	addTo(f.kinds, o.kinds)
	addTo(f.plans, o.plans)
	addTo(f.outcomes, o.outcomes)
	addTo(f.triples, o.triples)
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

// least tells how often the rarest of the triples forward, or of those that take
// back, was injected.
func (f *figures) least(undo bool) string {
	n, distinct, rare, which := 0, 0, 0, triple{}
	for t, have := range f.triples {
		if t.undo != undo || strings.HasPrefix(t.plan, resumed) {
			continue
		}
		if distinct++; distinct == 1 || have < n {
			n, which = have, t
		}
		if have < 100 {
			rare++
		}
	}
	return fmt.Sprintf("%d, %d of them less than 100 times, the least %d times (%s, %s, %s)", distinct, rare, n, which.plan, which.op, which.fault)
}

// String is the line of figures.
func (f *figures) String() string {
	crashes := f.kinds["crash-before"] + f.kinds["crash-after"]
	return fmt.Sprintf("attempts %d, trials %d, past the point of no return %.1f %%, deaths %d; (plan, step, fault): forward %s, back %s; injected: %s; outcomes: %s",
		f.attempts, f.trials, 100*float64(f.passed)/float64(max(f.attempts, 1)), crashes, f.least(false), f.least(true), listed(f.kinds), listed(f.outcomes))
}
