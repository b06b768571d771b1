package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

func runHelp(e env, args []string) (int, error) {
	if len(args) == 0 {
		return 0, e.usage()
	}
	v, ok := find(args[0])
	if !ok {
		return 0, e.unknownVerb(args[0])
	}
	return 0, e.helpVerb(v)
}

// usage lists the verbs. Invoked as mode it is the list of specification
// section 20; the other verbs work all the same.
func (e env) usage() error {
	contract := e.prog == "mode"
	p := e.page(0)
	p.line(p.strong("Usage:") + " " + e.prog + " VERB [ARGUMENT] [--json] [FLAGS]")
	p.blank()
	p.line("Moves this host between desktop, studio-local and compute, only when that is safe.")
	p.blank()
	var rows [][]string
	for _, v := range listedVerbs(contract) {
		rows = append(rows, []string{p.strong(strings.TrimSpace(v.name + " " + argsOf(v, contract))), v.summary})
	}
	p.table(rows)
	p.blank()
	if contract {
		p.line("modewatch help lists the other verbs; they work here as well.")
	} else {
		p.line("MODE is desktop, studio-local or compute.")
	}
	p.line("Exit codes: 0 done, 10-19 a guard blocks, 20-29 a guard cannot tell, 30 misuse,")
	p.line("31 force is disabled, 32 not permitted, 40 taken back, 41 out of order,")
	p.line("42 cancelled, 43 another attempt has the lock, 44 timed out, 1 anything else.")
	p.blank()
	p.flags("Flags:", e.globalFlags())
	p.blank()
	p.line(e.prog + " help VERB tells more about one verb.")
	return p.writeTo(e.stdout)
}

// listedVerbs are the verbs that a person is told of, those of the contract in
// its order.
func listedVerbs(contract bool) []verb {
	out := slices.DeleteFunc(verbs(), func(v verb) bool { return v.hidden || contract && v.spec == 0 })
	if contract {
		slices.SortFunc(out, func(a, b verb) int { return a.spec - b.spec })
	}
	return out
}

func (e env) globalFlags() *pflag.FlagSet {
	f := pflag.NewFlagSet(e.prog, pflag.ContinueOnError)
	e.globals(f)
	return f
}

func argsOf(v verb, contract bool) string {
	if contract && strings.Contains(v.args, "MODE") {
		return "<desktop|studio-local|compute>"
	}
	return v.args
}

// helpVerb prints how one verb is used.
func (e env) helpVerb(v verb) error {
	p := e.page(0)
	line := strings.TrimSpace(e.prog + " " + v.name + " " + v.args)
	if e.prog == v.name || strings.HasPrefix(e.prog, "check_") {
		line = e.prog
	}
	p.line(p.strong("Usage:") + " " + line + " [FLAGS]")
	p.blank()
	p.line(sentence(v.summary))
	if v.long != "" {
		p.blank()
		p.b.WriteString(v.long + "\n")
	}
	p.blank()
	own := pflag.NewFlagSet(v.name, pflag.ContinueOnError)
	v.flags(own)
	if v.read {
		own.AddFlag(e.globalFlags().Lookup("json"))
	}
	p.flags("Flags:", own)
	if own.HasFlags() {
		p.blank()
	}
	p.line(e.prog + " help lists the flags that every verb has.")
	return p.writeTo(e.stdout)
}

// flags lists the flags of a set in the order of the alphabet.
func (p *page) flags(title string, set *pflag.FlagSet) {
	var rows [][]string
	set.VisitAll(func(f *pflag.Flag) {
		value, what := pflag.UnquoteUsage(f)
		name := strings.TrimSpace("--" + f.Name + " " + value)
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		} else {
			name = "    " + name
		}
		if f.DefValue != "" && f.DefValue != "false" {
			what += fmt.Sprintf(" (%s)", f.DefValue)
		}
		rows = append(rows, []string{name, what})
	})
	if len(rows) == 0 {
		return
	}
	p.line(p.strong(title))
	p.table(rows)
}
