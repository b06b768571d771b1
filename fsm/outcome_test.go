package fsm

import (
	"slices"
	"testing"
)

var halts = []Halt{NoHalt, HaltGuard, HaltStep, HaltTimeout, HaltCancel, HaltSupersede, HaltUnobserved, HaltShutdown}

// observations are what an attempt may leave behind.
func observations() []Observation {
	out := []Observation{{Mode: Unknown}}
	for _, m := range Modes {
		out = append(out, Observation{Mode: m},
			Observation{Mode: m, Degraded: []Deviation{{What: "graphical-session-absent"}}},
			Observation{Mode: m, Degraded: []Deviation{{What: "desktop-target-inactive"}}},
			Observation{Mode: m, Degraded: []Deviation{{What: "vllm-foreign"}}},
			Observation{Mode: m, Degraded: []Deviation{{What: "gpu-foreign-holder:/dev/dri/card0:7"}}})
	}
	return out
}

func isolating(from, to Mode) Plan {
	return Plan{Kind: Transition, From: from, To: to, Steps: []Step{{Op: Op{Isolate, "x.target"}}}}
}

// eachEnding calls f with the cross product of all that an outcome is derived
// from.
func eachEnding(f func(Ending)) {
	for _, from := range Modes {
		for _, to := range Modes {
			plans := []Plan{isolating(from, to), {From: from, To: to}, {From: from, To: to, Steps: []Step{{Op: Op{Start, "x"}}}}}
			for _, plan := range plans {
				for _, halt := range halts {
					for _, after := range observations() {
						for _, changed := range []bool{false, true} {
							for _, undoFailed := range []bool{false, true} {
								f(Ending{Plan: plan, Halt: halt, Changed: changed, UndoFailed: undoFailed, After: after})
							}
						}
					}
				}
			}
		}
	}
}

// TestOutcomes holds what must be true of every outcome.
func TestOutcomes(t *testing.T) {
	seen := map[Outcome]int{}
	eachEnding(func(e Ending) {
		out := OutcomeOf(e)
		seen[out]++
		good := out == Reached || out == Noop
		timedOut := e.Halt == HaltTimeout
		switch {
		case !slices.Contains(Outcomes, out):
			t.Errorf("%+v: no outcome %q", e, out)
		case good && (e.Halt != NoHalt || e.After.Mode != e.Plan.To || len(Unmet(e.After)) > 0):
			t.Errorf("%s of %+v", out, e)
		case !good && e.Halt == NoHalt && e.After.Mode == e.Plan.To && len(Unmet(e.After)) == 0:
			t.Errorf("%s although the target is observed: %+v", out, e)
		case out == Noop && !e.Plan.Empty():
			t.Errorf("steps were done for nothing: %+v", e)
		case out == Blocked && (e.Changed || e.Halt != HaltGuard):
			t.Errorf("blocked, and something was changed: %+v", e)
		case out == Recovered && (e.After.Mode != e.Plan.From || e.UndoFailed):
			t.Errorf("recovered, and the prior mode is not observed: %+v", e)
		case (out == Interrupted) != (e.Halt == HaltShutdown):
			t.Errorf("%s of %+v", out, e)
		case e.After.Mode == Unknown && e.Halt != HaltShutdown && out != Failed && out != Blocked:
			t.Errorf("%s although nothing was observed: %+v", out, e)
		case e.UndoFailed && e.Halt != NoHalt && e.Halt != HaltShutdown && out != Degraded && out != Failed && out != Blocked:
			t.Errorf("%s although the way back failed: %+v", out, e)
		case (ExitCode(out, 15, timedOut) == ExitReached) != good:
			t.Errorf("%s exits with %d", out, ExitCode(out, 15, timedOut))
		}
	})
	for _, out := range Outcomes {
		if seen[out] == 0 {
			t.Errorf("no ending is %s", out)
		}
	}
}

// TestOutcomeOf holds D6's table by example.
func TestOutcomeOf(t *testing.T) {
	plan := isolating(Desktop, Compute)
	clean := func(m Mode) Observation { return Observation{Mode: m} }
	unwell := func(m Mode, what string) Observation {
		return Observation{Mode: m, Degraded: []Deviation{{What: what}}}
	}
	rows := []struct {
		name string
		end  Ending
		want Outcome
	}{
		{"all done", Ending{Plan: plan, Changed: true, After: clean(Compute)}, Reached},
		{"nothing to do", Ending{Plan: Plan{From: Compute, To: Compute}, After: clean(Compute)}, Noop},
		{"all done, vLLM down", Ending{Plan: plan, Changed: true, After: unwell(Compute, "vllm-inactive")}, Degraded},
		{"all done, nobody logged in yet", Ending{Plan: isolating(Compute, Desktop), Changed: true, After: unwell(Desktop, "graphical-session-absent")}, Reached},
		{"all done, a foreign process on the shared GPU", Ending{Plan: isolating(Compute, Desktop), Changed: true, After: unwell(Desktop, "gpu-foreign-holder:/dev/dri/card0:7")}, Degraded},
		{"all done, not there", Ending{Plan: plan, Changed: true, After: clean(Desktop)}, Failed},
		{"all done, nothing observed", Ending{Plan: plan, Changed: true, After: clean(Unknown)}, Failed},
		{"a guard refused", Ending{Plan: plan, Halt: HaltGuard, After: clean(Desktop)}, Blocked},
		{"a guard refused, unreadable", Ending{Plan: plan, Halt: HaltGuard, After: clean(Unknown)}, Blocked},
		{"a guard refused in the middle", Ending{Plan: plan, Halt: HaltGuard, Changed: true, After: clean(Desktop)}, Recovered},
		{"a step failed and was taken back", Ending{Plan: plan, Halt: HaltStep, Changed: true, After: clean(Desktop)}, Recovered},
		{"the way back was refused", Ending{Plan: plan, Halt: HaltStep, Changed: true, UndoFailed: true, After: clean(Desktop)}, Degraded},
		{"neither here nor there", Ending{Plan: plan, Halt: HaltStep, Changed: true, After: unwell(Desktop, "desktop-target-inactive")}, Failed},
		{"in another mode", Ending{Plan: plan, Halt: HaltTimeout, Changed: true, After: clean(Compute)}, Failed},
		{"not observed in the end, taken back", Ending{Plan: plan, Halt: HaltUnobserved, Changed: true, After: clean(Desktop)}, Recovered},
		{"cancelled", Ending{Plan: plan, Halt: HaltCancel, Changed: true, After: clean(Desktop)}, Cancelled},
		{"followed by another wish", Ending{Plan: plan, Halt: HaltSupersede, Changed: true, After: clean(Compute)}, Superseded},
		{"the host goes down", Ending{Plan: plan, Halt: HaltShutdown, Changed: true, After: clean(Desktop)}, Interrupted},
	}
	for _, r := range rows {
		if got := OutcomeOf(r.end); got != r.want {
			t.Errorf("%s: %s, want %s", r.name, got, r.want)
		}
	}
}

// TestEndEdges: from every state in which an attempt can run, and for every
// outcome, the edges can be walked and lead to where the outcome rests.
func TestEndEdges(t *testing.T) {
	for _, s := range States {
		for _, out := range Outcomes {
			for _, after := range observations() {
				m := at(t, s)
				edges := EndEdges(s, out, after)
				for _, e := range edges {
					if _, err := m.Fire(e); err != nil {
						t.Errorf("%s after %s in %s: %v of %v", out, s, after.Mode, err, edges)
					}
				}
				if want := Rests(out, after); m.State() != want {
					t.Errorf("%s in %s observed %s: %v lead to %s, want %s", out, s, after.Mode, edges, m.State(), want)
				}
				passes := slices.Contains(edges, Fail) || s == FailedTransition
				if (out == Blocked || out == Recovered) && !passes {
					t.Errorf("%s in %s is not recorded as a failure: %v", out, s, edges)
				}
			}
		}
	}
}

// TestRests: a host that is not in order does not rest in a mode.
func TestRests(t *testing.T) {
	for _, out := range Outcomes {
		for _, after := range observations() {
			got := Rests(out, after)
			want := Resting(after.Mode)
			if out == Failed || out == Degraded || after.Mode == Unknown {
				want = FailedTransition
			}
			if got != want {
				t.Errorf("%s in %s rests in %s", out, after.Mode, got)
			}
		}
	}
}

func TestClean(t *testing.T) {
	for _, o := range observations() {
		want := o.Mode != Unknown
		for _, d := range o.Degraded {
			switch d.What {
			case "vllm-foreign":
				want = false
			case "desktop-target-inactive":
				want = want && o.Mode != Desktop
			case "gpu-foreign-holder:/dev/dri/card0:7":
				want = want && o.Mode == Compute
			}
		}
		if Clean(o) != want {
			t.Errorf("%+v is clean: %v", o, Clean(o))
		}
	}
}
