package soak

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/internal/assurance"
)

// section tells of the trials on docs/assurance.md.
func (f *figures) section(t *testing.T, took time.Duration) assurance.Section {
	forward, back := f.reach(false), f.reach(true)
	share := 100 * float64(f.passed) / float64(max(f.attempts, 1))
	fast := took > 0 && float64(f.attempts)/took.Minutes()*10 >= 1e6
	s := assurance.Section{Title: "Random trials",
		Text: "The real engine, state table, plans and guards on a host in memory. Each trial is made of a seed: wishes, changes of the world, faults of " +
			"operations and probes, cancels, deaths of the controller, reboots. Half of them aim at one triple each of a plan, a step and what goes wrong " +
			"there; which triples there are is taken from the plans of all situations under all policies. What is on the disk is in memory, too, but for one " +
			fmt.Sprintf("trial in %d, whose records the program's own recorder keeps in real files. The invariants are held against what is so at every step.", filesOf/2),
		Command: "make soak SOAK=" + lasts.String(), Date: time.Now().Format(time.DateOnly),
		Rows: []assurance.Row{
			{What: "simulated attempts", Value: grouped(f.attempts)},
			{What: "attempts in ten minutes, at this rate", Value: grouped(int(float64(f.attempts) / took.Minutes() * 10)), Need: "≥ 1,000,000", Unmet: !fast},
			{What: "past the point of no return", Value: fmt.Sprintf("%.1f %%", share), Need: "≥ 30 %", Unmet: share < 30},
			{What: "triples of plan, step and fault, forward", Value: fmt.Sprint(forward.of)},
			{What: "the rarest of them", Value: fmt.Sprintf("%d times", forward.least), Need: "≥ 100", Unmet: forward.least < wanted},
			{What: "triples on the way back", Value: fmt.Sprint(back.of)},
			{What: "the rarest of them", Value: fmt.Sprintf("%d times", back.least), Need: "≥ 100", Unmet: back.least < wanted},
			{What: "deaths of the controller", Value: grouped(f.kinds["crash-before"] + f.kinds["crash-after"])},
			{What: "controllers with real files", Value: grouped(f.files)},
			{What: "violations", Value: map[bool]string{false: "0", true: "some"}[t.Failed()], Need: "0", Unmet: t.Failed()},
		}}
	s.Tables = []assurance.Table{
		counted("What was injected", "what", f.kinds), counted("How often each invariant was held against what is so", "invariant", f.held), found(t)}
	return s
}

func counted(title, what string, m map[string]int) assurance.Table {
	t := assurance.Table{Title: title, Head: []string{what, "times"}}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		t.Rows = append(t.Rows, []string{k, grouped(m[k])})
	}
	return t
}

// found lists the faults of the program that trials and explorations have shown.
func found(t *testing.T) assurance.Table {
	out := assurance.Table{Title: "Faults of the program that were found so, all mended", Head: []string{"fault", "invariant", "mended by", "scenario"}}
	files, err := filepath.Glob(filepath.Join(scenarios, "*.json"))
	if err != nil {
		t.Error(err)
	}
	for _, file := range files {
		var s script
		data, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(data, &s)
		}
		if err != nil || s.Shows == nil {
			t.Errorf("cannot tell what %s shows: %v", file, err)
			continue
		}
		out.Rows = append(out.Rows, []string{s.Shows.Fault, s.Shows.Invariant, "`" + s.Shows.Mend + "`", strings.TrimSuffix(filepath.Base(file), ".json")})
	}
	return out
}

// grouped is a number as it is read.
func grouped(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// section tells of the exploration.
func (x *explored) section(of, missed int) assurance.Section {
	return assurance.Section{Title: "Exploration",
		Text: fmt.Sprintf("The same, breadth first instead of at random, under %d of %d policies: from every situation every wish, and at every step of its plan every "+
			"result that the operation can have, the death of the controller before and after it, probes that fail, a full disk, every change of the world "+
			"that guards judge by, a cancel, another wish, a reload, a reboot; and what can go wrong on the way back. From the hosts at rest to which that "+
			"leads, and from those to which these lead, every wish with what fails, is half done or dies at each step, to a depth of %d wishes. A host at rest that was "+
			"seen before, but for times and ids, is not gone on from. From each, with nothing in the way, a wish must come to its mode.", *policies, len(variants), *depth),
		Command: fmt.Sprintf("make explore DEPTH=%d POLICIES=%d", *depth, *policies), Date: time.Now().Format(time.DateOnly),
		Rows: []assurance.Row{
			{What: "distinct hosts at rest", Value: grouped(len(x.nodes))},
			{What: "distinct edges between them", Value: grouped(len(x.edges))},
			{What: "ways that were followed", Value: grouped(x.runs)},
			{What: "hosts beyond the depth, not gone on from", Value: grouped(len(x.next))},
			{What: "deaths of the controller", Value: grouped(x.crashes)},
			{What: "triples of plan, step and fault that were come to", Value: grouped(of - missed), Need: grouped(of), Unmet: missed > 0},
			{What: "violations", Value: grouped(len(x.bad)), Need: "0", Unmet: len(x.bad) > 0},
		}}
}
