package gpu

import (
	"context"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/modewatch/modewatch/integration/standin/nvml/library"
)

// Each failure is an error that names it and what to do, and no answer.
func TestNoAnswer(t *testing.T) {
	one := library.GPU(0, 0, "01", "One")
	with := func(from string, lines ...string) func(*testing.T) (string, string) {
		return func(t *testing.T) (string, string) { lib := says(t, from, lines...); return rig.Program, lib }
	}
	run := func(text string) func(*testing.T) (string, string) {
		return func(t *testing.T) (string, string) { return script(t, text), "" }
	}
	for _, c := range []struct {
		name string
		by   func(*testing.T) (program, lib string)
		want []string
	}{
		{"no program", func(t *testing.T) (string, string) { return "/nonexistent/gpu-probe", "" }, []string{"there is no /nonexistent/gpu-probe", "install modewatch anew"}},
		{"a program that may not be run", func(t *testing.T) (string, string) { return os.DevNull, "" }, []string{"cannot start /dev/null", "permission denied"}},
		{"no library", func(t *testing.T) (string, string) { return with(rig.Library)(t) }, []string{"Driver Not Loaded (9 of nvmlInit_v2)", "load the kernel module"}},
		{"no library at all", func(t *testing.T) (string, string) {
			program, _ := with(rig.Library)(t)
			return program, "/nonexistent/libnvidia-ml.so.1"
		}, []string{"there is no /nonexistent/libnvidia-ml.so.1", "gpus.nvml_library"}},
		{"another driver", with(rig.Library, "init 18"), []string{"version mismatch (18 of nvmlInit_v2)", "reboot"}},
		{"a lost GPU", with(rig.Library, one, "lost 0"), []string{"about GPU number 0 of NVML", "GPU is lost (15 of", "fallen off the bus"}},
		{"an old library", with(rig.Old, one), []string{"has no nvmlDeviceGetComputeRunningProcesses_v3", "update the driver"}},
		{"garbage", run("head -c 300 /dev/urandom"), []string{"is not of this modewatch"}},
		{"nothing", run(""), []string{"is not of this modewatch"}},
		{"another schema", run(`echo '{"schema":2,"driver":"1"}'`), []string{"is not of this modewatch", "schema 2"}},
		{"an unknown field", run(`echo '{"schema":1,"driver":"1","more":1}'`), []string{"is not of this modewatch", "more"}},
		{"two documents", run(`echo '{"schema":1,"driver":"1"}{"schema":1}'`), []string{"something follows it"}},
		{"a GPU without identity", run(`echo '{"schema":1,"driver":"1","gpus":[{"index":0}]}'`), []string{"is not identified"}},
		{"a process without pid", run(`echo '{"schema":1,"driver":"1","gpus":[{"uuid":"a","pci":"b","processes":[{"pid":0,"kind":"compute"}]}]}'`), []string{"has a process 0"}},
		{"an answer that failed", run(`echo '{"schema":1,"driver":"1"}'; exit 3`), []string{"ended by exit status 3"}},
		{"a function that is missing", run("echo symbol lookup error: nvmlX >&2; echo more >&2; exit 127"), []string{"ended by exit status 127: symbol lookup error: nvmlX"}},
		{"a crash", run("kill -SEGV $$"), []string{"segmentation fault"}},
		{"too much", run("exec yes"), []string{"printed more than 1048576 bytes"}},
		{"too much, and it goes on", run("trap '' PIPE; yes 2>/dev/null; exit 0"), []string{"printed more than 1048576 bytes"}},
		{"an unknown failure", run(`echo '{"schema":1,"error":{"cause":"new","text":"odd"}}'; exit 1`), []string{"odd: see dmesg"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			program, lib := c.by(t)
			g, err := newTree(t, "/dev/nvidia0").source(program, lib).Look(t.Context())
			if err == nil || len(g.Cards)+len(g.Holders) > 0 {
				t.Fatalf("%+v, %v", g, err)
			}
			for _, want := range append(c.want, "cannot ask NVML") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

// A program that complains more than anybody reads is heard all the same.
func TestALongComplaint(t *testing.T) {
	s := newTree(t, "/dev/nvidia0").source(script(t, `yes | head -c 3000000 >&2; echo '{"schema":1,"driver":"1"}'`), "")
	if g, err := s.Look(t.Context()); err != nil || g.Driver != "1" {
		t.Errorf("%+v, %v", g, err)
	}
}

// What a program leaves running, with its output open, keeps nobody and does not
// stay: the pipe that it holds comes to its end.
func TestWhatAProgramLeaves(t *testing.T) {
	pipe := t.TempDir() + "/pipe"
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(pipe, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := newTree(t, "/dev/nvidia0").source(script(t, "exec 3>"+pipe+`; echo '{"schema":1,"driver":"1"}'; sleep 1000 & echo left >&3; exit 0`), "")
	if g, err := s.Look(t.Context()); err != nil || g.Driver != "1" {
		t.Errorf("%+v, %v", g, err)
	}
	_ = f.SetReadDeadline(time.Now().Add(20 * time.Second))
	if text, err := io.ReadAll(f); err != nil || string(text) != "left\n" {
		t.Errorf("%q, %v", text, err)
	}
}

// NVML that hangs costs the time that it was given, and nothing of it stays: the
// pipe that the program holds open comes to its end.
func TestNVMLHangs(t *testing.T) {
	lib := says(t, rig.Library, library.GPU(0, 0, "01", "One"), "hang")
	pipe := lib + ".hanging"
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	s := newTree(t, "/dev/nvidia0").source(rig.Program, lib)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	answer := make(chan error, 1)
	go func() {
		_, err := s.Look(ctx)
		answer <- err
	}()
	f, err := os.Open(pipe) // until it hangs
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cancel()
	if err := <-answer; err == nil || !strings.Contains(err.Error(), "it gave no answer in") {
		t.Errorf("%v", err)
	}
	if _, err := io.ReadAll(f); err != nil {
		t.Error(err)
	}
}

func TestTheDeadline(t *testing.T) {
	s := newTree(t, "/dev/nvidia0").source(script(t, "exec sleep 1000"), "")
	s.Within = 50 * time.Millisecond
	began := time.Now()
	_, err := s.Look(t.Context())
	if took := time.Since(began); err == nil || !strings.Contains(err.Error(), "gpus.nvml_timeout") || took < s.Within || took > 20*time.Second {
		t.Errorf("%v after %v", err, took)
	}
	if s.left() != nil {
		t.Error("it is taken for one that cannot be killed")
	}
}

// While a program hangs that cannot be killed no other is started; once it has
// ended the next question is asked.
func TestAProgramThatCannotBeKilled(t *testing.T) {
	s := newTree(t, "/dev/nvidia0").source(script(t, `echo '{"schema":1,"driver":"1"}'`), "")
	c := &run{pid: 4711, ended: make(chan error)}
	s.leave(c, time.Now())
	for range 3 {
		if _, err := s.Look(t.Context()); err == nil || !strings.Contains(err.Error(), "PID 4711") || !strings.Contains(err.Error(), "reboot") {
			t.Errorf("%v", err)
		}
	}
	close(c.ended)
	for s.left() != nil {
		if t.Context().Err() != nil {
			t.Fatal("it is still taken to hang")
		}
	}
	if g, err := s.Look(t.Context()); err != nil || g.Driver != "1" {
		t.Errorf("%+v, %v", g, err)
	}
}
