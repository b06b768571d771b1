package guards

import (
	"slices"
	"strings"
	"testing"

	"github.com/modewatch/modewatch/fsm"
)

func names(set []Guard) string {
	var out []string
	for _, g := range set {
		out = append(out, strings.TrimPrefix(g.Name, "check_"))
	}
	return strings.Join(out, " ")
}

// TestSets holds section 10.3 and D14, written out.
func TestSets(t *testing.T) {
	const (
		intoCompute = "target_reachable audio_idle gpu_display_released cpu_load_safe user_jobs_safe holds memory_headroom site-guards"
		d, s, c     = fsm.Desktop, fsm.StudioLocal, fsm.Compute
	)
	stopsVLLM := []fsm.Step{{Op: fsm.Op{Verb: fsm.Stop, Arg: "vllm@compute.service"}}}
	rows := []struct {
		name   string
		plan   fsm.Plan
		studio bool // jobs.studio
		want   string
	}{
		{"desktop → studio-local", fsm.Plan{From: d, To: s}, false, "target_reachable studio_capability_local graphical_session_present holds site-guards"},
		{"with its optional policy", fsm.Plan{From: d, To: s}, true, "target_reachable studio_capability_local graphical_session_present user_jobs_safe holds site-guards"},
		{"with an AI unit active", fsm.Plan{From: d, To: s, Steps: stopsVLLM}, false, "target_reachable studio_capability_local graphical_session_present holds vllm_drainable site-guards"},
		{"studio-local → desktop", fsm.Plan{From: s, To: d}, true, "target_reachable holds site-guards"},
		{"desktop → compute", fsm.Plan{From: d, To: c}, false, intoCompute},
		{"desktop → compute, isolate stops an AI unit of desktop", fsm.Plan{From: d, To: c, Stops: []string{"vllm@desktop.service"}}, false,
			"target_reachable audio_idle gpu_display_released cpu_load_safe user_jobs_safe holds vllm_drainable memory_headroom site-guards"},
		{"studio-local → compute", fsm.Plan{From: s, To: c}, false, intoCompute},
		{"compute → desktop", fsm.Plan{From: c, To: d}, true, "target_reachable holds vllm_drainable memory_headroom site-guards"},
		{"compute → desktop, with its stop", fsm.Plan{From: c, To: d, Steps: stopsVLLM}, true, "target_reachable holds vllm_drainable memory_headroom site-guards"},
		{"compute → studio-local", fsm.Plan{From: c, To: s}, true, "target_reachable studio_capability_local holds vllm_drainable memory_headroom site-guards"},
		{"repair of desktop", fsm.Plan{Kind: fsm.Repair, From: d, To: d}, false, "target_reachable site-guards"},
		{"repair of desktop that stops vLLM", fsm.Plan{Kind: fsm.Repair, From: d, To: d, Steps: stopsVLLM}, false, "target_reachable vllm_drainable site-guards"},
		{"repair of studio-local", fsm.Plan{Kind: fsm.Repair, From: s, To: s}, false, "target_reachable studio_capability_local site-guards"},
		{"repair of compute", fsm.Plan{Kind: fsm.Repair, From: c, To: c}, false, "target_reachable audio_idle gpu_display_released memory_headroom site-guards"},
		{"normalise", fsm.Plan{Kind: fsm.Normalise, From: d, To: d}, false, "target_reachable site-guards"},
		{"walk back to desktop", fsm.Plan{Kind: fsm.WalkBack, From: c, To: d}, false, "target_reachable"},
		{"walk back to compute", fsm.Plan{Kind: fsm.WalkBack, From: d, To: c}, false, "target_reachable audio_idle gpu_display_released graphical_session_absent memory_headroom"},
	}
	for _, r := range rows {
		p := testPolicy()
		p.Units.AI[fsm.Desktop] = []string{"vllm@desktop.service"}
		p.Jobs.Studio = r.studio
		for _, reason := range []fsm.Reason{fsm.ByRequest, fsm.ByReturn, fsm.ByIdle} {
			want := r.want
			if i := strings.Index(want, "holds") + len("holds"); reason == fsm.ByIdle && i > len("holds") {
				want = want[:i] + " idle" + want[i:]
			}
			if got := names(ForPlan(r.plan, fsm.Wish{Reason: reason}, p)); got != want {
				t.Errorf("%s by %s:\n got %s\nwant %s", r.name, reason, got, want)
			}
		}
	}
	if len(sets) != len(fsm.Modes)*len(fsm.Modes) {
		t.Errorf("%d sets for %d ordered pairs", len(sets), len(fsm.Modes)*len(fsm.Modes))
	}
}

// TestBefore walks real plans and holds which guards are judged again where.
func TestBefore(t *testing.T) {
	const (
		prediction = "target_reachable audio_idle gpu_display_released "
		proof      = "target_reachable audio_idle gpu_display_released graphical_session_absent "
	)
	rows := []struct {
		step string
		host func() fsm.Facts
		to   fsm.Mode
		auto bool
		want string
	}{
		{"mask-now display-manager.service", onDesktop, fsm.Compute, false, prediction + "site-guards"},
		{"end-session c2", onDesktop, fsm.Compute, false, prediction + "site-guards"},
		{"end-session c2", onDesktop, fsm.Compute, true, prediction + "cpu_load_safe user_jobs_safe holds idle memory_headroom site-guards"},
		{"await-release display", onDesktop, fsm.Compute, true, ""},
		{"isolate compute.target", onDesktop, fsm.Compute, false, proof + "site-guards"},
		{"isolate compute.target", onDesktop, fsm.Compute, true, proof + "cpu_load_safe user_jobs_safe holds idle memory_headroom site-guards"},
		{"start vllm@compute.service", onDesktop, fsm.Compute, false, proof + "site-guards"},
		{"await-ready vllm@compute.service", onDesktop, fsm.Compute, true, ""},
		{"start studio-local-policy.service", onDesktop, fsm.StudioLocal, true, ""},
		{"drain vllm@compute.service", inCompute, fsm.Desktop, true, ""},
		{"stop vllm@compute.service", inCompute, fsm.Desktop, false, ""},
		{"stop vllm@compute.service", inCompute, fsm.Desktop, true, "vllm_drainable"},
		{"isolate desktop.target", inCompute, fsm.Desktop, false, "target_reachable vllm_drainable site-guards"},
		{"isolate desktop.target", inCompute, fsm.StudioLocal, false, "target_reachable studio_capability_local vllm_drainable site-guards"},
		{"isolate desktop.target", inCompute, fsm.Desktop, true, "target_reachable holds idle vllm_drainable memory_headroom site-guards"},
	}
	for _, r := range rows {
		in := input(t, r.host(), testPolicy(), r.to)
		if r.auto {
			in.Wish.Reason = fsm.ByIdle
		}
		i := slices.IndexFunc(in.Plan.Steps, func(s fsm.Step) bool { return s.String() == r.step })
		if i < 0 {
			t.Errorf("no step %q in %v", r.step, in.Plan.Steps)
			continue
		}
		if got := names(Before(in.Plan.Steps[i], in.Plan, in.Wish, in.Policy)); got != r.want {
			t.Errorf("%s (automatic %v):\n got %s\nwant %s", r.step, r.auto, got, r.want)
		}
	}
}

func TestBeforeUndo(t *testing.T) {
	rows := []struct {
		step string
		host func() fsm.Facts
		to   fsm.Mode
		want string
	}{
		{"isolate desktop.target", onDesktop, fsm.Compute, "target_reachable"},
		{"stop vllm@compute.service", onDesktop, fsm.Compute, ""},
		{"unmask-now display-manager.service", onDesktop, fsm.Compute, ""},
		{"start vllm@compute.service", inCompute, fsm.Desktop, "target_reachable audio_idle gpu_display_released graphical_session_absent"},
		{"isolate compute.target", inCompute, fsm.Desktop, "target_reachable audio_idle gpu_display_released graphical_session_absent"},
	}
	for _, r := range rows {
		in := input(t, r.host(), testPolicy(), r.to)
		undo := in.Plan.Undo(len(in.Plan.Steps))
		i := slices.IndexFunc(undo, func(s fsm.Step) bool { return s.String() == r.step })
		if i < 0 {
			t.Errorf("no undo %q in %v", r.step, undo)
			continue
		}
		if got := names(Before(undo[i], in.Plan, in.Wish, in.Policy)); got != r.want {
			t.Errorf("taking back by %s:\n got %s\nwant %s", r.step, got, r.want)
		}
	}
}

func TestBeforeStopByConfiguration(t *testing.T) {
	p := testPolicy()
	p.Inference.OnTimeout = fsm.DrainBlock
	p.Inference.URL = nil // the stop is the first step: nothing can be drained
	in := input(t, inCompute(), p, fsm.Desktop).before(t, fsm.Stop)
	if got := names(Before(*in.Before, in.Plan, in.Wish, p)); got != "vllm_drainable" {
		t.Errorf("with vllm.drain.on_timeout = block the stop is guarded by %q", got)
	}
}

func TestMemoryIsAskedOnceAModelLoads(t *testing.T) {
	p := testPolicy()
	p.Memory.Model = 1 << 30
	p.Units.AI[fsm.Compute] = []string{"vllm@compute.service", "b.service"}
	f := onDesktop()
	f.Units.Value["b.service"] = loaded("b.service", "inactive")
	in := input(t, f, p, fsm.Compute)
	var got []string
	for _, s := range in.Plan.Steps {
		if s.Verb == fsm.Start {
			got = append(got, s.Arg+" "+names(Before(s, in.Plan, in.Wish, p)))
		}
	}
	want := []string{
		"vllm@compute.service target_reachable audio_idle gpu_display_released graphical_session_absent memory_headroom site-guards",
		"b.service target_reachable audio_idle gpu_display_released graphical_session_absent site-guards",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// TestMemoryIsAskedBeforeTheModel: other units that the plan starts take none.
func TestMemoryIsAskedBeforeTheModel(t *testing.T) {
	p := testPolicy()
	p.Memory.Model = 1 << 30
	start := fsm.Step{Op: fsm.Op{Verb: fsm.Start, Arg: "vllm@compute.service"}, Yields: true}
	for _, other := range []fsm.Op{{Verb: fsm.Start, Arg: "x.service"}, {Verb: fsm.Drain, Arg: "vllm@compute.service"}} {
		plan := fsm.Plan{From: fsm.Desktop, To: fsm.Compute, Steps: []fsm.Step{{Op: other}, start}}
		if got := names(Before(start, plan, fsm.Wish{}, p)); !strings.Contains(got, "memory_headroom") {
			t.Errorf("after %s the start is guarded by %s", other, got)
		}
	}
}

// TestNoUndoIsAStep holds what tells a step from one that takes it back.
func TestNoUndoIsAStep(t *testing.T) {
	for _, host := range []func() fsm.Facts{onDesktop, inCompute} {
		for _, to := range fsm.Modes {
			plan := input(t, host(), testPolicy(), to).Plan
			for _, s := range plan.Undo(len(plan.Steps)) {
				if position(s, plan) >= 0 {
					t.Errorf("%s → %s: %s is a step and takes one back", plan.From, plan.To, s)
				}
			}
		}
	}
}

func TestARecoveryIsJudgedByHardGuardsAlone(t *testing.T) {
	plan := fsm.Plan{Kind: fsm.Transition, From: fsm.Desktop, To: fsm.Compute}
	names := map[string]bool{}
	for _, g := range ForPlan(plan, fsm.Wish{Reason: fsm.ByRecovery}, fsm.Policy{}) {
		names[g.Name] = true
	}
	if names["check_user_jobs_safe"] || names["check_cpu_load_safe"] {
		t.Errorf("soft guards are among %v", names)
	}
	if !names["check_audio_idle"] || !names["check_gpu_display_released"] || !names["check_target_reachable"] {
		t.Errorf("hard guards are missing from %v", names)
	}
}
