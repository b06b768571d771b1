package main

import (
	"github.com/modewatch/modewatch/fsm"
	"github.com/spf13/pflag"
)

func forceVerb(f *pflag.FlagSet) runner {
	detach := waitFlags(f)
	return func(e env, args []string) (int, error) { return runForce(e, args[0], detach()) }
}

// runForce is a request that passes over soft guards, never over hard ones. It
// is refused unless the configuration enables it (section 19.8, D15).
func runForce(e env, word string, detach bool) (int, error) {
	m, err := parseMode(word)
	if err != nil {
		return 0, err
	}
	cfg, err := e.load()
	if err != nil {
		return 0, err
	}
	if !cfg.Policy.Force {
		return 0, noForce(e.prog+" why "+word+" tells what is in the way and what to do about it", "force is disabled in the configuration (force.enabled)")
	}
	return e.ask(fsm.Command{Verb: fsm.VerbForce, Mode: m}, detach)
}

func noForce(hint, text string) error {
	return fault{code: fsm.ExitNoForce, text: text, hint: hint}
}
