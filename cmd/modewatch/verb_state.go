package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/modewatch/modewatch/cmd/modewatch/early"
	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/config"
)

// stated is the JSON document of state, current and observe-current.
type stated struct {
	Schema   int             `json:"schema"`
	State    fsm.State       `json:"state"`
	Current  fsm.State       `json:"current"`
	Mode     fsm.Mode        `json:"mode"`
	Live     bool            `json:"live"` // told by a running controller, not observed for this answer
	Evidence []string        `json:"evidence"`
	Degraded []fsm.Deviation `json:"degraded,omitempty"`
}

func stateVerb(f *pflag.FlagSet) runner {
	follow := f.BoolP("follow", "f", false, "print a line whenever something changes, until Ctrl-C")
	format := f.String("format", "plain", "print `plain`, json or waybar")
	return func(e env, _ []string) (int, error) {
		switch *format {
		case "plain":
		case "json":
			e.asJSON = true
		case "waybar":
			return followState(e, e.barLine, *follow)
		default:
			return 0, misuse("the formats are plain, json and waybar", "there is no format %q", *format)
		}
		switch {
		case *follow && e.asJSON:
			return followState(e, e.documentLine, true)
		case *follow:
			return followState(e, e.plainLine, true)
		}
		return runState(e)
	}
}

// runState prints the state word. While a controller runs this reads the heads
// of two small files and nothing else; package early mostly has answered then.
func runState(e env) (int, error) {
	if dir, ok := e.usualDir(); ok && !e.asJSON {
		if word, ok := early.State(dir); ok {
			e.say("%s", word)
			return 0, nil
		}
	}
	v, err := e.glance()
	if err != nil {
		return 0, err
	}
	return e.word(v, v.state())
}

// followState prints what line makes of each view that differs from the one before;
// of the first alone, unless it is to be followed. Left by Ctrl-C it exits with 130.
func followState(e env, line func(overview) (text, key string, err error), follow bool) (int, error) {
	cfg, err := e.load()
	if err != nil {
		return 0, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, termination)
	defer stop()
	told := ""
	err = e.watchOverview(ctx, cfg, func(o overview) (bool, error) {
		text, key, err := line(o)
		if err == nil && key != told {
			told = key
			_, err = fmt.Fprintln(e.stdout, text)
		}
		return !follow, err
	})
	if err == nil && ctx.Err() != nil {
		return exitDetached, nil
	}
	return 0, err
}

// watchOverview is watchHost with the holds, and without anything that is judged.
func (e env) watchOverview(ctx context.Context, cfg config.Config, tell func(overview) (enough bool, err error)) error {
	return e.watchHost(ctx, cfg, func(v view) (bool, error) {
		o := overviewOf(v, e.now())
		holds, err := filesOf(cfg).holds()
		if err != nil {
			holds = []fsm.Hold{{Why: err.Error(), By: fsm.NoCaller}}
		}
		o.Holds = holds
		return tell(o)
	})
}

// plainLine is the time, the state and what is done.
func (e env) plainLine(o overview) (text, key string, err error) {
	key = string(o.State)
	if r := o.Attempt; r != nil {
		key += fmt.Sprintf(": %s, %s", course(*r), progressStep(*r))
	}
	if n := len(o.Degraded); n > 0 && o.Attempt == nil {
		var names []string
		for _, d := range o.Degraded {
			names = append(names, d.What)
		}
		key += " (" + strings.Join(names, ", ") + ")"
	}
	if !o.Controller.Alive {
		key += ", by a look of our own: no controller runs"
	}
	key = tame(key, false)
	return o.At.Format("15:04:05") + " " + key, key, nil
}

// documentLine is the document of status on one line.
func (e env) documentLine(o overview) (text, key string, err error) {
	data, err := json.Marshal(o)
	if err != nil {
		return "", "", fmt.Errorf("cannot print JSON: %w", err)
	}
	o.At = time.Time{}
	same, err := json.Marshal(o)
	return string(data), string(same), err
}

// barLine is what waybar takes. What it says changes with the minutes too, but is told
// when something has happened.
func (e env) barLine(o overview) (text, key string, err error) {
	data, err := json.Marshal(barOf(o, e.now()))
	if err != nil {
		return "", "", fmt.Errorf("cannot print JSON: %w", err)
	}
	return string(data), string(data), nil
}

func runCurrent(e env, _ []string) (int, error) {
	v, err := e.glance()
	if err != nil {
		return 0, err
	}
	return e.word(v, v.current())
}

// runObserveCurrent is the contract of section 23.3: it always looks afresh.
func runObserveCurrent(e env, _ []string) (int, error) {
	cfg, err := e.load()
	if err != nil {
		return 0, err
	}
	v, err := e.observe(cfg)
	if err != nil {
		return 0, err
	}
	return e.word(v, v.current())
}

// word prints one word, or the document it is taken from. A host that cannot be
// read is told as unknown, with the reason, and is an error.
func (e env) word(v view, word fsm.State) (int, error) {
	o := v.Snapshot.Observation
	if e.asJSON {
		doc := stated{Schema: fsm.Schema, State: v.state(), Current: v.current(), Mode: o.Mode, Live: v.Live,
			Evidence: list(o.Evidence), Degraded: o.Degraded}
		return unknownCode(word), e.printJSON(doc)
	}
	e.say("%s", word)
	if unknownCode(word) != 0 {
		return 0, broken("`modewatch observe` tells what could be read", "the mode is unknown: %s", strings.Join(o.Evidence, "; "))
	}
	return 0, nil
}

func unknownCode(word fsm.State) int {
	if word == fsm.State(fsm.Unknown) {
		return exitError
	}
	return 0
}

// runDesired prints what stands in the file desired.
func runDesired(e env, _ []string) (int, error) {
	cfg, err := e.load()
	if err != nil {
		return 0, err
	}
	f := files{run: cfg.RunDir, lib: cfg.LibDir}
	want, err := f.desired()
	if err != nil {
		return 0, err
	}
	if e.asJSON {
		w, err := f.wish()
		if err != nil {
			return 0, err
		}
		return 0, e.printJSON(struct {
			Schema  int       `json:"schema"`
			Desired fsm.Mode  `json:"desired"`
			Wish    *fsm.Wish `json:"wish,omitempty"`
		}{fsm.Schema, want, w})
	}
	if want == "" {
		return 0, broken(fmt.Sprintf("wish for a mode: %s request MODE", e.prog), "no mode is wished for")
	}
	e.say("%s", want)
	return 0, nil
}
