package guards

import (
	"fmt"
	"slices"
	"strings"

	"github.com/modewatch/modewatch/fsm"
)

// vllmDrainable is check_vllm_drainable: what the running AI units serve can be
// brought to an end (section 10.2, G6). Requests under way do not block a plan
// that drains them; they block the stop after the drain, when the wish is
// automatic or vllm.drain.on_timeout says so (D14).
var vllmDrainable = guard("check_vllm_drainable", 15, hard, fsm.AboutUnits|fsm.AboutInference, func(in Input) answer {
	if !in.Facts.Units.OK {
		return cannotTell("the state of the AI units", in.Facts.Units.Why())
	}
	var notes []string
	for _, name := range in.Policy.Units.AIUnits() {
		u := in.Facts.Units.Value[name]
		if slices.Contains(in.Policy.Units.AI[in.Plan.To], name) || u.Gone() {
			continue
		}
		if !u.Is(true) {
			notes = append(notes, name+" is "+u.Active+" and serves nobody")
			continue
		}
		a := drainable(in, name)
		if a.kind != passes {
			return a
		}
		notes = append(notes, a.detail)
	}
	if len(notes) == 0 {
		return pass("no AI unit is to be stopped", "")
	}
	return pass("the AI units can be stopped", strings.Join(notes, "; "))
})

// drainable judges one AI unit that is active and to be stopped.
func drainable(in Input, unit string) answer {
	requests, why := requestsOf(in, unit)
	if why != "" {
		return cannotTell("the requests of "+unit, why)
	}
	detail := fmt.Sprintf("%s has %g requests", unit, requests)
	switch {
	case requests == 0:
		return pass("", detail)
	case drains(remaining(in), unit):
		return pass("", detail+", which are given time to end")
	case !drains(in.Plan.Steps, unit):
		return block(fmt.Sprintf("%s serves %g requests and this plan does not drain it", unit, requests), "")
	case in.Wish.Reason.Automatic() || in.Policy.Inference.OnTimeout != fsm.DrainStop:
		return block(fmt.Sprintf("%s still serves %g requests after the time given to it", unit, requests), "")
	}
	return pass("", detail+", which are cut off by vllm.drain.on_timeout")
}

// requestsOf returns how many requests an AI unit serves or holds, or why that
// is not known.
func requestsOf(in Input, unit string) (float64, string) {
	if in.Policy.Inference.URL[unit] == "" {
		return 0, "no address of its server is configured in [vllm.urls]"
	}
	if !in.Facts.Inference.OK {
		return 0, in.Facts.Inference.Why()
	}
	for _, i := range in.Facts.Inference.Value {
		if i.Unit != unit {
			continue
		}
		n := i.Running + i.Waiting
		switch {
		case !i.Known && i.Cause == "":
			return 0, "its metrics were not read"
		case !i.Known:
			return 0, i.Cause
		case !(n >= 0): // also not a number
			return 0, fmt.Sprintf("its metrics say %v", n)
		}
		return n, ""
	}
	return 0, "it was not asked"
}

func drains(steps []fsm.Step, unit string) bool {
	return slices.ContainsFunc(steps, func(s fsm.Step) bool { return s.Op == fsm.Op{Verb: fsm.Drain, Arg: unit} })
}
