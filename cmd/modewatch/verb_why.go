package main

import (
	"fmt"
	"os"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/guards"
	"github.com/modewatch/modewatch/internal/engine"
)

// reasoned is the JSON document of why.
type reasoned struct {
	Schema   int       `json:"schema"`
	To       fsm.Mode  `json:"to"`
	From     fsm.Mode  `json:"from"`
	Blocking []blocker `json:"blocking"`
	Exit     int       `json:"exit"`
}

// blocker is a refusing verdict with what can be done about it.
type blocker struct {
	fsm.Verdict
	Do string `json:"do"`
}

func runWhy(e env, args []string) (int, error) {
	to, pre, err := e.preview(args)
	if err != nil {
		return 0, err
	}
	bad := guards.Blocking(pre.Verdicts)
	if e.asJSON {
		doc := reasoned{Schema: fsm.Schema, To: to, From: pre.Observation.Mode, Blocking: []blocker{}, Exit: pre.Exit}
		for _, v := range bad {
			doc.Blocking = append(doc.Blocking, blocker{v, advice(v)})
		}
		return pre.Exit, e.printJSON(doc)
	}
	p := e.page(0)
	p.why(to, pre, bad)
	p.asRoot(pre.Verdicts, os.Geteuid())
	return pre.Exit, e.show(p)
}

// why writes each reason with what to do about it, the weightiest first.
func (p *page) why(to fsm.Mode, pre engine.Preview, bad []fsm.Verdict) {
	switch {
	case len(bad) > 0:
		keep := "keep"
		if len(bad) == 1 {
			keep = "keeps"
		}
		p.line(fmt.Sprintf("%s %s this host from %s:", p.strong(count(len(bad), "guard")), keep, to))
		p.reasons(bad)
	case pre.Plan.Empty():
		p.line(p.good("Nothing") + fmt.Sprintf(": this host is in %s.", to))
	default:
		p.line(p.good("Nothing") + fmt.Sprintf(" keeps this host from %s.", to))
	}
}

func (p *page) reasons(bad []fsm.Verdict) {
	for _, v := range bad {
		p.hang("  "+p.paintVerdict(v)+pad(kindOf(v), 12), fmt.Sprintf("%s: %s", guardCode(v), v.Reason))
		p.hang("  "+pad("", 12), p.dim("→ "+advice(v)))
	}
}
