package soak

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const scenarios = "testdata/scenarios"

// TestScenarios runs the trials by which the engine was found wrong once.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(scenarios, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenario: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			w := try(t, readScenario(t, file), newFigures())
			if len(w.bad) > 0 {
				t.Error(w.text())
			} else if testing.Verbose() {
				t.Log(w.text())
			}
		})
	}
}

// TestScenario runs one file, and tells it line by line.
func TestScenario(t *testing.T) {
	if *scenario == "" {
		t.Skip("no -scenario is given")
	}
	tellAll(t, readScenario(t, *scenario))
}

func readScenario(t *testing.T, file string) (s script) {
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil {
		t.Fatalf("cannot read the scenario %s: %v", file, err)
	}
	return s
}

// keep makes a scenario of a trial that showed something, and names its file.
func keep(t *testing.T, w *world) string {
	if *foundIn == "" {
		return "nothing"
	}
	s := smaller(t, w.script, w.bad[0].name)
	s.Shows = &shown{Invariant: w.bad[0].name}
	file := filepath.Join(*foundIn, fmt.Sprintf("found-%d.json", w.script.Seed))
	data, err := json.MarshalIndent(s, "", " ")
	if err = errors.Join(err, os.MkdirAll(*foundIn, 0o755), os.WriteFile(file, append(data, '\n'), 0o644)); err != nil {
		t.Errorf("cannot keep the scenario: %v", err)
	}
	return file
}

// smaller leaves out of a script what it shows the violation without.
func smaller(t *testing.T, s script, invariant string) script {
	for again := true; again; {
		again = false
		for _, less := range lesser(s) {
			if w := try(t, less, newFigures()); len(w.bad) > 0 && w.bad[0].name == invariant {
				s, again = w.script.fresh(), true
				break
			}
		}
	}
	return s
}

// lesser are the scripts that have one thing less.
func lesser(s script) (out []script) {
	less := func(change func(*script)) {
		c := s.fresh()
		change(&c)
		out = append(out, c)
	}
	for i := range s.Phases {
		if len(s.Phases) > 1 {
			less(func(c *script) { c.Phases = slices.Delete(c.Phases, i, i+1) })
		}
	}
	for i, p := range s.Phases {
		for j := range p.Moments {
			less(func(c *script) { c.Phases[i].Moments = slices.Delete(c.Phases[i].Moments, j, j+1) })
		}
		if p.Rest > 0 && !p.Idle {
			less(func(c *script) { c.Phases[i].Rest = 0 })
		}
		if p.Again {
			less(func(c *script) { c.Phases[i].Again = false })
		}
	}
	if len(s.Takes) > 0 {
		less(func(c *script) { c.Takes = nil })
	}
	for _, plain := range plainer(s.Host) {
		less(func(c *script) { c.Host = plain })
	}
	return out
}

// fresh is a script of which nothing has happened yet.
func (s script) fresh() script {
	s.Phases = slices.Clone(s.Phases)
	for i := range s.Phases {
		p := &s.Phases[i]
		p.Moments = slices.Clone(p.Moments)
		for j := range p.Moments {
			p.Moments[j].done = false
		}
	}
	return s
}
