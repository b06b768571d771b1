package guards

import (
	"slices"
	"testing"

	"github.com/modewatch/modewatch/fsm"
)

func TestBlockCode(t *testing.T) {
	hard := func(name string, code int) fsm.Verdict {
		return fsm.Verdict{Guard: name, Code: code, OK: code == 0, Hard: true}
	}
	soft := func(name string, code int) fsm.Verdict {
		return fsm.Verdict{Guard: name, Code: code, OK: code == 0}
	}
	rows := []struct {
		name string
		in   []fsm.Verdict
		want int
	}{
		{"nobody refuses", []fsm.Verdict{hard("check_audio_idle", 0), soft("check_cpu_load_safe", 0)}, 0},
		{"none at all", nil, 0},
		{"a hard block before a soft one", []fsm.Verdict{soft("check_cpu_load_safe", 12), hard("check_gpu_display_released", 11)}, 11},
		{"the first hard block by section 10.3, however they come", []fsm.Verdict{hard("check_gpu_display_released", 11), hard("check_target_reachable", 18), hard("check_audio_idle", 10)}, 18},
		{"a soft block before what could not be told", []fsm.Verdict{hard("check_target_reachable", 28), soft("check_user_jobs_safe", 13)}, 13},
		{"the first soft block", []fsm.Verdict{soft("check_user_jobs_safe", 13), soft("check_cpu_load_safe", 12)}, 12},
		{"a hard block before what could not be told", []fsm.Verdict{hard("check_target_reachable", 28), hard("check_vllm_drainable", 15)}, 15},
		{"the first that could not be told", []fsm.Verdict{soft("check_cpu_load_safe", 22), hard("check_audio_idle", 20)}, 20},
		{"20 is no block", []fsm.Verdict{hard("check_audio_idle", 20), soft("check_cpu_load_safe", 12)}, 12},
		{"a site guard comes last", []fsm.Verdict{hard("lab-booked", 10), hard("check_memory_headroom", 14)}, 14},
		{"a site guard before a soft block", []fsm.Verdict{soft("check_cpu_load_safe", 12), hard("lab-booked", 19)}, 19},
	}
	for _, r := range rows {
		if got := BlockCode(r.in); got != r.want {
			t.Errorf("%s: got %d, want %d", r.name, got, r.want)
		}
	}
}

func TestSiteGuards(t *testing.T) {
	site := []fsm.SiteVerdict{
		{Name: "a-pass", Code: 0, Reason: "fine"}, {Name: "b-block", Code: 17, Reason: "the lab is booked"},
		{Name: "c-lost", Code: 1, Reason: "exit status 1"}, {Name: "d-told", Code: 23}, {Name: "e-misuse", Code: 30}, {Name: "f-signal", Code: -1}, {Name: "g-nine", Code: 9}, {Name: "h-ten", Code: 10}, {Name: "i-last", Code: 29},
	}
	in := Input{Facts: fsm.Facts{Site: ok(site)}}
	var got []int
	for i, v := range Judge([]Guard{siteGuards}, in) {
		got = append(got, v.Code)
		if v.Guard != site[i].Name || !v.Hard || v.OK != (v.Code == 0) || v.Reason == "" || site[i].Reason != "" && v.Reason != site[i].Reason {
			t.Errorf("got %+v of %+v", v, site[i])
		}
	}
	if want := []int{0, 17, 20, 23, 20, 20, 20, 10, 29}; !slices.Equal(got, want) {
		t.Errorf("got codes %v, want %v", got, want)
	}
	if v := siteGuards.Check(in); v.Guard != "b-block" || v.Code != 17 {
		t.Errorf("as one guard it says %+v", v)
	}
	if v := siteGuards.Check(Input{Facts: fsm.Facts{Site: ok([]fsm.SiteVerdict{})}}); !v.OK || v.Code != 0 || !v.Hard {
		t.Errorf("without site guards it says %+v", v)
	}
}

// TestNothingReadNeverPasses: whatever the plan and the step, facts that were
// not read pass no guard.
func TestNothingReadNeverPasses(t *testing.T) {
	for _, host := range []func() fsm.Facts{onDesktop, inCompute} {
		for _, to := range fsm.Modes {
			whole := input(t, host(), testPolicy(), to)
			whole.Facts = fsm.Facts{}
			steps := append(whole.Plan.Undo(len(whole.Plan.Steps)), whole.Plan.Steps...)
			cases := []Input{whole}
			for i := range steps {
				in := whole
				in.Before = &steps[i]
				cases = append(cases, in)
			}
			for _, in := range cases {
				for _, v := range Judge(append(slices.Clone(All), siteGuards), in) {
					if v.OK || v.Code < 20 || v.Code > 29 || v.Reason == "" {
						t.Errorf("%s → %s before %v: %+v", in.Plan.From, to, in.Before, v)
					}
				}
			}
		}
	}
}

// TestEachReadingIsNeeded: a host that passes everything passes no guard any
// more once what the guard looks at cannot be read.
func TestEachReadingIsNeeded(t *testing.T) {
	lose := map[fsm.Subject]func(*fsm.Facts){
		fsm.AboutHost:       func(f *fsm.Facts) { f.Host = broken[fsm.Host]() },
		fsm.AboutUnits:      func(f *fsm.Facts) { f.Units = broken[map[string]fsm.Unit]() },
		fsm.AboutSessions:   func(f *fsm.Facts) { f.Logins = broken[fsm.Logins]() },
		fsm.AboutStopSets:   func(f *fsm.Facts) { f.StopSets = broken[map[string]fsm.StopSet]() },
		fsm.AboutAudio:      func(f *fsm.Facts) { f.Audio = broken[fsm.Audio]() },
		fsm.AboutGPU:        func(f *fsm.Facts) { f.GPU = broken[fsm.GPU]() },
		fsm.AboutLoad:       func(f *fsm.Facts) { f.Load = broken[fsm.Load]() },
		fsm.AboutMemory:     func(f *fsm.Facts) { f.Memory = broken[fsm.Memory]() },
		fsm.AboutJobs:       func(f *fsm.Facts) { f.Jobs = broken[[]fsm.UserJob]() },
		fsm.AboutInference:  func(f *fsm.Facts) { f.Inference = broken[[]fsm.Inference]() },
		fsm.AboutPlacement:  func(f *fsm.Facts) { f.Placement = broken[fsm.Placement]() },
		fsm.AboutInhibitors: func(f *fsm.Facts) { f.Inhibitors = broken[[]fsm.Inhibitor]() },
		fsm.AboutHolds:      func(f *fsm.Facts) { f.Holds = broken[[]fsm.Hold]() },
		fsm.AboutSite:       func(f *fsm.Facts) { f.Site = broken[[]fsm.SiteVerdict]() },
	}
	// One reading alone settles these: the other is only looked at when it is short.
	spare := map[string]fsm.Subject{"check_memory_headroom": fsm.AboutUnits | fsm.AboutSessions}
	tried := map[string]bool{}
	for _, host := range []func() fsm.Facts{onDesktop, inCompute} {
		for _, to := range fsm.Modes {
			in := input(t, host(), testPolicy(), to)
			for _, g := range ForPlan(in.Plan, in.Wish, in.Policy) {
				if v := g.Check(in); !v.OK {
					t.Fatalf("%s → %s: the healthy host does not pass %+v", in.Plan.From, to, v)
				}
				for about, forget := range lose {
					if g.About&about == 0 || spare[g.Name]&about != 0 || about == fsm.AboutStopSets && in.Plan.Isolates() == "" {
						continue
					}
					worse := in
					forget(&worse.Facts)
					tried[g.Name] = true
					if v := g.Check(worse); v.OK && needed(in, g, about) {
						t.Errorf("%s → %s: %s passes without %s: %+v", in.Plan.From, to, g.Name, fsm.SubjectNames[about], v)
					}
				}
			}
		}
	}
	if len(tried) < 9 {
		t.Errorf("only %d guards were tried", len(tried))
	}
}

// needed tells whether the guard has something to ask the reading in this plan.
func needed(in Input, g Guard, about fsm.Subject) bool {
	switch {
	case g.Name == "check_gpu_display_released" && about == fsm.AboutSessions:
		return !strictly(in)
	case g.Name == "check_vllm_drainable" && about == fsm.AboutInference:
		return in.Plan.Has(fsm.Stop)
	}
	return true
}

func TestQuery(t *testing.T) {
	in := input(t, onDesktop(), testPolicy(), fsm.Compute)
	in.Plan.Stops = []string{"cups.service"}
	q := Query(ForPlan(in.Plan, in.Wish, in.Policy), in.Plan)
	want := fsm.Everything &^ (fsm.AboutInference | fsm.AboutPlacement | fsm.AboutBudgets | fsm.AboutIdle | fsm.AboutWorkers)
	if q.About != want || q.Wish != fsm.Compute {
		t.Errorf("asks about %b, wants %b, wish %s", q.About, want, q.Wish)
	}
	if want := []string{"compute.target"}; !slices.Equal(q.Targets, want) {
		t.Errorf("stop sets of %v, want %v", q.Targets, want)
	}
	done := false
	for _, s := range in.Plan.Steps {
		q := QueryBefore(ForPlan(in.Plan, in.Wish, in.Policy), in.Plan, s)
		if asks := q.About&fsm.AboutStopSets != 0; asks == done || asks != (len(q.Targets) == 1) {
			t.Errorf("before %s: stop sets of %v", s.Op, q.Targets)
		}
		done = done || s.Verb == fsm.Isolate
	}
	for _, name := range []string{"compute.target", "cups.service", "display-manager.service", "session-c2.scope", "vllm@compute.service"} {
		if !slices.Contains(q.Units, name) {
			t.Errorf("%s is not among the units %v", name, q.Units)
		}
	}

	in = input(t, onDesktop(), testPolicy(), fsm.StudioLocal)
	q = Query(ForPlan(in.Plan, in.Wish, in.Policy), in.Plan)
	if in.Plan.Stops = []string{"cups.service"}; slices.Contains(Query(ForPlan(in.Plan, in.Wish, in.Policy), in.Plan).Units, "cups.service") {
		t.Error("nobody weighs memory, and that of cups.service is asked for")
	}
	if q.About&fsm.AboutStopSets != 0 || len(q.Targets) != 0 {
		t.Errorf("a plan that isolates nothing asks for the stop sets of %v", q.Targets)
	}
	audio := fsm.Plan{Steps: []fsm.Step{{Op: fsm.Op{Verb: fsm.StopAudio, Arg: "1000"}}, {Op: fsm.Op{Verb: fsm.StopAudio, Arg: "x"}}}}
	if q := Query(nil, audio); !slices.Equal(q.Units, []string{"user@1000.service"}) {
		t.Errorf("units of %v: %v", audio, q.Units)
	}
}

func TestAll(t *testing.T) {
	codes := map[int]string{}
	for _, g := range All {
		if other, twice := codes[g.Code]; twice && g.Name != "check_holds" && g.Name != "check_idle" { // whose code is that of work under way
			t.Errorf("%s and %s both block with %d", g.Name, other, g.Code)
		}
		codes[g.Code] = g.Name
		if got, found := ByName(g.Name); !found || got.Code != g.Code {
			t.Errorf("ByName(%s) = %v, %v", g.Name, got, found)
		}
	}
	for code := 10; code <= 19; code++ {
		if codes[code] == "" {
			t.Errorf("no guard blocks with %d", code)
		}
	}
	if _, found := ByName("check_moon"); found {
		t.Error("check_moon was found")
	}
	var soft []string
	for _, g := range All {
		if !g.Hard(Input{}) {
			soft = append(soft, g.Name)
		}
	}
	if want := []string{"check_cpu_load_safe", "check_user_jobs_safe", "check_holds", "check_idle", "check_memory_headroom"}; !slices.Equal(soft, want) {
		t.Errorf("soft are %v, want %v", soft, want)
	}
}

func TestCannotTellMode(t *testing.T) {
	v := CannotTellMode("no bus")
	if v.OK || v.Code != 28 || !v.Hard || v.Guard != "check_target_reachable" || v.Reason != "no bus" || BlockCode([]fsm.Verdict{v}) != 28 {
		t.Errorf("got %+v", v)
	}
}

// TestBlockingDoubts: a verdict that contradicts itself refuses.
func TestBlockingDoubts(t *testing.T) {
	for _, v := range []fsm.Verdict{{Guard: "a", Code: 11, OK: true}, {Guard: "a"}} {
		if len(Blocking([]fsm.Verdict{v})) != 1 {
			t.Errorf("%+v passes", v)
		}
	}
	if v := siteGuards.Check(Input{}); v.Code != 20 || !v.Hard {
		t.Errorf("site guards that were not run: %+v", v)
	}
}
