package guards

import (
	"path"
	"slices"
	"strings"

	"github.com/modewatch/modewatch/fsm"
)

// What guards ask of a plan: what of it is still to come, and what it ends.

// remaining returns the steps that are still to be done. A step that is not of
// the plan takes one back, and stands alone.
func remaining(in Input) []fsm.Step {
	if in.Before == nil {
		return in.Plan.Steps
	}
	if i := position(*in.Before, in.Plan); i >= 0 {
		return in.Plan.Steps[i:]
	}
	return []fsm.Step{*in.Before}
}

func position(step fsm.Step, plan fsm.Plan) int {
	return slices.IndexFunc(plan.Steps, func(s fsm.Step) bool { return s.Op == step.Op })
}

// destination returns the mode that the rest of the plan leads to: a step that
// takes another back leads to where the plan came from.
func destination(in Input) fsm.Mode {
	if in.Before != nil {
		return leads(*in.Before, in.Plan)
	}
	return in.Plan.To
}

func leads(step fsm.Step, plan fsm.Plan) fsm.Mode {
	if position(step, plan) < 0 {
		return plan.From
	}
	return plan.To
}

// isolates returns the target that is still to be isolated, or "".
func isolates(in Input) string { return fsm.Plan{Steps: remaining(in)}.Isolates() }

func stopSet(in Input, target string) (set fsm.StopSet, why string) {
	if !in.Facts.StopSets.OK {
		return set, in.Facts.StopSets.Why()
	}
	set, ok := in.Facts.StopSets.Value[target]
	if !ok {
		return set, "not looked at"
	}
	return set, ""
}

// stops tells whether one of the steps stops the unit by name.
func stops(steps []fsm.Step, unit string) bool {
	return slices.ContainsFunc(steps, func(s fsm.Step) bool {
		return (s.Verb == fsm.Stop || s.Verb == fsm.MaskNow) && s.Arg == unit
	})
}

// ending names the units, each once, that the rest of the plan takes down: by
// name, with a session, with a user's last session, or by the isolate.
func ending(in Input) []string {
	var out []string
	add := func(names ...string) {
		for _, name := range names {
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	for _, s := range remaining(in) {
		switch s.Verb {
		case fsm.Stop, fsm.MaskNow:
			add(s.Arg)
		case fsm.EndSession:
			add(fsm.SessionScope(s.Arg))
		case fsm.Isolate:
			add(in.Plan.Stops...)
		}
	}
	for _, s := range in.Facts.Logins.Value.Sessions {
		if slices.Contains(in.Plan.Ends, s.ID) && managerStays(in, s.UID) == "" {
			add(userManager(s.UID))
		}
	}
	return out
}

// matchAny tells whether a name is one of the names or patterns.
func matchAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, name)
		return p == name || ok && err == nil
	})
}

// join puts the parts of a detail that are there side by side.
func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "; ")
}
