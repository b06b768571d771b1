package main

import (
	"fmt"
	"strings"

	"github.com/modewatch/modewatch/cmd/modewatch/early"
	"github.com/modewatch/modewatch/fsm"
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

// runState prints the state word. While a controller runs this reads the heads
// of two small files and nothing else; package early mostly has answered then.
func runState(e env, _ []string) (int, error) {
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
