package guards

import (
	"math"
	"testing"

	"github.com/modewatch/modewatch/fsm"
)

func serving(n float64) func(*Input) {
	return func(in *Input) {
		in.Facts.Inference.Value = []fsm.Inference{{Unit: "vllm@compute.service", Running: n, Known: true}}
	}
}

func TestVLLMDrainable(t *testing.T) {
	is := func(active string) func(*Input) {
		return func(in *Input) {
			in.Facts.Units.Value["vllm@compute.service"] = loaded("vllm@compute.service", active)
			in.Facts.Inference = broken[[]fsm.Inference]()
		}
	}
	with := func(f func(*Input), more func(*Input)) func(*Input) { return func(in *Input) { f(in); more(in) } }
	automatic := func(in *Input) { in.Wish.Reason = fsm.ByReturn }
	strict := func(in *Input) { in.Policy.Inference.OnTimeout = fsm.DrainBlock }
	undrained := func(in *Input) { in.Plan.Steps = in.Plan.Steps[1:] }
	run(t, "check_vllm_drainable", []row{
		{"nothing under way", inCompute, fsm.Desktop, nil, "", 0, "0 requests"},
		{"stopped", inCompute, fsm.Desktop, is("inactive"), "", 0, "no AI unit"},
		{"still starting", inCompute, fsm.Desktop, is("activating"), "", 0, "serves nobody"},
		{"wanted where the plan leads", inCompute, fsm.Compute, serving(3), "", 0, "no AI unit is to be stopped"},

		{"requests that will be drained", inCompute, fsm.Desktop, serving(3), "", 0, "3 requests, which are given time"},
		{"also for an automatic wish", inCompute, fsm.Desktop, with(serving(3), automatic), "", 0, "given time"},
		{"requests and no drain", inCompute, fsm.Desktop, with(serving(3), undrained), "", 15, "serves 3 requests and this plan does not drain it"},
		{"waiting ones count", inCompute, fsm.Desktop, with(undrained, func(in *Input) { in.Facts.Inference.Value[0].Waiting = 2 }), "", 15, "2 requests"},
		{"still busy, automatic", inCompute, fsm.Desktop, with(serving(1), automatic), fsm.Stop, 15, "still serves 1 requests"},
		{"still busy, a person's, to be blocked", inCompute, fsm.Desktop, with(serving(1), strict), fsm.Stop, 15, "still serves"},
		{"still busy, a person's, to be stopped", inCompute, fsm.Desktop, serving(1), fsm.Stop, 0, "cut off"},
		{"drained", inCompute, fsm.Desktop, with(serving(0), automatic), fsm.Stop, 0, "0 requests"},
		{"a second unit is drained later", inCompute, fsm.Desktop, func(in *Input) {
			automatic(in)
			in.Policy.Units.AI[fsm.Compute] = []string{"vllm@compute.service", "b.service"}
			in.Policy.Inference.URL["b.service"] = "http://127.0.0.1:8001"
			in.Facts.Units.Value["b.service"] = loaded("b.service", "active")
			in.Facts.Inference.Value = append(in.Facts.Inference.Value, fsm.Inference{Unit: "b.service", Running: 5, Known: true})
			in.Plan.Steps = append(in.Plan.Steps, fsm.Step{Op: fsm.Op{Verb: fsm.Drain, Arg: "b.service"}})
		}, fsm.Stop, 0, "b.service has 5 requests, which are given time"},

		{"units unreadable", inCompute, fsm.Desktop, func(in *Input) { in.Facts.Units = broken[map[string]fsm.Unit]() }, "", 25, "the probe broke"},
		{"active and unreadable", inCompute, fsm.Desktop, is("active"), "", 25, "the probe broke"},
		{"active and not asked", inCompute, fsm.Desktop, func(in *Input) { in.Facts.Inference.Value = nil }, "", 25, "not asked"},
		{"metrics not known", inCompute, fsm.Desktop, func(in *Input) {
			in.Facts.Inference.Value = []fsm.Inference{{Unit: "vllm@compute.service", Cause: "answered 500"}}
		}, "", 25, "answered 500"},
		{"metrics not known, nobody says why", inCompute, fsm.Desktop, func(in *Input) {
			in.Facts.Inference.Value = []fsm.Inference{{Unit: "vllm@compute.service"}}
		}, "", 25, "were not read"},
		{"metrics that are no number", inCompute, fsm.Desktop, serving(math.NaN()), "", 25, "NaN"},
		{"no address", inCompute, fsm.Desktop, func(in *Input) { in.Policy.Inference.URL = nil }, "", 25, "[vllm.urls]"},
	})
}
