package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Every fuzz target of the module has committed seeds.
func TestTargetsHaveSeeds(t *testing.T) {
	all, err := targets(filepath.Join("..", "..", ".."))
	if err != nil || len(all) < 25 {
		t.Fatalf("%d targets, %v", len(all), err)
	}
	if err := unseeded(all); err != nil {
		t.Error(err)
	}
}

func TestATargetWithoutSeeds(t *testing.T) {
	dir := t.TempDir()
	if _, err := targets(dir); err == nil {
		t.Error("no target, and no error")
	}
	if err := os.WriteFile(filepath.Join(dir, "x_test.go"), []byte("package x\n\nfunc FuzzX(f *testing.F) {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := targets(dir)
	if err != nil || len(all) != 1 || all[0] != (target{dir, "FuzzX"}) {
		t.Fatalf("%v, %v", all, err)
	}
	if err := unseeded(all); err == nil || !strings.Contains(err.Error(), "FuzzX") {
		t.Errorf("%v", err)
	}
}

// go's fuzzer fails now and then for no reason but that its time is over.
func TestLate(t *testing.T) {
	for said, want := range map[string]bool{
		"fuzz: elapsed: 2s, execs: 36 (15/sec), new interesting: 1 (total: 11)\n--- FAIL: FuzzA (2.46s)\n    context deadline exceeded\nFAIL\n":          true,
		"--- FAIL: FuzzA (2.46s)\n    --- FAIL: FuzzA (0.00s)\n        a_test.go:1: context deadline exceeded\n\n    Failing input written to x\nFAIL\n": false,
		"panic: context deadline exceeded\nFAIL\n": false,
	} {
		if got := late.MatchString(said); got != want {
			t.Errorf("%q is late: %v", said, got)
		}
	}
}

func TestReport(t *testing.T) {
	const said = "fuzz: elapsed: 0s, gathering baseline coverage: 0/7 completed\n" +
		"fuzz: elapsed: 0s, gathering baseline coverage: 7/7 completed, now fuzzing with 1 workers\n" +
		"fuzz: elapsed: 1s, execs: 11000 (11000/sec), new interesting: 2 (total: 9)\nfuzz: elapsed: 2s, execs: 22000 (11000/sec), new interesting: 3 (total: 10)\nPASS\n"
	r := read(target{"a", "FuzzA"}, said)
	if r.execs != 22000 || r.found != 3 {
		t.Errorf("%+v", r)
	}
	s := section([]result{r, {target: target{"b", "FuzzB"}, execs: 1, crashed: true, err: errors.New("x")}}, time.Minute)
	if s.Rows[1].Value != "22001" || s.Rows[1].Unmet || !s.Rows[2].Unmet || s.Rows[3].Unmet || len(s.Tables[0].Rows) != 2 {
		t.Errorf("%+v", s)
	}
}
