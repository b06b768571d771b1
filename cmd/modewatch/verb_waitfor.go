package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/pflag"

	"github.com/modewatch/modewatch/fsm"
)

func waitForVerb(f *pflag.FlagSet) runner {
	limit := f.Duration("timeout", 0, "give up after so long, as 5m")
	f.Lookup("timeout").DefValue = "" // not to be shown as (0s)
	return func(e env, args []string) (int, error) {
		m, err := parseMode(args[0])
		if err != nil {
			return 0, err
		}
		if *limit < 0 {
			return 0, misuse(e.prog+" wait-for MODE --timeout 5m", "--timeout %s is not a time to come", *limit)
		}
		return runWaitFor(e, m, *limit)
	}
}

// runWaitFor returns once this host rests in a mode, whoever brought it there.
func runWaitFor(e env, m fsm.Mode, limit time.Duration) (int, error) {
	cfg, err := e.load()
	if err != nil {
		return 0, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, termination)
	defer stop()
	over := ctx
	if limit > 0 {
		var cancel context.CancelFunc
		over, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	var last view
	there := false
	err = e.watchHost(over, cfg, func(v view) (bool, error) {
		last = v
		there = v.Snapshot.Attempt == nil && v.current() == fsm.State(m)
		return there, nil
	})
	switch {
	case err != nil:
		return 0, err
	case there:
		return e.word(last, last.current())
	case ctx.Err() != nil:
		return exitDetached, nil
	}
	return 0, fault{code: fsm.ExitTimeout, text: fmt.Sprintf("after %s this host is not in %s: %s is observed", span(limit), m, last.current()),
		hint: fmt.Sprintf("%s why %s tells what is in the way", e.prog, m)}
}
