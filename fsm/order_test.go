package fsm

import (
	"slices"
	"testing"
)

// eachPlan calls f with the plan from each host to each mode, by both policies
// of section 12.6.
func eachPlan(t *testing.T, f func(t *testing.T, p Plan, facts Facts, policy Policy)) {
	for name, build := range hosts {
		for _, way := range []string{StudioDirect, StudioViaDesktop} {
			for _, to := range Modes {
				policy, facts := testPolicy(), build().read()
				policy.StudioToCompute = way
				t.Run(name+" to "+string(to)+" "+way, func(t *testing.T) {
					f(t, planFor(t, facts, to, policy), facts, policy)
				})
			}
		}
	}
}

func index(p Plan, is func(Step) bool) int  { return slices.IndexFunc(p.Steps, is) }
func verb(v Verb) func(Step) bool           { return func(s Step) bool { return s.Verb == v } }
func op(v Verb, arg string) func(Step) bool { return func(s Step) bool { return s.Op == Op{v, arg} } }
func final(s Step) bool                     { return s.Final }
func last(p Plan, is func(Step) bool) (at int) { // -1 where there is none
	at = -1
	for i, s := range p.Steps {
		if is(s) {
			at = i
		}
	}
	return at
}

// inOrder wants the first step of kind b after the last of kind a, where both
// are in the plan.
func inOrder(t *testing.T, p Plan, what string, a, b func(Step) bool) {
	t.Helper()
	if i, j := last(p, a), index(p, b); i >= 0 && j >= 0 && i > j {
		t.Errorf("%s: step %d comes before step %d in\n%s", what, j+1, i+1, describe(p))
	}
}

func TestOrder(t *testing.T) {
	eachPlan(t, func(t *testing.T, p Plan, facts Facts, policy Policy) {
		u := policy.Units
		inOrder(t, p, "what starts sessions is held back before one is ended", verb(MaskNow), verb(EndSession))
		inOrder(t, p, "a desktop is stopped before its session is ended", verb(StopDesktop), verb(EndSession))
		inOrder(t, p, "sessions are ended before the release is awaited", verb(EndSession), verb(AwaitRelease))
		inOrder(t, p, "audio is stopped after the sessions that would start it", verb(EndSession), verb(StopAudio))
		inOrder(t, p, "the release is proven before the isolate", verb(AwaitRelease), op(Isolate, u.Compute))
		inOrder(t, p, "AI units start after the release", verb(AwaitRelease), op(Start, vllm))
		inOrder(t, p, "AI units start after the isolate", verb(Isolate), op(Start, vllm))
		inOrder(t, p, "AI units start after their budgets", verb(SetBudgets), op(Start, vllm))
		inOrder(t, p, "an AI unit is drained before it is stopped", op(Drain, vllm), op(Stop, vllm))
		inOrder(t, p, "an AI unit serves after its start", op(Start, vllm), op(AwaitReady, vllm))
		inOrder(t, p, "AI units are stopped before the isolate", op(Stop, vllm), op(Isolate, u.Desktop))
		inOrder(t, p, "a login is let in after the isolate", op(Isolate, u.Desktop), verb(UnmaskNow))
		inOrder(t, p, "the marker is first in", op(Start, u.StudioPolicy), op(Start, u.AudioPriority))
		inOrder(t, p, "the marker is last out", op(Stop, u.AudioPriority), op(Stop, u.StudioPolicy))
		inOrder(t, p, "the overlay is off before the isolate of compute", op(Stop, u.StudioPolicy), op(Isolate, u.Compute))
		inOrder(t, p, "the overlay is on after the isolate of desktop", op(Isolate, u.Desktop), op(Start, u.StudioPolicy))
	})
}

// TestPromises holds what D7, D8 and D10 promise of every plan.
func TestPromises(t *testing.T) {
	eachPlan(t, func(t *testing.T, p Plan, facts Facts, policy Policy) {
		units := facts.Units.Value
		for i, s := range p.Steps {
			switch {
			case s.Deadline <= 0:
				t.Errorf("step %d has no bound: %v", i+1, s)
			case s.Verb == Isolate && units[s.Arg].Is(true):
				t.Errorf("step %d isolates a target that is active", i+1)
			case s.Waits() && s.Undo != (Op{}):
				t.Errorf("step %d only waits and has something to undo", i+1)
			case s.Final && !s.Guarded(), s.Verb == EndSession && !s.Final, s.Verb == Isolate && !s.Yields:
				t.Errorf("step %d is not judged before: %v", i+1, s)
			case s.Undo.Verb == Isolate && !s.UndoYields:
				t.Errorf("step %d: the way back isolates and is not judged: %v", i+1, s)
			}
			if twice := index(p, func(o Step) bool { return o.Op == s.Op }); twice != i {
				t.Errorf("steps %d and %d are the same: %s", twice+1, i+1, s.Op)
			}
		}
		if into := p.Isolates() == policy.Units.Compute; into && !p.Has(AwaitRelease) {
			t.Error("compute is isolated without a proof of the release")
		}
		if ends := index(p, verb(EndSession)) >= 0; ends && p.To != Compute {
			t.Error("a session is ended on a way that does not lead into compute")
		}
		if p.Kind == Repair && (index(p, final) >= 0 || p.Isolates() != "" || p.From != p.To) {
			t.Errorf("a repair ends or isolates something:\n%s", describe(p))
		}
		if p.Kind == Transition && p.From == p.To {
			t.Error("a transition that stays")
		}
	})
}

// TestEndsAreSaid: Ends and Stops say exactly what the steps do.
func TestEndsAreSaid(t *testing.T) {
	eachPlan(t, func(t *testing.T, p Plan, facts Facts, _ Policy) {
		var ended []string
		for _, s := range p.Steps {
			if s.Verb == EndSession {
				ended = append(ended, s.Arg)
			}
		}
		if !slices.Equal(p.Ends, ended) {
			t.Errorf("says that it ends %v, and ends %v", p.Ends, ended)
		}
		var stopped []string
		for _, u := range facts.StopSets.Value[p.Isolates()].Stops {
			stopped = append(stopped, u.Name)
		}
		if !slices.Equal(p.Stops, stopped) {
			t.Errorf("says that it stops %v, and stops %v", p.Stops, stopped)
		}
		if p.To == Compute {
			for _, s := range facts.Logins.Value.Graphical() {
				if !slices.Contains(p.Ends, s.ID) {
					t.Errorf("session %s is not ended on the way into compute", s.ID)
				}
			}
		}
	})
}

// TestUndo: whatever the number of steps that ran, they are taken back last
// first, with their own bounds, and judged where they hand the GPU over.
func TestUndo(t *testing.T) {
	eachPlan(t, func(t *testing.T, p Plan, _ Facts, _ Policy) {
		for n := 0; n <= len(p.Steps)+1; n++ {
			var want []Step
			for i := min(n, len(p.Steps)) - 1; i >= 0; i-- {
				if s := p.Steps[i]; s.Undo.Verb != "" {
					want = append(want, Step{Op: s.Undo, Deadline: s.Deadline, Yields: s.UndoYields, Optional: true})
				}
			}
			if got := p.Undo(n); !slices.Equal(got, want) {
				t.Errorf("after %d steps: %v, want %v", n, got, want)
			}
		}
	})
}

// TestNothingToDoTwice: a plan whose steps all took effect leaves no transition
// to be made (section 6.1, idempotence).
func TestNothingToDoTwice(t *testing.T) {
	eachPlan(t, func(t *testing.T, p Plan, facts Facts, policy Policy) {
		h := &host{units: map[string]Unit{}, logins: facts.Logins.Value, facts: facts}
		for name, u := range facts.Units.Value {
			h.units[name] = u
		}
		for _, s := range p.Steps {
			pretend(h, s.Op, policy)
		}
		f := h.read()
		if o := Classify(f, policy); o.Mode != p.To {
			t.Fatalf("it leads to %s: %v", o.Mode, o.Evidence)
		}
		for _, s := range p.Steps {
			if s.Op == (Op{Start, policy.Units.Desktop}) && p.Isolates() == policy.Units.Compute {
				continue // via-desktop: the isolate takes it down again
			}
			if s.Verb == SetBudgets && Mode(s.Arg) != p.To {
				continue // via-desktop: others follow
			}
			if done := Settled(s.Op, p, f, policy); s.Verb != AwaitReady && !done.Done {
				t.Errorf("after the plan %s is not settled: %+v", s.Op, done)
			}
		}
		if again := planFor(t, f, p.To, policy); !again.Empty() {
			t.Errorf("there is still to do:\n%s", describe(again))
		}
	})
}

// pretend does an operation on a host that always obeys.
func pretend(h *host, o Op, p Policy) {
	switch o.Verb {
	case SetBudgets:
		h.facts.Budgets = read(p.InForce(Mode(o.Arg)))
	case Start:
		h.unit(o.Arg, "active")
		if o.Arg == p.Units.Desktop {
			h.unit(p.Units.Compute, "inactive")
		}
	case Stop:
		h.unit(o.Arg, "inactive")
	case Isolate:
		h.unit(p.Units.Desktop, "inactive").unit(p.Units.Compute, "inactive").unit(o.Arg, "active")
	case MaskNow:
		h.masked(o.Arg)
	case UnmaskNow:
		h.unit(o.Arg, "active")
	case EndSession:
		h.logins.Sessions = slices.DeleteFunc(slices.Clone(h.logins.Sessions), func(s Session) bool { return s.ID == o.Arg })
	case StopDesktop, StopAudio, StartAudio:
		h.logins.Users = slices.Clone(h.logins.Users)
		for i := range h.logins.Users {
			u := &h.logins.Users[i]
			switch o.Verb {
			case StopDesktop:
				u.Graphical = false
			case StopAudio:
				u.Audio = nil
			case StartAudio:
				u.Audio = []string{"pipewire.service"}
			}
		}
	}
}
