package guards

import (
	"slices"
	"strconv"

	"github.com/modewatch/modewatch/fsm"
)

// Query returns what the host must be asked for the guards to judge the plan.
func Query(set []Guard, plan fsm.Plan) fsm.Query { return query(set, plan, plan.Isolates()) }

// Ahead is what the guards on the way to a mode ask for that takes long and depends
// on no plan, so that it can be read while the plan is made.
func Ahead(to fsm.Mode) (about fsm.Subject) {
	for pair, set := range sets {
		if pair[1] == to && pair[0] != to && asks(set, audioIdle) {
			about |= fsm.AboutAudio
		}
	}
	return about
}

// About is what those guards look at that gave the verdicts.
func About(list []fsm.Verdict) (about fsm.Subject) {
	for _, g := range All {
		if slices.ContainsFunc(list, func(v fsm.Verdict) bool { return v.Guard == g.Name }) {
			about |= g.About
		}
	}
	return about
}

// QueryBefore is Query for the guards that are judged right before a step: a
// stop set is asked for only while its isolate is still to come.
func QueryBefore(set []Guard, plan fsm.Plan, step fsm.Step) fsm.Query {
	return query(set, plan, isolates(Input{Plan: plan, Before: &step}))
}

// query asks for the stop set of one target, if there is one: that of an isolate
// which takes a step back is judged when it comes to that.
func query(set []Guard, plan fsm.Plan, target string) fsm.Query {
	q := fsm.Query{Wish: plan.To}
	for _, g := range set {
		q.About |= g.About
	}
	for _, s := range plan.Steps {
		q.Units = append(q.Units, unitsOf(s.Op)...)
		q.Units = append(q.Units, unitsOf(s.Undo)...)
	}
	if asks(set, memoryHeadroom) {
		q.Units = append(q.Units, plan.Stops...)
	}
	q.Units = unique(q.Units)
	if target == "" {
		q.About &^= fsm.AboutStopSets
	} else {
		q.Targets = []string{target}
	}
	return q
}

func asks(set []Guard, g Guard) bool {
	return slices.ContainsFunc(set, func(have Guard) bool { return have.Name == g.Name })
}

// unitsOf names the units whose state or memory matters for an operation.
func unitsOf(op fsm.Op) []string {
	switch op.Verb {
	case fsm.Run, fsm.Start, fsm.Stop, fsm.Isolate, fsm.MaskNow, fsm.UnmaskNow, fsm.Drain, fsm.AwaitReady:
		return []string{op.Arg}
	case fsm.EndSession:
		return []string{fsm.SessionScope(op.Arg)}
	case fsm.StopDesktop, fsm.StopAudio, fsm.StartAudio:
		if uid, err := strconv.Atoi(op.Arg); err == nil {
			return []string{userManager(uid)}
		}
	}
	return nil
}

func unique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// Judge returns the verdicts of the guards, in their order; each site guard has
// one of its own.
func Judge(set []Guard, in Input) []fsm.Verdict {
	var out []fsm.Verdict
	for _, g := range set {
		if g.Name == siteGuards.Name {
			out = append(out, siteVerdicts(in)...)
			continue
		}
		out = append(out, g.Check(in))
	}
	return out
}

// Blocking returns the verdicts that refuse, hard blocks first, then soft
// blocks, then what could not be told, each in the order of section 10.3.
func Blocking(verdicts []fsm.Verdict) []fsm.Verdict {
	var out []fsm.Verdict
	for _, v := range verdicts {
		if !v.OK || v.Code != 0 {
			out = append(out, v)
		}
	}
	slices.SortStableFunc(out, func(a, b fsm.Verdict) int {
		if c := weight(a) - weight(b); c != 0 {
			return c
		}
		return rank(a.Guard) - rank(b.Guard)
	})
	return out
}

func weight(v fsm.Verdict) int {
	switch {
	case v.Code >= 20:
		return 2
	case !v.Hard:
		return 1
	}
	return 0
}

// BlockCode returns the exit code of a refusal (D6): that of the first hard
// block, else of the first soft block, else of the first that could not tell;
// 0 when nothing refuses.
func BlockCode(verdicts []fsm.Verdict) int {
	if refused := Blocking(verdicts); len(refused) > 0 {
		return refused[0].Code
	}
	return 0
}
