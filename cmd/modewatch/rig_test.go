package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/config"
	"github.com/modewatch/modewatch/internal/engine"
	"github.com/modewatch/modewatch/internal/sim"
	"github.com/modewatch/modewatch/sinks/runfiles"
)

var update = flag.Bool("update", false, "write the golden files anew")

// asProgram turns the test binary into modewatch itself: tests run it as a
// process of its own.
const asProgram = "MODEWATCH_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	userName = func(uid int) string {
		if uid == 1000 {
			return "alice"
		}
		return fmt.Sprintf("uid %d", uid)
	}
	goleak.VerifyTestMain(m)
}

// noon is now in all pages.
var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

// golden holds a text against testdata/NAME.txt.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not as it was; if the new text is meant, run go test -update\n--- was\n%s--- is\n%s", path, want, got)
	}
}

// rig is the program with a host in memory and directories of its own.
type rig struct {
	t        *testing.T
	env      env
	cfg      config.Config
	out, err bytes.Buffer
	vars     map[string]string
}

func newRig(t *testing.T, h engine.Host) *rig {
	t.Helper()
	dir := t.TempDir()
	r := &rig{t: t, cfg: config.Default(), vars: map[string]string{}}
	r.cfg.RunDir, r.cfg.LibDir, r.cfg.GuardsDir = filepath.Join(dir, "run"), filepath.Join(dir, "lib"), filepath.Join(dir, "guards.d")
	for _, d := range []string{r.cfg.RunDir, r.cfg.LibDir, r.cfg.GuardsDir, filepath.Join(r.cfg.RunDir, "requests")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r.env = env{stdout: &r.out, stderr: &r.err, getenv: func(k string) string { return r.vars[k] },
		host:  func(config.Config) (engine.Host, func()) { return h, func() {} },
		start: func(context.Context, string) (job, error) { t.Error("a unit was started"); return nil, os.ErrInvalid },
		stop:  func(context.Context, string) error { t.Error("a unit was stopped"); return os.ErrInvalid },
		once:  func(context.Context, env, fsm.Wish) int { t.Error("an attempt was made here"); return exitError },
		every: 5 * time.Millisecond, grace: 10 * time.Second}
	return r
}

// run runs a command line and returns its exit code, output and errors.
func (r *rig) run(args ...string) (code int, out, err string) {
	r.out.Reset()
	r.err.Reset()
	code = r.env.command("modewatch", append([]string{"--run-dir", r.cfg.RunDir, "--lib-dir", r.cfg.LibDir, "--config", r.config()}, args...))
	return code, r.out.String(), r.err.String()
}

// config writes a configuration that points to the rig's directories.
func (r *rig) config() string {
	path := filepath.Join(r.cfg.LibDir, "config.toml")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	text := fmt.Sprintf("[guards]\nsite_dir = %q\n", r.cfg.GuardsDir)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
	return path
}

func (r *rig) dirs() runfiles.Dirs { return dirsOf(r.cfg) }

// must ends the test on an error of the rig itself.
func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// alive lets this process be the controller, with the snapshot s.
func (r *rig) alive(who string, s fsm.Snapshot) *runfiles.Lock {
	r.t.Helper()
	l, err := r.dirs().Lock(who, "boot", noon)
	r.must(err)
	r.publish(s)
	return l
}

func (r *rig) publish(s fsm.Snapshot) {
	s.PID, s.Boot = os.Getpid(), "boot"
	r.must(r.dirs().WriteState(s))
}

// wish writes the file desired.
func (r *rig) wish(word string) {
	r.must(os.WriteFile(filepath.Join(r.cfg.RunDir, "desired"), []byte(word+"\n"), 0o644))
}

func desk() *sim.Host { return sim.Desk(config.Default().Policy) }

// reading lets a desk with a busy audio program be looked at.
func busyDesk() *sim.Host {
	h := desk()
	h.Change(func(f *fsm.Facts, _ *fsm.Logins, _ map[string]fsm.Unit) {
		f.Audio = fsm.Read(fsm.Audio{Looked: []string{"processes"}, Users: []fsm.AudioUse{{PID: 811, UID: 1000, Comm: "reaper", How: "configured process"}}}, nil)
		f.Load = fsm.Read(fsm.Load{CPUSome: 73}, nil)
	})
	return h
}
