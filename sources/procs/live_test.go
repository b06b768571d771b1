package procs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

func live(p fsm.Policy) *Procs { return New("/proc", func() fsm.Policy { return p }) }

// child starts a shell script that says "ready" and waits for its input's end.
func child(t *testing.T, script string, arg ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("env", append([]string{"--default-signal=HUP", "sh", "-c", script + "; echo ready; read x", "sh"}, arg...)...) // nohup passes its own down
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the child said %q, %v", line, err)
	}
	return cmd
}

// isolated runs the test again as process 1 of a process namespace with a /proc
// of its own, where nothing is hidden and nobody else comes and goes; true tells
// that this is that run.
func isolated(t *testing.T) bool {
	t.Helper()
	if os.Getpid() == 1 {
		if err := errors.Join(syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""),
			syscall.Mount("proc", "/proc", "proc", 0, "")); err != nil {
			t.Fatal(err)
		}
		return true
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, os.ErrPermission) {
		t.Skip("only root can make a process namespace")
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// A real child holds a real file that stands for a device node.
func TestLiveHolder(t *testing.T) {
	if !isolated(t) {
		return
	}
	node := filepath.Join(t.TempDir(), "card0")
	if err := os.WriteFile(node, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := policy()
	p.GPU.Display, p.GPU.AI = []string{filepath.Dir(node) + "/card*"}, nil
	p.Audio.Nodes = p.GPU.Display
	before, err := live(p).GPU(context.Background())
	if err != nil || len(before.Holders) != 0 || !slices.Equal(before.Present, []string{node}) {
		t.Fatalf("before: %+v, %v", before, err)
	}
	cmd := child(t, `exec 7<"$1"`, node)
	f := live(p).Look(context.Background(), fsm.AboutGPU|fsm.AboutAudio)
	if !f.GPU.OK || len(f.GPU.Value.Holders) != 1 {
		t.Fatalf("GPU %+v", f.GPU)
	}
	h := f.GPU.Value.Holders[0]
	if h.PID != cmd.Process.Pid || h.Comm != "sh" || h.UID != 0 || h.Node != node || !h.Display || h.Infra {
		t.Errorf("holder %+v", h)
	}
	if !f.Audio.OK || !slices.ContainsFunc(f.Audio.Value.Users, func(u fsm.AudioUse) bool { return u.PID == h.PID && u.How == "holds "+node }) {
		t.Errorf("audio %+v", f.Audio)
	}
	if f.Jobs.OK || f.Jobs.Cause != "" {
		t.Errorf("jobs were not asked for: %+v", f.Jobs)
	}
	mine, err := os.Open(node) // ourselves: infrastructure
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	g, err := live(p).GPU(context.Background())
	if err != nil || !slices.ContainsFunc(g.Holders, func(h fsm.GPUHolder) bool { return h.PID == os.Getpid() && h.Infra }) {
		t.Errorf("we hold it too: %+v, %v", g.Holders, err)
	}
}

// nohup is told from a mere orphan by the ignored signal, on the real kernel.
func TestLiveIgnoredHangup(t *testing.T) {
	for script, want := range map[string]bool{"trap '' HUP": true, ":": false} {
		cmd := child(t, script)
		tb, err := scan(context.Background(), "/proc", wanted{names: true})
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(tb.procs, func(p proc) bool { return p.pid == cmd.Process.Pid })
		if i < 0 || tb.procs[i].noHup != want || tb.procs[i].ppid != os.Getpid() || tb.procs[i].comm != "sh" || tb.procs[i].exe == "" {
			t.Errorf("%s: index %d, noHup not %v", script, i, want)
		}
		for _, p := range tb.procs {
			if p.ppid == 2 {
				t.Errorf("kernel thread %+v", p)
			}
		}
		tb.close()
	}
}

// Another user's files cannot be seen without root: an error, not "nobody".
func TestLiveUnprivileged(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	exe, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "procs.test")
	if err := os.WriteFile(name, exe, 0o755); err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(name); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(name, "-test.run=^TestLiveChild$")
	cmd.Env, cmd.Dir = []string{"MODEWATCH_PROCS=1"}, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "needs root") || !strings.Contains(string(out), "jobs <nil>") ||
		!strings.Contains(string(out), "self 65534") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestLiveChild is what TestLiveUnprivileged runs as another user.
func TestLiveChild(t *testing.T) {
	if os.Getenv("MODEWATCH_PROCS") == "" {
		return
	}
	_, err := live(policy()).GPU(context.Background())
	fmt.Println("GPU", err)
	_, err = live(policy()).Jobs(context.Background()) // names alone need no root
	fmt.Println("jobs", err)
	fmt.Println("self", CallerSelf().UID, CallerSelf().PID == os.Getpid())
}

func TestLiveCaller(t *testing.T) {
	cmd := child(t, ":")
	c, err := live(policy()).Caller(cmd.Process.Pid)
	if err != nil || c.UID != os.Getuid() || c.PID != cmd.Process.Pid {
		t.Errorf("caller %+v, %v", c, err)
	}
	if c, err := live(policy()).Caller(1 << 30); err == nil || c != fsm.NoCaller {
		t.Errorf("caller of no process: %+v, %v", c, err)
	}
}

// Processes come and go during the pass: never an error.
func TestLiveChurn(t *testing.T) {
	if !isolated(t) {
		return
	}
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				_ = exec.Command("sh", "-c", "true & true & true").Run()
			}
		}
	}()
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		if f := live(policy()).Look(context.Background(), Subjects); !f.GPU.OK || !f.Audio.OK || !f.Jobs.OK {
			t.Fatalf("GPU %q, audio %q, jobs %q", f.GPU.Cause, f.Audio.Cause, f.Jobs.Cause)
		}
	}
	close(stop)
	<-done
}

// The cost of one pass for all three questions on this host.
func BenchmarkLook(b *testing.B) {
	for b.Loop() {
		live(policy()).Look(context.Background(), Subjects)
	}
}

func BenchmarkGPUOnly(b *testing.B) {
	for b.Loop() {
		live(policy()).Look(context.Background(), fsm.AboutGPU)
	}
}

func BenchmarkNamesOnly(b *testing.B) {
	for b.Loop() {
		live(policy()).Look(context.Background(), fsm.AboutJobs)
	}
}
