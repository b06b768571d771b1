package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/integration/desk"
	"github.com/modewatch/modewatch/integration/lab"
)

// machine is a desk with the daemon and the bench's programs on it, and alice
// logged in.
type machine struct {
	*lab.Machine
	t      *testing.T
	daemon process
}

// files are those that the bench adds to a desk. Nothing here may run into a limit
// of starts: the bench starts more often than a person does.
var files = map[string]string{
	"/etc/systemd/system/lab-sway@.service.d/50-bench.conf": "[Unit]\nStartLimitIntervalSec=0\n",
	"/etc/systemd/user.conf.d/50-bench.conf":                "[Manager]\nDefaultStartLimitIntervalSec=0\n",
	// Her manager outlives her sessions, so that each round has the same steps.
	"/var/lib/systemd/linger/alice": "",
	// What these units do, and their sandboxes, take many times as long as what is
	// measured, and never twice the same time.
	"/etc/systemd/system/vllm@.service":               serverUnit,
	"/etc/systemd/system/audio-priority.service":      overlayUnit,
	"/etc/systemd/system/studio-local-policy.service": overlayUnit,
	// A unit that is nobody's business.
	"/etc/systemd/system/bench-other.service": "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n",
}

// serverUnit stands for the model server's unit.
const serverUnit = "[Unit]\nPartOf=%i.target\nAfter=%i.target\nStartLimitIntervalSec=0\n" +
	"[Service]\nType=exec\nSlice=ai.slice\nEnvironmentFile=/etc/modewatch/vllm/%i.env\n" +
	"ExecStart=/usr/libexec/modewatch/vllm-serve %i\nKillMode=mixed\n"

// overlayUnit stands for the two units of the studio overlay.
const overlayUnit = "[Unit]\nPartOf=desktop.target\nAfter=desktop.target\nStartLimitIntervalSec=0\n" +
	"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\nExecStopPost=/bin/true\n"

// programs are built as the product is, for a fair comparison.
var programs = []string{"floor", "readfile", "spawn", "storm"}

const programPath = "github.com/modewatch/modewatch/integration/bench/"

func newMachine(t *testing.T, more string) *machine {
	t.Helper()
	tree := t.TempDir()
	for _, name := range programs {
		file := filepath.Join(tree, "usr", "local", "bin", "bench-"+name)
		if err := lab.Build(t.Context(), programPath+name, file, "-trimpath", "-ldflags", "-s -w"); err != nil {
			t.Fatal(err)
		}
	}
	o := desk.Options(t, desk.Config+more, files)
	o.Install = append(o.Install, tree)
	o.Enable = append(o.Enable, "modewatch.service")
	m := &machine{Machine: desk.Boot(t, o), t: t}
	m.login()
	m.rests(fsm.AtDesktop)
	pid, err := strconv.Atoi(m.Show(t.Context(), "modewatch.service", "MainPID")["MainPID"])
	if err != nil || pid == 0 {
		t.Fatalf("modewatch.service has no main process (%v)", err)
	}
	m.daemon = m.process(pid)
	return m
}

// login puts alice at her desk.
func (m *machine) login() {
	m.t.Helper()
	if _, err := m.StartSway(m.t.Context(), "alice", lab.Sway{}); err != nil {
		m.t.Fatalf("%v\n%s", err, m.story())
	}
}

// path is a path of the machine as the host can open it: without entering the
// machine, which would take longer than what is measured.
func (m *machine) path(name ...string) string {
	return filepath.Join(append([]string{"/proc", strconv.Itoa(m.LeaderPID()), "root"}, name...)...)
}

// write writes a word into a file as echo does, and returns the time right before
// the write.
func (m *machine) write(file, word string) time.Time {
	m.t.Helper()
	f, err := os.OpenFile(m.path(file), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		m.t.Fatal(err)
	}
	defer f.Close()
	at := time.Now()
	if _, err := f.WriteString(word + "\n"); err != nil {
		m.t.Fatal(err)
	}
	return at
}

// Where the daemon's files are.
const (
	desiredFile = "/run/mode-controller/desired"
	stateFile   = "/run/mode-controller/state.json"
	lastFile    = "/run/mode-controller/last-transition.json"
)

// ended waits for the record of an attempt that began after since. The daemon is
// not to be measured beside a reader that keeps a CPU busy: the file is read when
// it has changed.
func (m *machine) ended(to fsm.Mode, since time.Time) fsm.Attempt {
	m.t.Helper()
	var a fsm.Attempt
	var seen time.Time
	file := m.path(lastFile)
	m.eventually("the end of an attempt to "+string(to), func() bool {
		info, err := os.Stat(file)
		if err != nil || info.ModTime().Equal(seen) {
			return false
		}
		seen = info.ModTime()
		m.read(lastFile, &a)
		return a.To == to && a.Begun.After(since)
	})
	return a
}

// rests waits until the daemon says that it rests in a state.
func (m *machine) rests(s fsm.State) {
	m.t.Helper()
	m.eventually("rest in "+string(s), func() bool {
		var now fsm.Snapshot
		m.read(stateFile, &now)
		return now.State == s && now.Attempt == nil
	})
}

// read reads a document of the daemon; one that does not exist leaves into alone.
func (m *machine) read(name string, into any) {
	m.t.Helper()
	data, err := os.ReadFile(m.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		m.t.Fatalf("cannot read %s: %v", name, err)
	}
}

func (m *machine) eventually(what string, cond func() bool) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), 30*time.Second)
	defer cancel()
	if err := lab.WaitFor(ctx, what, cond); err != nil {
		m.t.Fatalf("%v\n%s", err, m.story())
	}
}

// story is what the daemon told the journal, for a failure.
func (m *machine) story() string {
	entries, err := m.Journal(context.Background(), "-t", "modewatch", "-n", "40")
	if err != nil {
		return err.Error()
	}
	text := ""
	for _, e := range entries {
		text += fmt.Sprintln(e["MESSAGE"])
	}
	return text
}
