package bench

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// counts are how often things are repeated, in full and in short.
var (
	rounds = map[bool]int{true: 60, false: 3}
	writes = map[bool]int{true: 200, false: 20}
	spawns = map[bool]int{true: 200, false: 50}
)

// atWork takes the figures of a daemon that is asked for something.
func atWork(t *testing.T, r *report) {
	m := newMachine(t, "")
	r.on(m.Machine, t)
	pairs := m.tours(rounds[*full])
	transitions(t, r, pairs)
	m.wishes(r, pairs)
	m.states(r)
	m.forks(r)
	m.daemon.settle()
	r.add(figure{name: fmt.Sprintf("memory after %d transitions", 6*(rounds[*full]+1)), unit: "MiB RSS", judged: value,
		value: m.daemon.rss(), floor: m.main("systemd-logind.service").rss(), note: "floor: systemd-logind", budget: none})
}

// wishes is the time from a write into desired to the begin of an attempt. Beside
// the transitions there are wishes for the mode that is: they begin alike.
func (m *machine) wishes(r *report, pairs []pair) {
	m.t.Helper()
	var ours, bare []float64
	for _, p := range pairs {
		ours = append(ours, column(p.ours, sample.ofBegun)...)
	}
	const probe = "/run/bench/desired"
	if err := m.WriteFile(probe, ""); err != nil {
		m.t.Fatal(err)
	}
	f := m.start("bench-floor", "watch", probe)
	f.want("ready")
	for i := range writes[*full] {
		at := m.write(probe, strconv.Itoa(i))
		bare = append(bare, ms(time.Unix(0, f.number(f.line())).Sub(at)))

		at = m.write(desiredFile, string(fsm.Desktop))
		ours = append(ours, ms(m.ended(fsm.Desktop, at).Begun.Sub(at)))
		m.daemon.settle()
	}
	for _, q := range []struct {
		name   string
		share  float64
		budget float64
	}{{"median", 0.5, 5}, {"99th percentile", 0.99, none}} {
		r.add(figure{name: "write to desired → attempt begun, " + q.name, unit: "ms", judged: value, budget: q.budget,
			value: quantile(ours, q.share), floor: quantile(bare, q.share), note: "floor: inotify and a read"})
	}
}

// states is the time of modewatch state beside that of a program that reads the
// same file.
func (m *machine) states(r *report) {
	m.t.Helper()
	out := m.Must(m.t, "bench-spawn", strconv.Itoa(spawns[*full]), "modewatch", "state", "--", "bench-readfile", stateFile)
	var ours, bare []float64
	for line := range strings.Lines(out) {
		var one, other time.Duration
		if _, err := fmt.Sscan(line, &one, &other); err != nil {
			m.t.Fatalf("cannot read %q: %v", line, err)
		}
		ours, bare = append(ours, ms(one)), append(bare, ms(other))
	}
	r.add(figure{name: "modewatch state, fork to exit", unit: "ms", judged: ratio, budget: 1.5,
		value: quantile(ours, 0.5), floor: quantile(bare, 0.5), note: "floor: a Go program that reads the file"})
}

// Calls of the trace: those that make a process, and those that speak, by which
// it is seen that the trace was on.
const traced = "execve,execveat,fork,vfork,clone,clone3,write,writev,sendmsg"

var (
	makes  = regexp.MustCompile(`\b(fork|vfork|clone|clone3)\(`)
	dumps  = regexp.MustCompile(`\bexecve\("[^"]*/pw-dump"`)
	speaks = regexp.MustCompile(`\b(write|sendmsg|writev)\(`)
)

// forks counts the processes that the daemon makes in one tour. A PipeWire that
// runs is asked by pw-dump; nothing else has a process made.
func (m *machine) forks(r *report) {
	m.t.Helper()
	const trace = "/run/bench/trace"
	if err := m.WriteFile(trace, ""); err != nil {
		m.t.Fatal(err)
	}
	stop := m.strace(trace)
	pairs := newPairs()
	m.round(pairs, m.byDaemon, ofOurs)
	stop()
	text, err := m.ReadFile(trace)
	if err != nil {
		m.t.Fatal(err)
	}
	made, asked, spoken := 0, 0, 0
	for line := range strings.Lines(string(text)) {
		switch {
		case makes.MatchString(line) && !strings.Contains(line, "CLONE_THREAD"):
			made++
			m.t.Logf("the daemon made a process: %s", line)
		case dumps.MatchString(line):
			asked++
		case speaks.MatchString(line):
			spoken++
		}
	}
	if spoken < len(tour) {
		m.t.Fatalf("the trace saw nothing:\n%s", text)
	}
	r.add(figure{name: "processes made in six transitions, besides pw-dump", judged: value, value: float64(made - asked), floor: 0, budget: 0, exact: true})
	r.add(figure{name: "pw-dump run in six transitions", judged: value, value: float64(asked), floor: math.NaN(), budget: math.NaN(), exact: true})
}

// strace traces the daemon into a file until the returned function is called.
func (m *machine) strace(file string) (stop func()) {
	m.t.Helper()
	c := m.start("strace", "-f", "-o", file, "-p", strconv.Itoa(m.daemon.pid), "-e", "trace="+traced)
	if line := c.line(); !strings.Contains(line, "attached") {
		m.t.Fatalf("strace says: %s", line)
	}
	return func() {
		m.t.Helper()
		if err := m.KillPID(m.t.Context(), c.pid, syscall.SIGINT); err != nil {
			m.t.Fatal(err)
		}
		_ = c.cmd.Wait() // it ends by the signal
	}
}
