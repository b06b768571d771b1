package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

const reader = `package main

import "os"

func main() {
	data, err := os.ReadFile(os.Args[1])
	if err != nil {
		os.Exit(1)
	}
	os.Stdout.Write(data)
}
`

// BenchmarkState times "modewatch state" beside a Go program that only reads
// the file, in turns, and reports both medians and their ratio.
func BenchmarkState(b *testing.B) {
	dir := b.TempDir()
	run := filepath.Join(dir, "run")
	d := files{run: run, lib: dir}.dirs()
	lock, err := d.Lock(daemonName, "boot", noon)
	if err != nil {
		b.Fatal(err)
	}
	defer lock.Release()
	s := after(wanting(resting(inCompute)), attempted(fsm.Reached, fsm.Compute, ""))
	s.PID = os.Getpid()
	if err := d.WriteState(s); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "reader.go"), []byte(reader), 0o644); err != nil {
		b.Fatal(err)
	}
	compile(b, filepath.Join(dir, "reader"), filepath.Join(dir, "reader.go"))
	compile(b, filepath.Join(dir, "modewatch"), ".")
	var plain, state []time.Duration
	for b.Loop() {
		plain = append(plain, timed(b, filepath.Join(dir, "reader"), filepath.Join(run, "state.json")))
		state = append(state, timed(b, filepath.Join(dir, "modewatch"), "state", "--run-dir", run))
	}
	slices.Sort(plain)
	slices.Sort(state)
	p, q := plain[len(plain)/2], state[len(state)/2]
	b.ReportMetric(p.Seconds()*1000, "reader-ms")
	b.ReportMetric(q.Seconds()*1000, "state-ms")
	b.ReportMetric(q.Seconds()/p.Seconds(), "ratio")
}

func compile(b *testing.B, to, from string) {
	b.Helper()
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", to, from)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("cannot build %s: %v\n%s", from, err, out)
	}
}

func timed(b *testing.B, args ...string) time.Duration {
	b.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	began := time.Now()
	if err := cmd.Run(); err != nil {
		b.Fatalf("%v: %v", args, err)
	}
	return time.Since(began)
}
