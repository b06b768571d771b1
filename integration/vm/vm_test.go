package vm

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// inside are the packages with tests that need a kernel with devices, and which: they
// skip elsewhere, and are run in a virtual machine here.
var inside = map[string]string{"sources/idle": "^TestLive", "sources/procs": "^TestLiveALSA$"}

func TestPackagesInsideTheVM(t *testing.T) {
	Need(t)
	tests := map[string]Tests{}
	for pkg, run := range inside {
		file := filepath.Join(t.TempDir(), "inside.test")
		cmd := exec.Command("go", "test", "-c", "-o", file, "./"+pkg)
		cmd.Dir, cmd.Env = filepath.Join("..", ".."), append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("cannot build the tests of %s: %v\n%s", pkg, err, out)
		}
		tests[strings.ReplaceAll(pkg, "/", "-")] = Tests{file, run}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	var story []string
	ran := map[string]int{}
	err := Run(ctx, tests, func(line string) {
		story = append(story, line)
		for _, word := range []string{"--- PASS: ", "--- FAIL: ", "--- SKIP: "} {
			if strings.HasPrefix(line, word) {
				ran[word]++
				// One is a part of another, which runs it as a process of its own.
				if word == "--- SKIP: " && !strings.HasPrefix(line, word+"TestLiveStorm ") {
					t.Errorf("skipped inside: %s", line)
				}
			}
		}
		if _, figure, ok := strings.Cut(line, "figure: "); ok {
			t.Logf("figure: %s", figure)
		}
	})
	if err != nil || ran["--- FAIL: "] > 0 || ran["--- PASS: "] == 0 || strings.Count(strings.Join(story, "\n"), " ended: <nil>") != len(inside) {
		t.Fatalf("%v, %v\n%s", err, ran, strings.Join(story, "\n"))
	}
	t.Logf("%d tests passed inside", ran["--- PASS: "])
}
