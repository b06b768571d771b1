package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"
)

// longest is how long the tests of one mutant may take: one that hangs is noticed.
const longest = 3 * time.Minute

// tally is what became of mutants.
type tally struct {
	tried, killed int
	alive         []string
	results       []result
}

type result struct{ name, breaks, by string }

func (t tally) String() string { return fmt.Sprintf("%d of %d were noticed", t.killed, t.tried) }

// tryAll tries mutants, as many at a time as there are processors, and tells of each.
func tryAll(list []mutant) (t tally) {
	results := make([]error, len(list))
	who := make([]string, len(list))
	var wait sync.WaitGroup
	turn := make(chan struct{}, runtime.NumCPU())
	for i, m := range list {
		wait.Add(1)
		go func() {
			defer wait.Done()
			turn <- struct{}{}
			defer func() { <-turn }()
			began := time.Now()
			who[i], results[i] = m.try()
			fmt.Printf("%-14s %5.1fs  %s: %s\n", verdict(results[i]), time.Since(began).Seconds(), m.file, m.name)
		}()
	}
	wait.Wait()
	for i, m := range list {
		if errors.Is(results[i], errBuild) && m.breaks == "" {
			continue // a tool's mutant that makes no program
		}
		t.tried++
		if results[i] == nil {
			t.killed++
		} else {
			t.alive = append(t.alive, fmt.Sprintf("%s: %s: %v", m.file, m.name, results[i]))
		}
		t.results = append(t.results, result{m.name, m.breaks, who[i]})
	}
	return t
}

var (
	errAlive = errors.New("no test noticed it")
	errBuild = errors.New("it makes no program")
)

func verdict(err error) string {
	switch {
	case err == nil:
		return "noticed"
	case errors.Is(err, errAlive):
		return "SURVIVED"
	case errors.Is(err, errBuild):
		return "no program"
	}
	return "ERROR"
}

// try runs the tests on the program with the mutant in it, and names the first that
// noticed; nil is what is hoped for.
func (m mutant) try() (by string, err error) {
	source, err := os.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(source), m.old); n != 1 {
		return "", fmt.Errorf("its place is there %d times, not once: safety.go has to follow the program", n)
	}
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	overlay, err := m.overlay(dir, strings.Replace(string(source), m.old, m.new, 1))
	if err != nil {
		return "", err
	}
	for _, set := range m.tests() {
		if by, err = runTests(overlay, set); !errors.Is(err, errAlive) {
			return by, err
		}
	}
	return "", errAlive
}

// overlay writes the changed source beside, and says where for go test.
func (m mutant) overlay(dir, changed string) (string, error) {
	place, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	there := filepath.Join(dir, "mutant.go")
	data, err := json.Marshal(map[string]any{"Replace": map[string]string{place: there}})
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, errors.Join(err, os.WriteFile(there, []byte(changed), 0o644), os.WriteFile(overlay, data, 0o644))
}

// sound runs all sets of tests that mutants are tried by on the program as it is: tests
// that fail anyway notice nothing.
func sound(list []mutant) error {
	seen := map[string]bool{}
	for _, m := range list {
		for _, set := range m.tests() {
			name := strings.Join(set, " ")
			if seen[name] {
				continue
			}
			seen[name] = true
			if by, err := runTests("", set); !errors.Is(err, errAlive) {
				return fmt.Errorf("the tests of %s fail without a mutant: %s %w", name, by, err)
			}
		}
	}
	return nil
}

// tests are the sets of tests that are asked one after the other, the quickest first:
// those of the package itself, those of the engine, and the trials on a host in memory.
func (m mutant) tests() [][]string {
	if m.by != nil {
		return [][]string{m.by}
	}
	own := "./" + filepath.Dir(m.file)
	sets := [][]string{{own}}
	if own != "./internal/engine" {
		sets = append(sets, []string{"./internal/engine"})
	}
	return append(sets, []string{"./internal/soak", "-run", "TestScenarios|TestTrials", "-args", "-trials", "6000", "-first", "1", "-found", ""})
}

var failed = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

func runTests(overlay string, set []string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	args := []string{"test", "-count=1", "-failfast"}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	out, err := exec.CommandContext(ctx, "go", append(args, set...)...).CombinedOutput()
	text := string(out)
	switch {
	case err == nil:
		return "", errAlive
	case ctx.Err() != nil:
		return "it hangs", nil
	case strings.Contains(text, "[build failed]") || strings.Contains(text, "[setup failed]"):
		return "", fmt.Errorf("%w: %s", errBuild, firstLines(text))
	}
	if f := failed.FindStringSubmatch(text); f != nil {
		return f[1], nil
	}
	return "a panic in " + set[0], nil
}

func firstLines(s string) string {
	return strings.Join(strings.SplitN(s, "\n", 4)[:min(3, strings.Count(s, "\n"))], " ")
}
