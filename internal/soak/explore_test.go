package soak

import (
	"flag"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/assurance"
	"github.com/modewatch/modewatch/internal/sim"
)

var (
	depth    = flag.Int("depth", 1, "how many wishes after one another TestExplored follows")
	policies = flag.Int("policies", 1, "under how many of the policies it explores")
)

// node is a host at rest, and the shortest way there that was found.
type node struct {
	key   string
	way   script
	plans []fsm.Plan // the way out, by mode
	depth int
}

// explored is what an exploration has seen.
type explored struct {
	mu      sync.Mutex
	nodes   map[string]*node
	edges   map[[2]string]bool
	reached map[triple]bool
	next    []*node
	runs    int
	ended   map[fsm.Outcome]int
	crashes int
	bad     []*world
}

// TestExplored follows every wish from every host at rest that it comes to, breadth
// first, and at every step of its plan all that can go wrong there: each result that
// the operation can have, the death of the controller before and after it, probes that
// fail, a full disk, a change of the world that guards judge by, a cancel, another wish,
// a reload, a reboot; and the same on the way back. A host that was seen before, but for
// times and ids, is not gone on from. At the first depth the hosts are those of all
// situations; beyond it only failures, deaths and what goes well are followed.
func TestExplored(t *testing.T) {
	x := &explored{nodes: map[string]*node{}, edges: map[[2]string]bool{}, reached: map[triple]bool{}, ended: map[fsm.Outcome]int{}}
	var jobs []job
	for v := range variantID(*policies) {
		for _, managed := range []bool{false, true}[:hosts()] {
			for s := situationID(1); int(s) < len(situations)/raced; s++ {
				root := script{explored: true, Variant: v, Host: sim.Character{Managed: managed}, Phases: []phase{{Clear: true, Stands: s, Idle: true}}}
				jobs = append(jobs, job{nil, root})
			}
		}
	}
	x.level(t, jobs)
	for d := 1; d <= *depth && len(x.bad) == 0 && len(x.next) > 0; d++ {
		jobs = nil
		for _, n := range x.next {
			jobs = append(jobs, n.ways(d == 1)...)
		}
		x.next = nil
		x.level(t, jobs)
		t.Logf("depth %d: %d runs, %d distinct hosts at rest, %d distinct edges", d, x.runs, len(x.nodes), len(x.edges))
	}
	x.tell(t)
}

// hosts is how many kinds of hosts are explored: the race detector has time for less.
func hosts() int { return max(1, 2/raced) }

// job is an edge that is to be followed.
type job struct {
	from *node
	way  script
}

// level follows all jobs, on all processors.
func (x *explored) level(t *testing.T, jobs []job) {
	t.Run("level", func(t *testing.T) {
		lanes := 2
		for lane := range lanes {
			t.Run(fmt.Sprint(lane), func(t *testing.T) {
				t.Parallel()
				for i := lane; i < len(jobs); i += lanes {
					if !x.follow(t, jobs[i]) {
						return
					}
				}
			})
		}
	})
}

// follow runs one edge, and tells whether to go on.
func (x *explored) follow(t *testing.T, j job) bool {
	figs := newFigures()
	w := try(t, j.way, figs)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.runs++
	x.crashes += figs.kinds["crash-before"] + figs.kinds["crash-after"]
	addTo(x.ended, figs.outcomes)
	for t := range figs.triples {
		x.reached[t] = true
	}
	if len(w.bad) > 0 {
		if x.bad = append(x.bad, w); len(x.bad) == 1 {
			t.Errorf("after %d wishes:\n%s", len(j.way.Phases)-1, w.text())
		}
		return false
	}
	from, d := "", 0
	if j.from != nil {
		from, d = j.from.key, j.from.depth+1
	}
	to := j.way.Variant.name() + w.rest.key
	x.edges[[2]string{from, to}] = true
	if x.nodes[to] == nil {
		n := &node{key: to, way: j.way, plans: w.rest.plans, depth: d}
		x.nodes[to] = n
		x.next = append(x.next, n)
	}
	return true
}

// ways are the edges from a host.
func (n *node) ways(all bool) (out []job) {
	for i, to := range fsm.Modes {
		base := phase{Healed: true, To: to, Reason: fsm.ByRequest, Rest: 2 * time.Minute}
		add := func(moments ...moment) {
			p := base
			p.Moments = moments
			out = append(out, job{from: n, way: n.then(p)})
		}
		add()
		clean := base
		clean.Clear, clean.Must = true, true
		out = append(out, job{n, n.then(clean)})
		if all {
			for _, e := range events {
				add(moment{At: point{"call", 1}, Act: action{What: "event", Event: e.name}})
			}
		}
		plan := n.plans[i]
		for k, s := range plan.Steps {
			for _, act := range choices(s.Op, all) {
				add(moment{At: point{"step", k + 1}, Act: act})
			}
		}
		for k := range plan.Steps {
			if all && !slices.ContainsFunc(plan.Steps[:k+1], func(s fsm.Step) bool { return s.Final }) {
				failed := moment{At: point{"step", k + 1}, Act: action{What: "fault", Kind: sim.LiesFailed}}
				for u, s := range plan.Undo(k + 1) {
					for _, act := range mishaps(s.Op) {
						add(failed, moment{At: point{"undo", u + 1}, Act: act})
					}
				}
			}
		}
	}
	return out
}

// choices are what can happen at an operation.
func choices(op fsm.Op, all bool) []action {
	if !all {
		return []action{{What: "fault", Kind: sim.Fails}, {What: "fault", Kind: sim.HalfDone}, {What: "crash"}, {What: "crash", After: true}}
	}
	out := mishaps(op)
	for _, e := range events {
		out = append(out, action{What: "event", Event: e.name})
	}
	for _, pick := range []float64{0, 0.7, 0.95} {
		out = append(out, action{What: "wish", Pick: pick})
	}
	for _, what := range []string{"cancel", "stop", "finish", "down", "reboot"} {
		out = append(out, action{What: what})
	}
	return out
}

// then is the way on by one more phase.
func (n *node) then(p phase) script {
	s := n.way.fresh()
	s.Phases = append(s.Phases, p)
	return s
}

// tell reports, and fails for a triple of the plans at the roots that was not come to.
func (x *explored) tell(t *testing.T) {
	var missed []triple
	of := 0
	for _, list := range aims() {
		roots := slices.ContainsFunc(list, func(r recipe) bool {
			return int(r.variant) < *policies && !r.early && !r.phase.Idle && !r.weak && !r.want.undo
		})
		if !roots {
			continue
		}
		if raced > 1 {
			break
		}
		if of++; !x.reached[list[0].want] {
			missed = append(missed, list[0].want)
		}
	}
	if *depth > 0 && len(x.bad) == 0 && len(missed) > 0 {
		t.Errorf("%d of %d triples of a plan, a step and what goes wrong were not come to: %v", len(missed), of, missed[:min(5, len(missed))])
	}
	if *reports != "" {
		if err := assurance.Write(*reports, x.section(of, len(missed))); err != nil {
			t.Error(err)
		}
	}
	fmt.Printf("figure: explored: %d distinct hosts at rest, %d edges, by %d runs of %d policies to depth %d; %d hosts not gone on from; %d deaths; all %d triples; outcomes: %s; %d violations\n",
		len(x.nodes), len(x.edges), x.runs, *policies, *depth, len(x.next), x.crashes, of-len(missed), listed(x.ended), len(x.bad))
}

// atLast is a host at rest.
type atLast struct {
	key   string
	mode  fsm.Mode
	plans []fsm.Plan
}

// settled keeps how a trial came to rest; the caller holds the lock.
func (w *world) settled() {
	f := w.truth()
	o := fsm.Classify(f, w.policy)
	w.rest = atLast{key: w.key(f), mode: o.Mode}
	for _, to := range fsm.Modes {
		plan, err := fsm.PlanFor(o, to, f, w.policy)
		if err != nil {
			w.fail("noTrap", "%v", err)
		}
		w.rest.plans = append(w.rest.plans, plan)
	}
}

// key is a host at rest without times and ids.
func (w *world) key(f fsm.Facts) string {
	var who, holders []string
	for _, s := range f.Logins.Value.Sessions {
		who = append(who, fmt.Sprint(s.User, s.Class, s.State, s.Remote, s.Graphical))
	}
	for _, u := range f.Logins.Value.Users {
		who = append(who, fmt.Sprint(u))
	}
	slices.Sort(who)
	for _, h := range f.GPU.Value.Holders {
		holders = append(holders, fmt.Sprint(h.Comm, h.Display, h.UID))
	}
	slices.Sort(holders)
	wish, snap := fsm.Mode(""), w.life.eng.Snapshot()
	if w.disk.wish != nil {
		wish = w.disk.wish.Mode
	}
	f.At, f.GPU, f.Idle, f.Logins = time.Time{}, fsm.Reading[fsm.GPU]{}, fsm.Reading[fsm.Idle]{}, fsm.Reading[fsm.Logins]{}
	var units []string
	for name, u := range f.Units.Value {
		units = append(units, fmt.Sprint(name, u.Load, u.Active, u.Runtime))
	}
	slices.Sort(units)
	f.Units = fsm.Reading[map[string]fsm.Unit]{}
	return fmt.Sprint(units, f, who, holders, wish, snap.State, len(snap.Observation.Degraded) > 0, intentName(w.disk.intent) != "none", w.script.Host)
}
