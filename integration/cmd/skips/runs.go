package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
)

const module = "github.com/modewatch/modewatch/"

// test is a test, or a test within one, with its package as the tree has it.
type test struct{ pkg, name string }

func (t test) String() string { return strings.TrimSpace(t.pkg + " " + t.name) }

// runs is what the tests of some runs said.
type runs struct {
	said    map[test]string // by all that ran
	tested  map[string]bool // the packages of those
	skipped []skip
}

type skip struct {
	test
	reason string // as the test itself told it
}

func newRuns() *runs { return &runs{said: map[test]string{}, tested: map[string]bool{}} }

// read adds a file of test2json's events. One without a test is an error: that run
// was none.
func (r *runs) read(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	before := len(r.said)
	for dec := json.NewDecoder(f); ; {
		var e struct{ Action, Package, Test, Output string }
		err := dec.Decode(&e)
		switch {
		case errors.Is(err, io.EOF) && len(r.said) == before:
			return errors.New("it tells of no test")
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		t := test{strings.TrimPrefix(e.Package, module), e.Test}
		if t.name == "" {
			if e.Action == "pass" && !r.tested[t.pkg] { // its TestMain ran none
				r.skipped = append(r.skipped, skip{t, "no test of this package was run"})
			}
			continue
		}
		r.tested[t.pkg] = true
		r.said[t] += e.Output
		if e.Action == "skip" {
			r.skipped = append(r.skipped, skip{t, reason(r.said[t])})
		}
	}
}

// reason is what a test said, but for the lines of the test runner.
func reason(said string) string {
	var out []string
	for line := range strings.Lines(said) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") {
			out = append(out, line)
		}
	}
	return strings.Join(out, " ")
}
