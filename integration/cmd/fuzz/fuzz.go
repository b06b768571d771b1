package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// result is what one target did.
type result struct {
	target
	execs, found int // inputs tried, and those that reached something new
	crashed      bool
	err          error
}

func (r result) String() string {
	switch {
	case r.crashed:
		return fmt.Sprintf("%s: broken: %v", r.target, r.err)
	case r.err != nil:
		return fmt.Sprintf("%s: %v", r.target, r.err)
	}
	return fmt.Sprintf("%s: %d executions, %d new inputs", r.target, r.execs, r.found)
}

// builds makes the program of each package once.
type builds struct {
	out  string
	mu   sync.Mutex
	once map[string]func() error
}

// program is the test program of a package, made so that the fuzzer sees its paths.
func (b *builds) program(ctx context.Context, dir string) (string, error) {
	file := filepath.Join(b.out, strings.ReplaceAll(dir, "/", "-")+".test")
	b.mu.Lock()
	build, ok := b.once[dir]
	if !ok {
		build = sync.OnceValue(func() error {
			text, err := exec.CommandContext(ctx, "go", "test", "-c", "-fuzz=.", "-o", file, "./"+dir).CombinedOutput()
			if err != nil {
				return fmt.Errorf("cannot build the tests of %s: %w\n%s", dir, err, text)
			}
			return nil
		})
		b.once[dir] = build
	}
	b.mu.Unlock()
	return file, build()
}

// fuzz runs one target. A machine so busy that it did not come to try anything gives
// it ten times as long.
func fuzz(ctx context.Context, t target, each time.Duration, b *builds) result {
	file, err := b.program(ctx, t.dir)
	if err != nil {
		return result{target: t, err: err}
	}
	r := try(ctx, t, each, file, b.out)
	if r.idle() {
		r = try(ctx, t, 10*each, file, b.out)
	}
	if r.idle() {
		r.err = fmt.Errorf("%s: nothing was tried in %v", t, 10*each)
	}
	return r
}

func (r result) idle() bool { return r.err == nil && r.execs == 0 }

// try runs a target's program. What is found goes into a folder of the run, but what
// breaks it into its testdata. Making a found input smaller is bounded by a number of
// tries: by itself go would take a minute for it, which is all the time there is.
func try(ctx context.Context, t target, each time.Duration, file, out string) result {
	cmd := exec.CommandContext(ctx, file, "-test.run=^$", "-test.fuzz=^"+t.name+"$", "-test.fuzztime="+each.String(),
		"-test.parallel=1", "-test.fuzzminimizetime=100x",
		"-test.fuzzcachedir="+filepath.Join(out, "found", t.dir))
	cmd.Dir, cmd.Env = t.dir, append(os.Environ(), "GOMAXPROCS=2")
	text, err := cmd.CombinedOutput()
	r := read(t, string(text))
	if err != nil && !late.Match(text) {
		r.crashed, r.err = strings.Contains(string(text), "--- FAIL"), fmt.Errorf("%s: %w\n%s", t, err, text)
	}
	return r
}

// late is all that go's fuzzer says when its time is over while it starts or awaits
// an input: no input failed (go.dev/issue/75804).
var late = regexp.MustCompile(`(?m)^--- FAIL: .*\n    context deadline exceeded\nFAIL\n`)

var told = regexp.MustCompile(`execs: (\d+) .*new interesting: (\d+) `)

// read takes the figures from the last line of go's fuzzer that has some.
func read(t target, text string) result {
	r := result{target: t}
	for _, line := range told.FindAllStringSubmatch(text, -1) {
		r.execs, _ = strconv.Atoi(line[1])
		r.found, _ = strconv.Atoi(line[2])
	}
	return r
}
