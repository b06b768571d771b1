package fsm

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// describe writes a plan for a person to read.
func describe(p Plan) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s → %s (%s)\n", p.From, p.To, p.Kind)
	if p.Empty() {
		b.WriteString("  nothing to do\n")
	}
	for i, s := range p.Steps {
		fmt.Fprintf(&b, "  %2d. %-40s within %-6s", i+1, s.Op, s.Deadline)
		for _, f := range []struct {
			is   bool
			word string
		}{{s.Final, "irreversible"}, {s.Yields, "yields GPU"}, {s.Optional, "optional"}} {
			if f.is {
				fmt.Fprintf(&b, "  [%s]", f.word)
			}
		}
		if s.Undo != (Op{}) {
			fmt.Fprintf(&b, "  undo: %s", s.Undo)
			if s.UndoYields {
				b.WriteString(" [yields GPU]")
			}
		}
		b.WriteString("\n")
	}
	for _, list := range []struct {
		what  string
		names []string
	}{{"ends sessions", p.Ends}, {"isolating stops", p.Stops}} {
		if len(list.names) > 0 {
			fmt.Fprintf(&b, "  %s: %s\n", list.what, strings.Join(list.names, ", "))
		}
	}
	return trim(b.String())
}

// trim drops the blanks at the ends of lines.
func trim(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

func planFor(t *testing.T, f Facts, to Mode, p Policy) Plan {
	t.Helper()
	plan, err := PlanFor(Classify(f, p), to, f, p)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// TestPlans writes out, for several hosts, the plan to each mode.
func TestPlans(t *testing.T) {
	for name, build := range hosts {
		f := build().read()
		o := Classify(f, testPolicy())
		var b strings.Builder
		fmt.Fprintf(&b, "observed: %s, because %s\ndegraded: %s\n", o.Mode, strings.Join(o.Evidence, "; "), strings.Join(whats(o), ", "))
		for _, to := range Modes {
			b.WriteString("\n" + describe(planFor(t, f, to, testPolicy())))
		}
		b.WriteString("\nfirst start of a boot: " + describe(NormalisePlan(o, f, testPolicy())))
		golden(t, "testdata/"+name+".txt", trim(b.String()))
	}
}

// TestPlansByPolicy writes out what the policy changes.
func TestPlansByPolicy(t *testing.T) {
	var b strings.Builder
	via := testPolicy()
	via.StudioToCompute = StudioViaDesktop
	b.WriteString("# transitions.studio_to_compute = \"via-desktop\"\n" + describe(planFor(t, hosts["overlay"]().read(), Compute, via)))

	bare := testPolicy()
	bare.Budgets, bare.Units.AI, bare.Units.Starters = nil, nil, nil
	b.WriteString("\n# no budgets, no AI units, no display manager\n" + describe(planFor(t, hosts["one-session"]().read(), Compute, bare)))
	b.WriteString(describe(planFor(t, hosts["compute"]().read(), Desktop, bare)))

	some := testPolicy()
	some.Budgets = map[Mode][]Budget{Desktop: some.Budgets[Desktop]}
	b.WriteString("\n# budgets in desktop alone\n" + describe(planFor(t, hosts["nothing-graphical"]().read(), Compute, some)))

	lazy := testPolicy()
	lazy.Inference.Ready = false
	b.WriteString("\n# vllm.require_ready = false\n" + describe(planFor(t, hosts["nothing-graphical"]().read(), Compute, lazy)))

	both := testPolicy()
	both.Units.AI = map[Mode][]string{Desktop: {"vllm@desktop.service"}, Compute: {vllm}}
	h := hosts["one-session"]().unit("vllm@desktop.service", "active")
	b.WriteString("\n# an AI unit of desktop, which is running\n" + describe(planFor(t, h.read(), Compute, both)))
	b.WriteString(describe(planFor(t, hosts["compute"]().unit("vllm@desktop.service", "inactive").read(), Desktop, both)))

	h = hosts["ai-by-hand"]()
	h.facts.StopSets.Value["compute.target"] = StopSet{Stops: []StopUnit{{Name: vllm}}}
	b.WriteString("\n# the AI unit of compute runs already, and isolating compute.target would stop it\n" + describe(planFor(t, h.read(), Compute, testPolicy())))
	golden(t, "testdata/policies.txt", b.String())
}

// TestNormalise: it starts desktop.target on a host where nothing is up, and
// does nothing else, ever (D7, section 19.15).
func TestNormalise(t *testing.T) {
	for name, build := range hosts {
		f := build().read()
		o := Classify(f, testPolicy())
		plan := NormalisePlan(o, f, testPolicy())
		want := []Step(nil)
		if name == "fresh-boot" {
			want = []Step{{Op: Op{Start, "desktop.target"}, Deadline: testPolicy().Deadlines.Start}}
		}
		if !slices.Equal(plan.Steps, want) || plan.Kind != Normalise {
			t.Errorf("%s: %v", name, plan)
		}
	}
}

func TestPlanHelpers(t *testing.T) {
	plan := Plan{Steps: []Step{{Op: Op{Isolate, "x.target"}}, {Op: Op{Drain, "y"}}}}
	if !plan.Has(Drain) || plan.Has(Start) || plan.Isolates() != "x.target" || (Plan{}).Isolates() != "" {
		t.Errorf("helpers of %v", plan)
	}
	for _, v := range []Verb{Drain, AwaitRelease, AwaitReady} {
		if !(Op{Verb: v}).Waits() {
			t.Errorf("%s waits", v)
		}
	}
	for s, guarded := range map[Step]bool{{}: false, {Final: true}: true, {Yields: true}: true, {UndoYields: true}: false} {
		if s.Guarded() != guarded {
			t.Errorf("%+v is guarded: %v", s, !guarded)
		}
	}
	if (Op{Verb: Stop}).Waits() {
		t.Error("stop does not only wait")
	}
}

// An attempt out of compute that ended before the audio and the login were let go
// leaves both to the repair; where the login is free, silence is somebody's choice.
func TestARepairGivesTheAudioBackWithTheLogin(t *testing.T) {
	lingers := User{UID: 1000, Name: "alice", Manager: true, AudioLoaded: true}
	for _, held := range []bool{true, false} {
		h := newHost().unit("desktop.target", "active").user(lingers)
		if held {
			h.masked("display-manager.service")
		}
		f, p := h.read(), testPolicy()
		plan, err := PlanFor(Observation{Mode: Desktop}, Desktop, f, p)
		if err != nil || plan.Kind != Repair || plan.Has(StartAudio) != held || plan.Has(UnmaskNow) != held {
			t.Errorf("login held back %v: %+v", held, plan)
		}
	}
}
