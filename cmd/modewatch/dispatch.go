package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/config"
)

// verb is one row of the table that dispatch, help, the man page and the
// completions are made from.
type verb struct {
	name    string
	args    string // "MODE", "[MODE]"; optional ones in brackets
	summary string // one line, no full stop
	long    string // what the help of the verb says besides
	min     int    // arguments
	max     int
	read    bool // prints a document with --json
	spec    int  // its place in the contract of specification section 20, 0: not of it
	hidden  bool // reached by a link of its own name
	// flags declares the verb's own flags and returns what runs it.
	flags func(f *pflag.FlagSet) runner
}

// runner runs a verb and returns the exit code, or an error that ends it.
type runner func(e env, args []string) (int, error)

func find(name string) (verb, bool) {
	for _, v := range verbs() {
		if v.name == name {
			return v, true
		}
	}
	return verb{}, false
}

// call is a command line that was understood. It does what it says, once.
type call func() (int, error)

// dispatch finds the verb of a command line and runs it.
func (e env) dispatch(args []string) (int, error) {
	run, err := e.parse(args)
	if err != nil {
		return 0, err
	}
	return run()
}

// parse understands a command line, without any effect. Flags may stand before and
// after the verb and its arguments.
func (e env) parse(args []string) (call, error) {
	name, rest := split(args)
	if name == "" {
		return e.noVerb(rest)
	}
	v, ok := find(name)
	if !ok {
		return nil, e.unknownVerb(name)
	}
	f := pflag.NewFlagSet(name, pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	e.globals(f)
	run := v.flags(f)
	help := f.BoolP("help", "h", false, "print this help")
	if err := f.Parse(rest); err != nil {
		return nil, misuse(e.helpHint(v), "%s", err)
	}
	if *help {
		return func() (int, error) { return 0, e.helpVerb(v) }, nil
	}
	if err := e.countArgs(v, f.NArg()); err != nil {
		return nil, err
	}
	if e.asJSON && !v.read {
		return nil, misuse(e.helpHint(v), "%s has no --json output", v.name)
	}
	return func() (int, error) { return run(e, f.Args()) }, nil
}

// split takes the verb, the first word that is neither a flag nor the value of
// a global flag, out of the arguments.
func split(args []string) (name string, rest []string) {
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "--config" || a == "--run-dir" || a == "--lib-dir":
			i++
		case a == "--":
			return "", args
		case !strings.HasPrefix(a, "-"):
			return a, append(append([]string{}, args[:i]...), args[i+1:]...)
		}
	}
	return "", args
}

// noVerb answers a command line of flags alone.
func (e env) noVerb(args []string) (call, error) {
	f := pflag.NewFlagSet(e.prog, pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	e.globals(f)
	help := f.BoolP("help", "h", false, "")
	version := f.BoolP("version", "V", false, "")
	if err := f.Parse(args); err != nil {
		return nil, misuse(e.prog+" help lists the verbs and flags", "%s", err)
	}
	switch {
	case *help:
		return func() (int, error) { return 0, e.usage() }, nil
	case *version:
		return func() (int, error) { return runVersion(e, nil) }, nil
	}
	e.stdout = e.stderr
	return func() (int, error) { return fsm.ExitMisuse, e.usage() }, nil
}

func (e env) unknownVerb(name string) error {
	var names []string
	for _, v := range verbs() {
		if !v.hidden {
			names = append(names, v.name)
		}
	}
	hint := e.prog + " help lists the verbs"
	if m, ok := fsm.ParseMode(name); ok {
		hint = fmt.Sprintf("to move this host to %s: %s request %s", m, e.prog, m)
	} else if n := nearest(name, names); n != "" {
		hint = fmt.Sprintf("did you mean %q? %s", n, hint)
	}
	return misuse(hint, "there is no verb %q", name)
}

func (e env) countArgs(v verb, n int) error {
	switch {
	case n < v.min:
		return misuse(e.helpHint(v), "%s needs %s", v.name, v.args)
	case n > v.max && v.max == 0:
		return misuse(e.helpHint(v), "%s takes no argument", v.name)
	case n > v.max:
		return misuse(e.helpHint(v), "%s takes no more than %s", v.name, v.args)
	}
	return nil
}

func (e env) helpHint(v verb) string { return e.prog + " help " + v.name + " tells how it is used" }

// modeArg reads the optional MODE of a verb: without it the wish that stands is
// meant.
func (e env) modeArg(cfg config.Config, args []string) (fsm.Mode, error) {
	if len(args) == 1 {
		return parseMode(args[0])
	}
	want, err := filesOf(cfg).desired()
	if err == nil && want == "" {
		err = misuse("name desktop, studio-local or compute", "no mode is wished for, so that one must be named")
	}
	return want, err
}
