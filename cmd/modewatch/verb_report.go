package main

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/modewatch/modewatch/fsm"
)

// reported is the JSON document of report.
type reported struct {
	Schema     int             `json:"schema"`
	Attempts   int             `json:"attempts"`
	Conditions []fsm.Condition `json:"conditions"`
	Specialise bool            `json:"specialise"`
	Notes      []string        `json:"notes,omitempty"`
}

func reportVerb(f *pflag.FlagSet) runner {
	from := f.String("since", "", "judge by those that ended after `T`, as history takes it")
	return func(e env, _ []string) (int, error) {
		found, notes, err := e.past(*from, 0)
		if err != nil {
			return 0, err
		}
		all := fsm.Report(found, e.now())
		if e.asJSON {
			return 0, e.printJSON(reported{fsm.Schema, len(found), all, fsm.Specialise(all), notes})
		}
		p := e.page(0)
		p.report(len(found), all)
		return 0, e.show(p)
	}
}

// report tells each condition, and what they come to (section 26.2, D21).
func (p *page) report(attempts int, all []fsm.Condition) {
	p.line(fmt.Sprintf("Should compute become a specialisation? By %s on record:", count(attempts, "attempt")))
	p.blank()
	var rows [][]string
	for _, c := range all {
		word := p.good("no")
		switch {
		case !c.Known:
			word = p.dim("cannot tell")
		case c.Holds:
			word = p.warn("yes")
		}
		rows = append(rows, []string{word, c.What, p.dim(c.Evidence)})
	}
	p.table(rows)
	p.blank()
	if fsm.Specialise(all) {
		p.line(p.warn("Yes:") + " two or more of these persist. `modewatch request compute` would stay as it is.")
		return
	}
	p.line(p.good("Not by this record:") + " it takes two of these. Switching at run time does.")
}
