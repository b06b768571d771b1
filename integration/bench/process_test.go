package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/integration/lab"
)

// process is a process of the machine, read from outside: being looked at does
// not wake it.
type process struct {
	t   *testing.T
	pid int
	dir string
}

func (m *machine) process(pid int) process {
	return process{t: m.t, pid: pid, dir: m.path("proc", strconv.Itoa(pid))}
}

// main is the main process of a unit.
func (m *machine) main(unit string) process {
	m.t.Helper()
	pid, err := strconv.Atoi(m.Show(m.t.Context(), unit, "MainPID")["MainPID"])
	if err != nil || pid == 0 {
		m.t.Fatalf("%s has no main process (%v)", unit, err)
	}
	return m.process(pid)
}

// cpu is the time that all threads have spent on a CPU, to the nanosecond.
func (p process) cpu() time.Duration {
	p.t.Helper()
	total := int64(0)
	for _, dir := range p.threads() {
		total += p.number(p.text(filepath.Join(dir, "schedstat")))
	}
	return time.Duration(total)
}

// switches is how often its threads were put on and off a CPU.
func (p process) switches() (n int64) {
	p.t.Helper()
	for _, dir := range p.threads() {
		status := p.text(filepath.Join(dir, "status"))
		n += p.field(status, "voluntary_ctxt_switches:") + p.field(status, "nonvoluntary_ctxt_switches:")
	}
	return n
}

// rss is the resident memory in MiB.
func (p process) rss() float64 {
	p.t.Helper()
	return float64(p.field(p.text(filepath.Join(p.dir, "smaps_rollup")), "Rss:")) / 1024
}

func (p process) threads() []string {
	p.t.Helper()
	dirs, err := filepath.Glob(filepath.Join(p.dir, "task", "*"))
	if err != nil || len(dirs) == 0 {
		p.t.Fatalf("process %d has no threads (%v)", p.pid, err)
	}
	return dirs
}

func (p process) text(name string) string {
	p.t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(data)
}

// field is the number that follows a name at the start of a line.
func (p process) field(text, name string) int64 {
	p.t.Helper()
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return p.number(rest)
		}
	}
	p.t.Fatalf("there is no %s in\n%s", name, text)
	return 0
}

// number is the first number of a text.
func (p process) number(text string) int64 {
	p.t.Helper()
	fields := strings.Fields(text)
	if len(fields) == 0 {
		p.t.Fatal("there is no number in an empty text")
	}
	n, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// still is how long a process must have done nothing to be at rest between two
// requests.
const still = 60 * time.Millisecond

// settle waits until the process is at rest and returns its CPU time.
func (p process) settle() time.Duration { return p.settleFor(still) }

// settleFor waits until the process has done nothing for a while.
func (p process) settleFor(while time.Duration) time.Duration {
	p.t.Helper()
	now, since := p.cpu(), time.Now()
	ctx, cancel := context.WithTimeout(p.t.Context(), 30*time.Second)
	defer cancel()
	err := lab.WaitFor(ctx, fmt.Sprintf("process %d at rest", p.pid), func() bool {
		if c := p.cpu(); c != now {
			now, since = c, time.Now()
		}
		return time.Since(since) >= while
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return now
}
