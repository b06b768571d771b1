package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// While a controller runs its snapshot is believed, not the host.
func TestVerbsBesideAController(t *testing.T) {
	r := newRig(t, desk())
	s := moving(wanting(resting(inCompute)), stopping())
	lock := r.alive(daemonName, s)
	r.wish("compute")
	for _, test := range []struct{ verb, want string }{
		{"state", "transitioning\n"}, {"current", "transitioning\n"}, {"desired", "compute\n"}, {"observe-current", "transitioning\n"},
	} {
		if code, out, err := r.run(test.verb); code != 0 || out != test.want {
			t.Errorf("%s: exit %d, %q, %q; want 0, %q", test.verb, code, out, err, test.want)
		}
	}
	if _, out, _ := r.run("status"); !strings.Contains(out, "step 3/8: end session 2") {
		t.Errorf("status does not tell the step:\n%s", out)
	}
	r.publish(resting(inCompute))
	if _, out, _ := r.run("observe-current"); out != "desktop\n" {
		t.Errorf("beside a controller at rest: %q; want what is observed, not what it says", out)
	}
	r.must(lock.Release())
	r.wish("desktop")
	if _, out, _ := r.run("state"); out != "desktop\n" {
		t.Errorf("after the controller's end: %q; want what is observed", out)
	}
}

// A snapshot that the holder of the lock has not written says nothing.
func TestStaleSnapshot(t *testing.T) {
	r := newRig(t, desk())
	defer r.alive(daemonName, resting(inCompute)).Release()
	s := resting(inCompute)
	s.PID = os.Getpid() + 1
	r.must(r.dirs().WriteState(s))
	for _, args := range [][]string{{"state"}, {"state", "--json"}, {"current"}} {
		if code, out, _ := r.run(args...); code != 0 || !strings.Contains(out, "desktop") || strings.Contains(out, `"live": true`) {
			t.Errorf("%v: exit %d, %q; want what is observed", args, code, out)
		}
	}
}

// On a terminal one line is written anew, never longer than the terminal, and
// taken away at the end; names of processes do nothing to it.
func TestLiveLine(t *testing.T) {
	var b strings.Builder
	l := &liveLine{w: &b, columns: 48}
	r := stopping()
	l.running(r, noon)
	l.running(r, noon)
	l.running(r, noon.Add(time.Second))
	l.note("the controller has ended")
	r.Await, l.columns = "\x1b]0;title\x07", 100
	l.running(r, noon)
	l.end()
	l.end()
	want := "\r\x1b[Kstep 3/8: end session 2: w… — 3 s, at most 20 s" + "\r\x1b[Kstep 3/8: end session 2: w… — 4 s, at most 20 s" +
		"\r\x1b[K" + "the controller has ended\n" + "\r\x1b[Kstep 3/8: end session 2: waiting for �]0;title�" + " — 3 s, at most 20 s" + "\r\x1b[K"
	if b.String() != want {
		t.Errorf("%q; want %q", b.String(), want)
	}
	l = &liveLine{w: &b, columns: 40, quiet: true}
	b.Reset()
	l.running(r, noon)
	l.queued(r, noon)
	l.note("x")
	if l.end(); b.Len() > 0 {
		t.Errorf("quiet, yet %q", b.String())
	}
}

func TestQueuedBehindAnother(t *testing.T) {
	var b strings.Builder
	w := &follower{wish: "ours", live: &liveLine{w: &b, told: map[string]bool{}}, known: func(s fsm.Snapshot) bool { return s.Wish != nil && s.Wish.ID == "ours" }}
	s := moving(resting(atDesk), stopping())
	w.show(s) // the wish has not been taken up
	s.Wish = &fsm.Wish{ID: "ours", Mode: fsm.Desktop}
	w.show(s)
	w.show(s)
	if want := "waiting for desktop → compute to end\n"; b.String() != want {
		t.Errorf("%q; want %q", b.String(), want)
	}
}

// program runs the test binary as modewatch.
func (r *rig) program(args ...string) *exec.Cmd {
	exe, err := os.Executable()
	r.must(err)
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "NO_COLOR=1")
	return cmd
}

// The state is answered before anything else of the program is initialised.
func TestStateIsAnsweredEarly(t *testing.T) {
	r := newRig(t, desk())
	defer r.alive(daemonName, resting(inCompute)).Release()
	cmd := r.program("state", "--run-dir", r.cfg.RunDir)
	cmd.Env = append(cmd.Env, "GODEBUG=inittrace=1")
	var out, trace bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &trace
	if err := cmd.Run(); err != nil || out.String() != "compute\n" {
		t.Fatalf("%v, %q", err, &out)
	}
	if !strings.Contains(trace.String(), "init os ") {
		t.Fatalf("no trace:\n%s", &trace)
	}
	for _, late := range []string{"init net/http ", "init github.com/modewatch/modewatch/fsm ", "init github.com/rs/zerolog "} {
		if strings.Contains(trace.String(), late) {
			t.Errorf("%q comes before the answer", late)
		}
	}
}

// Ctrl-C leaves the attempt alone.
func TestInterruptDetaches(t *testing.T) {
	r := newRig(t, desk())
	asked := make(chan struct{})
	r.daemon(resting(atDesk), func(q spooled) {
		run := stopping()
		run.Wish.ID = q.ID
		r.publish(moving(wanting(resting(atDesk)), run))
		close(asked)
	})
	cmd := r.program("request", "compute", "--run-dir", r.cfg.RunDir, "--lib-dir", r.cfg.LibDir, "--config", r.config())
	step := make(chan string, 1)
	var progress bytes.Buffer
	cmd.Stderr = &tee{to: &progress, want: "step 3/8", seen: step}
	r.must(cmd.Start())
	select {
	case <-step:
	case <-time.After(20 * time.Second):
		t.Error("the step was not shown")
	}
	<-asked
	r.must(cmd.Process.Signal(syscall.SIGINT))
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitDetached || !strings.Contains(progress.String(), "detached; the attempt goes on") {
		t.Errorf("exit %d, %q; want 130 and what goes on", code, &progress)
	}
}

// Who may not put a request into the spool is told so, with exit code 32.
func TestRequestWithoutTheRight(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become somebody without rights")
	}
	r := newRig(t, desk())
	defer r.alive(daemonName, resting(atDesk)).Release()
	for dir := r.cfg.RunDir; dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
		r.must(os.Chmod(dir, 0o755))
	}
	r.must(os.Chmod(filepath.Join(r.cfg.RunDir, "requests"), 0o770))
	exe := filepath.Join(r.cfg.RunDir, "modewatch") // go test's own directory is not for everybody
	me, err := os.Executable()
	r.must(err)
	data, err := os.ReadFile(me)
	r.must(err)
	r.must(os.WriteFile(exe, data, 0o755))
	cmd := r.program("request", "compute", "--run-dir", r.cfg.RunDir, "--lib-dir", r.cfg.LibDir)
	cmd.Path, cmd.Dir = exe, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != fsm.ExitNotAllowed || !strings.Contains(string(out), "group modewatch") {
		t.Errorf("exit %d, %q; want 32 and the group", code, out)
	}
}
