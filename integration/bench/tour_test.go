package bench

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// tour visits every ordered pair of modes once, from desktop back to desktop.
var tour = []fsm.Mode{fsm.StudioLocal, fsm.Desktop, fsm.Compute, fsm.StudioLocal, fsm.Compute, fsm.Desktop}

// sample is one transition, in milliseconds.
type sample struct {
	wall  float64 // begun to ended, without looking
	look  float64 // observing and judging
	whole float64 // from the write to the record's end
	begun float64 // from the write to the attempt's begin
	cpu   float64
	eyes  float64 // of cpu, for observing and judging
	ops   []fsm.Op
	each  []float64 // of ops, without looking
}

// pair is one ordered pair of modes with its samples.
type pair struct {
	from, to    fsm.Mode
	ours, floor []sample
}

func (p pair) String() string { return string(p.from) + " → " + string(p.to) }

// round makes one tour by way and adds its samples to the pairs.
func (m *machine) round(pairs []pair, way func(fsm.Mode) sample, of func(*pair) *[]sample) {
	m.t.Helper()
	for i := range pairs {
		p := &pairs[i]
		list := of(p)
		*list = append(*list, way(p.to))
		if p.from == fsm.Compute {
			m.login() // compute ended alice's session
		}
	}
}

func newPairs() []pair {
	var pairs []pair
	from := fsm.Desktop
	for _, to := range tour {
		pairs = append(pairs, pair{from: from, to: to})
		from = to
	}
	return pairs
}

func ofOurs(p *pair) *[]sample  { return &p.ours }
func ofFloor(p *pair) *[]sample { return &p.floor }

// byDaemon has the daemon make a transition.
func (m *machine) byDaemon(to fsm.Mode) sample {
	m.t.Helper()
	before := m.daemon.settle()
	at := m.write(desiredFile, string(to))
	a := m.ended(to, at)
	if a.Outcome != fsm.Reached {
		m.t.Fatalf("the transition to %s ended %s: %s\n%s", to, a.Outcome, a.Cause, m.story())
	}
	m.rests(fsm.Resting(to))
	s := sample{
		wall: ms(a.Ended.Sub(a.Begun) - a.Looked), look: ms(a.Looked),
		whole: ms(a.Ended.Sub(at)), begun: ms(a.Begun.Sub(at)), cpu: ms(m.daemon.settle() - before), eyes: ms(a.LookedCPU),
	}
	for _, step := range a.Steps {
		s.ops = append(s.ops, step.Op)
		s.each = append(s.each, ms(step.Ended.Sub(step.Began)-step.Looked))
	}
	return s
}

// floor is the floor program, waiting for jobs.
type floor struct{ *child }

// transition has the floor make a transition: the bare calls of the plan that
// modewatch would follow now.
func (f floor) transition(to fsm.Mode) sample {
	f.t.Helper()
	s := sample{ops: f.plan(to)}
	job, err := json.Marshal(map[string]any{"to": to, "ops": s.ops})
	if err != nil {
		f.t.Fatal(err)
	}
	before := f.settle()
	if _, err := f.in.Write(append(job, '\n')); err != nil {
		f.t.Fatal(err)
	}
	var took []time.Duration
	if err := json.Unmarshal([]byte(f.line()), &took); err != nil {
		f.t.Fatal(err)
	}
	for _, d := range took {
		s.each = append(s.each, ms(d))
		s.wall += ms(d)
	}
	s.cpu = ms(f.settle() - before)
	return s
}

// plan asks for the plan without a word to the daemon.
func (f floor) plan(to fsm.Mode) (ops []fsm.Op) {
	f.t.Helper()
	r, err := f.m.Run(f.t.Context(), "modewatch", "dry-run", string(to), "--json")
	if err != nil {
		f.t.Fatal(err)
	}
	var doc struct{ Plan fsm.Plan }
	if err := json.Unmarshal([]byte(r.Stdout), &doc); err != nil || r.Code != 0 {
		f.t.Fatalf("dry-run %s: exit %d, %v\n%s%s", to, r.Code, err, r.Stdout, r.Stderr)
	}
	for _, s := range doc.Plan.Steps {
		ops = append(ops, s.Op)
	}
	return ops
}

// tours makes rounds of the daemon and of the floor in turns, after one of each
// that is not counted: what is first is slower. Who begins changes as well.
func (m *machine) tours(rounds int) []pair {
	m.t.Helper()
	f := floor{m.start("bench-floor", "transitions")}
	f.want("ready")
	pairs := newPairs()
	ways := []func([]pair){
		func(p []pair) { m.still(f.pid, func() { m.round(p, m.byDaemon, ofOurs) }) },
		func(p []pair) { m.held(func() { m.round(p, f.transition, ofFloor) }) },
	}
	for _, way := range ways {
		way(newPairs())
	}
	for range rounds {
		for _, way := range ways {
			way(pairs)
		}
		slices.Reverse(ways)
	}
	return pairs
}

// held holds the daemon still while the floor works. It finds everything as it
// was afterwards.
func (m *machine) held(work func()) {
	m.t.Helper()
	m.daemon.settle()
	m.still(m.daemon.pid, work)
	m.daemon.settle()
	m.rests(fsm.AtDesktop)
}

// still stops a process while another works.
func (m *machine) still(pid int, work func()) {
	m.t.Helper()
	for _, s := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT} {
		if err := m.KillPID(m.t.Context(), pid, s); err != nil {
			m.t.Fatal(err)
		}
		if s == syscall.SIGSTOP {
			work()
		}
	}
}

// transitions are the figures of the six transitions. Observing and judging is
// measured apart: the bare calls have none of it.
func transitions(t *testing.T, r *report, pairs []pair) {
	t.Helper()
	for _, p := range pairs {
		same(t, p)
		detail(t, p)
	}
	engineCPU := func(s sample) float64 { return s.cpu - s.eyes }
	for _, f := range []struct {
		name        string
		judged      kind
		budget      float64
		ours, floor func(sample) float64
		note        string
	}{
		{"over the bare calls", difference, 10, sample.ofWall, sample.ofWall, ""},
		{"CPU over the bare calls", difference, 15, engineCPU, sample.ofCPU, ""},
		{"observing and judging", value, 100, sample.ofLook, nil, "aim 30"},
		{"CPU of observing and judging", value, none, sample.ofEyes, nil, ""},
		{"from the write to the end", difference, none, sample.ofWhole, sample.ofWall, ""},
	} {
		for _, p := range pairs {
			ours := column(p.ours, f.ours)
			one := figure{name: p.String() + ", " + f.name, unit: "ms", judged: f.judged, budget: f.budget, note: f.note,
				value: quantile(ours, 0.5), floor: none, spread: 2 * uncertainty(ours)}
			if f.floor != nil {
				bare := column(p.floor, f.floor)
				one.floor, one.spread = quantile(bare, 0.5), 2*math.Hypot(uncertainty(ours), uncertainty(bare))
			}
			r.add(one)
		}
	}
}

// detail tells where the time of a transition goes, operation by operation: the
// median and the least.
func detail(t *testing.T, p pair) {
	t.Helper()
	for i, op := range p.ours[0].ops {
		ours := column(p.ours, func(s sample) float64 { return s.each[i] })
		bare := column(p.floor, func(s sample) float64 { return s.each[i] })
		t.Logf("%-24s %-36s %6.1f ms, floor %6.1f ms; at best %6.1f ms, floor %6.1f ms",
			p, op, quantile(ours, 0.5), quantile(bare, 0.5), slices.Min(ours), slices.Min(bare))
	}
}

// same wants both to have done the same operations in the same order.
func same(t *testing.T, p pair) {
	t.Helper()
	for i := range p.floor {
		ours, bare := verbs(p.ours[i].ops), verbs(p.floor[i].ops)
		if len(bare) == 0 || !slices.Equal(ours, bare) {
			t.Errorf("%s is no comparison: the daemon did %v, the floor %v", p, ours, bare)
		}
	}
}

// verbs are the operations without the ids of sessions, which differ.
func verbs(ops []fsm.Op) (out []string) {
	for _, op := range ops {
		if op.Verb == fsm.EndSession {
			op.Arg = "alice's"
		}
		out = append(out, fmt.Sprint(op))
	}
	return out
}

func (s sample) ofWall() float64  { return s.wall }
func (s sample) ofLook() float64  { return s.look }
func (s sample) ofWhole() float64 { return s.whole }
func (s sample) ofBegun() float64 { return s.begun }
func (s sample) ofCPU() float64   { return s.cpu }
func (s sample) ofEyes() float64  { return s.eyes }

func column(list []sample, of func(sample) float64) (out []float64) {
	for _, s := range list {
		out = append(out, of(s))
	}
	return out
}

// uncertainty is the standard error of a median, as for a normal distribution of
// the same median absolute deviation.
func uncertainty(list []float64) float64 {
	middle := quantile(list, 0.5)
	var off []float64
	for _, x := range list {
		off = append(off, math.Abs(x-middle))
	}
	return 1.2533 * 1.4826 * quantile(off, 0.5) / math.Sqrt(float64(len(list)))
}

// quantile is the smallest value that at least q of all do not exceed.
func quantile(list []float64, q float64) float64 {
	if len(list) == 0 {
		return none
	}
	sorted := slices.Sorted(slices.Values(list))
	n := int(float64(len(sorted)) * q)
	return sorted[min(n, len(sorted)-1)]
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
