package main

import (
	"context"
	"fmt"
	"os"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/guards"
	"github.com/modewatch/modewatch/internal/engine"
)

// previewed is the JSON document of dry-run.
type previewed struct {
	Schema      int             `json:"schema"`
	To          fsm.Mode        `json:"to"`
	Observation fsm.Observation `json:"observation"`
	Plan        fsm.Plan        `json:"plan"`
	Undo        []fsm.Step      `json:"undo"`
	StopSet     *fsm.StopSet    `json:"stop_set,omitempty"`
	Verdicts    []fsm.Verdict   `json:"guards"`
	Outcome     string          `json:"outcome"` // of the request, as far as it can be foreseen
	Exit        int             `json:"exit"`
}

func runDryRun(e env, args []string) (int, error) {
	to, pre, err := e.preview(args)
	if err != nil {
		return 0, err
	}
	if e.asJSON {
		return pre.Exit, e.printJSON(previewDoc(to, pre))
	}
	p := e.page(0)
	p.preview(to, pre)
	p.asRoot(pre.Verdicts, os.Geteuid())
	return pre.Exit, e.show(p)
}

// preview looks at the host and at what a request for the mode would do. It
// changes nothing.
func (e env) preview(args []string) (fsm.Mode, engine.Preview, error) {
	cfg, err := e.load()
	if err != nil {
		return "", engine.Preview{}, err
	}
	to, err := e.modeArg(cfg, args)
	if err != nil {
		return "", engine.Preview{}, err
	}
	host, done := e.host(cfg)
	defer done()
	w := fsm.Wish{Mode: to, Reason: fsm.ByRequest, By: fsm.NoCaller, At: e.now()}
	return to, engine.Look(context.Background(), host, cfg.Policy, w), nil
}

func previewDoc(to fsm.Mode, pre engine.Preview) previewed {
	doc := previewed{Schema: fsm.Schema, To: to, Observation: pre.Observation, Plan: pre.Plan,
		Undo: list(pre.Plan.Undo(len(pre.Plan.Steps))), Verdicts: list(pre.Verdicts), Outcome: foreseen(pre), Exit: pre.Exit}
	if set, ok := pre.Facts.StopSets.Value[pre.Plan.Isolates()]; ok {
		set.Stops = list(set.Stops)
		doc.StopSet = &set
	}
	doc.Plan.Steps, doc.Observation.Evidence = list(doc.Plan.Steps), list(doc.Observation.Evidence)
	return doc
}

// foreseen is the outcome of the request as far as a look can tell.
func foreseen(pre engine.Preview) string {
	switch {
	case pre.Exit != 0:
		return string(fsm.Blocked)
	case pre.Plan.Empty():
		return string(fsm.Noop)
	}
	return string(fsm.Reached)
}

// preview writes the whole page of dry-run.
func (p *page) preview(to fsm.Mode, pre engine.Preview) {
	if pre.Observation.Mode == fsm.Unknown {
		p.line(p.bad("The mode of this host cannot be told") + ", so that nothing can be planned:")
		p.verdictRows(pre.Verdicts)
		p.verdict(pre)
		return
	}
	if pre.Plan.Empty() {
		p.line(p.good("Already in "+string(to)) + ": nothing would be done.")
		return
	}
	p.line(p.strong(headline(pre.Plan)) + ". Nothing is changed by this preview.")
	p.steps(pre)
	p.stopSet(pre)
	p.blank()
	p.line(p.strong("Guards") + ", judged now:")
	p.verdictRows(pre.Verdicts)
	p.verdict(pre)
}

func headline(plan fsm.Plan) string {
	steps := count(len(plan.Steps), "step")
	if plan.From == plan.To {
		return fmt.Sprintf("Repair of %s, %s", plan.To, steps)
	}
	return fmt.Sprintf("%s → %s, %s", plan.From, plan.To, steps)
}

// steps numbers the steps, with bound and undo, and marks the point of no
// return.
func (p *page) steps(pre engine.Preview) {
	n := names{pre.Facts.Logins.Value}
	p.blank()
	rows := [][]string{{p.dim("step"), p.dim("at most"), ""}}
	passed := false
	for i, s := range pre.Plan.Steps {
		if s.Final && !passed {
			passed = true
			rows = append(rows, []string{p.warn("── point of no return ──")})
		}
		what := n.doing(s.Op)
		if u := undoing(s); u != "" {
			what += p.dim("; undone by " + u)
		}
		rows = append(rows, []string{fmt.Sprintf("%4d", i+1), span(s.Deadline), what})
	}
	p.table(rows)
}

// stopSet lists what the isolate would stop, and how each came to run.
func (p *page) stopSet(pre engine.Preview) {
	target := pre.Plan.Isolates()
	if target == "" {
		return
	}
	p.blank()
	if !pre.Facts.StopSets.OK {
		p.line(p.warn("What isolating "+target+" would stop cannot be told: ") + pre.Facts.StopSets.Why())
		return
	}
	p.stops(pre.Facts.StopSets.Value[target])
}

func (p *page) stops(set fsm.StopSet) {
	if len(set.Stops) == 0 {
		p.line("Isolating " + set.Target + " would stop nothing.")
		return
	}
	p.line(p.strong("Isolating "+set.Target) + " would stop " + count(len(set.Stops), "unit") + ":")
	var rows [][]string
	for _, u := range set.Stops {
		rows = append(rows, []string{u.Name, p.origin(u.Origin), p.dim(u.Description)})
	}
	p.table(rows)
}

// origin tells how a unit came to run; those that count as somebody's job stand
// out (D10).
func (p *page) origin(word string) string {
	switch word {
	case "hand":
		return p.warn("started by hand")
	case "transient":
		return p.warn("transient")
	case "timer":
		return p.warn("started by a timer")
	case "socket", "bus", "path":
		return "activated by " + word
	case "dependency":
		return "wanted by another"
	}
	return word
}

// verdict ends the page with what the request would come to.
func (p *page) verdict(pre engine.Preview) {
	p.blank()
	bad := guards.Blocking(pre.Verdicts)
	if len(bad) == 0 {
		p.line("A request would " + p.good("go ahead") + " now.")
		return
	}
	p.line(fmt.Sprintf("A request would be %s now: exit code %d.", p.bad("blocked"), pre.Exit))
}
