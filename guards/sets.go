package guards

import (
	"slices"

	"github.com/modewatch/modewatch/fsm"
)

// All lists the guards of specification section 24.1, that of holds (D14) and that of an idle host (D13) in the
// order of section 10.3, in which they are judged, told and weighed.
var All = []Guard{
	targetReachable, studioLocal, sessionPresent, audioIdle, gpuReleased,
	sessionAbsent, cpuLoadSafe, userJobsSafe, noHolds, nobodyThere, vllmDrainable, memoryHeadroom,
}

// ByName returns the guard of that name.
func ByName(name string) (Guard, bool) {
	i := rank(name)
	if i == len(All) {
		return Guard{}, false
	}
	return All[i], true
}

// rank is a guard's place in All; what is not in it, a site guard, comes last.
func rank(name string) int {
	if i := slices.IndexFunc(All, func(g Guard) bool { return g.Name == name }); i >= 0 {
		return i
	}
	return len(All)
}

// sets says which guards are judged for each ordered pair of modes, and for the
// repair of a mode (section 10.3, D14). What depends on more than the pair is
// in extra.
var sets = map[[2]fsm.Mode][]Guard{
	{fsm.Desktop, fsm.StudioLocal}: {targetReachable, studioLocal, sessionPresent},
	{fsm.StudioLocal, fsm.Desktop}: {targetReachable},
	{fsm.Desktop, fsm.Compute}:     {targetReachable, audioIdle, gpuReleased, cpuLoadSafe, userJobsSafe, memoryHeadroom},
	{fsm.StudioLocal, fsm.Compute}: {targetReachable, audioIdle, gpuReleased, cpuLoadSafe, userJobsSafe, memoryHeadroom},
	{fsm.Compute, fsm.Desktop}:     {targetReachable, vllmDrainable, memoryHeadroom},
	{fsm.Compute, fsm.StudioLocal}: {targetReachable, studioLocal, vllmDrainable, memoryHeadroom},

	// A repair ends nothing of a person's, so that nothing soft guards it.
	{fsm.Desktop, fsm.Desktop}:         {targetReachable},
	{fsm.StudioLocal, fsm.StudioLocal}: {targetReachable, studioLocal},
	{fsm.Compute, fsm.Compute}:         {targetReachable, audioIdle, gpuReleased, memoryHeadroom},
}

// extra returns the guards that a plan has beyond those of its pair.
func extra(plan fsm.Plan, p fsm.Policy) []Guard {
	var out []Guard
	if plan.From == fsm.Desktop && plan.To == fsm.StudioLocal && p.Jobs.Studio {
		out = append(out, userJobsSafe)
	}
	if stopsAI(plan, p) {
		out = append(out, vllmDrainable)
	}
	if plan.From != plan.To { // a repair takes nobody anywhere
		out = append(out, noHolds)
	}
	return out
}

// stopsAI tells whether a plan stops an AI unit, by name or by its isolate.
func stopsAI(plan fsm.Plan, p fsm.Policy) bool {
	return slices.ContainsFunc(p.Units.AIUnits(), func(unit string) bool {
		wanted := slices.Contains(p.Units.AI[plan.To], unit)
		return !wanted && (stops(plan.Steps, unit) || slices.Contains(plan.Stops, unit))
	})
}

// entry is what is judged right before an operation that leads into compute by
// itself: the isolate, and the start of an AI unit (D8).
var entry = []Guard{targetReachable, audioIdle, gpuReleased, sessionAbsent, memoryHeadroom}

// ForPlan returns the guards that are judged before the first step of a plan,
// in order. An idle host must still be idle. What goes on past the point of no return of an interrupted attempt is
// judged by the hard ones alone, as the rest of that attempt would have been
// (D8, D11). Otherwise the wish does not change the set.
func ForPlan(plan fsm.Plan, wish fsm.Wish, p fsm.Policy) []Guard {
	if plan.Kind == fsm.WalkBack {
		return ordered(back(plan.To))
	}
	set := slices.Concat(sets[[2]fsm.Mode{plan.From, plan.To}], extra(plan, p), []Guard{siteGuards})
	switch {
	case wish.Reason == fsm.ByIdle && plan.From != plan.To:
		set = append(set, nobodyThere)
	case wish.Reason == fsm.ByRecovery:
		set = hardOnes(set, p)
	}
	return ordered(set)
}

func hardOnes(set []Guard, p fsm.Policy) []Guard {
	in := Input{Policy: p}
	return slices.DeleteFunc(slices.Clone(set), func(g Guard) bool { return !g.Hard(in) })
}

// back returns what guards the way back to a mode: nothing soft, and no site
// guard, may keep a host from where it was.
func back(to fsm.Mode) []Guard {
	if to == fsm.Compute {
		return entry
	}
	return []Guard{targetReachable}
}

// Before returns the guards that are judged again right before a step of a
// plan, or one that takes such a step back (D8): none for most steps, the hard
// ones for those that end something or hand the GPU over, all for automatic
// wishes.
func Before(step fsm.Step, plan fsm.Plan, wish fsm.Wish, p fsm.Policy) []Guard {
	set := again(step, plan, wish, p)
	if wish.Reason.Automatic() {
		return set
	}
	return hardOnes(set, p)
}

func again(step fsm.Step, plan fsm.Plan, wish fsm.Wish, p fsm.Policy) []Guard {
	switch {
	case cutsOff(step, plan, wish, p):
		return []Guard{vllmDrainable}
	case !step.Guarded():
		return nil
	case position(step, plan) < 0:
		return ordered(back(leads(step, plan)))
	}
	set := ForPlan(plan, wish, p)
	if plan.To == fsm.Compute && (step.Verb == fsm.Isolate || step.Verb == fsm.Start) {
		set = append(set, sessionAbsent)
	}
	if loading(step, plan, p) {
		set = slices.DeleteFunc(set, func(g Guard) bool { return g.Name == memoryHeadroom.Name })
	}
	return ordered(set)
}

// cutsOff tells whether the step stops an AI unit that may still be busy after
// its drain, where that must not happen (D14).
func cutsOff(step fsm.Step, plan fsm.Plan, wish fsm.Wish, p fsm.Policy) bool {
	return step.Verb == fsm.Stop && slices.Contains(p.Units.AIUnits(), step.Arg) &&
		plan.Kind != fsm.WalkBack && position(step, plan) >= 0 &&
		(wish.Reason.Automatic() || p.Inference.OnTimeout != fsm.DrainStop)
}

// loading tells whether an AI unit that the plan started before this step has
// taken its memory already.
func loading(step fsm.Step, plan fsm.Plan, p fsm.Policy) bool {
	return slices.ContainsFunc(plan.Steps[:position(step, plan)], func(s fsm.Step) bool {
		return s.Verb == fsm.Start && slices.Contains(p.Units.AI[plan.To], s.Arg)
	})
}

// ordered sorts guards as in All and drops doubles.
func ordered(set []Guard) []Guard {
	out := slices.Clone(set)
	slices.SortStableFunc(out, func(a, b Guard) int { return rank(a.Name) - rank(b.Name) })
	return slices.CompactFunc(out, func(a, b Guard) bool { return a.Name == b.Name })
}
