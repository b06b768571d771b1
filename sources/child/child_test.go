package child

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func sh(text string) Command { return Command{File: "/bin/sh", Args: []string{"-c", text}} }

func TestRun(t *testing.T) {
	t.Setenv("SECRET", "not for children")
	for text, want := range map[string]Result{
		"echo hello; echo oops >&2; exit 7": {7, []byte("hello\n"), []byte("oops\n")},
		"head -c 100000 /dev/zero":          {0, make([]byte, 1000), nil},
		"echo $SECRET$LANG; pwd":            {0, []byte("C\n/\n"), nil},
		"sleep 60 & echo left":              {0, []byte("left\n"), nil},
	} {
		got, err := sh(text).Run(t.Context(), 1000)
		if err != nil || got.Code != want.Code || string(got.Stdout) != string(want.Stdout) || string(got.Stderr) != string(want.Stderr) {
			t.Errorf("%s: %d %.40q %.40q %v", text, got.Code, got.Stdout, got.Stderr, err)
		}
	}
}

func TestNoResult(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("too late"))
	defer cancel()
	for say, c := range map[string]Command{
		"did not answer: too late": sh("sleep 60"),
		"signal: killed":           sh("kill -9 $$"),
		"is not installed":         {File: "no-such-program"},
		"no such file":             {File: "/nowhere/program"},
	} {
		ctx := ctx
		if !strings.Contains(say, "late") {
			ctx = t.Context()
		}
		if r, err := c.Run(ctx, 10); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%v: %+v, %v", c, r, err)
		}
	}
	if _, err := (Command{File: "no-such-program"}).Run(t.Context(), 1); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("%v is not ErrNotFound", err)
	}
}

func TestCollect(t *testing.T) {
	for text, want := range map[string]string{
		"echo one; echo two":                         "one\ntwo\n",
		"true":                                       "",
		"sleep 60 & echo left":                       "left\n",
		"echo no; echo why >&2; exit 3":              "error: /bin/sh failed: exit status 3: why",
		"echo no; kill -9 $$":                        "error: /bin/sh failed: signal: killed",
		"for i in 1 2 3; do echo $i; done; exec >&-": "1\n2\n3\n",
	} {
		got, err := sh(text).Collect(t.Context(), 1000)
		if err != nil {
			got = []byte("error: " + err.Error())
		}
		if string(got) != want {
			t.Errorf("%s: %.60q, want %.60q", text, got, want)
		}
	}
	if got, err := sh("for i in 1 2 3 4 5 6 7 8 9; do echo 0123456789; done; true").Collect(t.Context(), 40); err != nil || string(got) != "0123456789\n0123456789\n0123456789\n" {
		t.Errorf("more than there is room for: %q, %v", got, err)
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("too late"))
	defer cancel()
	if _, err := sh("sleep 60").Collect(ctx, 10); err == nil || !strings.Contains(err.Error(), "did not answer: too late") {
		t.Errorf("%v", err)
	}
}

// What it left running goes with it, whether it ended or was ended.
func TestNothingIsLeftRunning(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	left := sh("sleep 60 >/dev/null 2>&1 & echo $! >" + file)
	if _, err := left.Run(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	gone(t, file)
	follow := sh("sleep 60 >/dev/null 2>&1 & echo $! >" + file + "; echo ready; wait")
	enough := errors.New("enough")
	err := follow.Follow(t.Context(), func(out io.Reader) error {
		if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			t.Error(err)
		}
		return enough
	})
	if !errors.Is(err, enough) {
		t.Errorf("Follow: %v", err)
	}
	gone(t, file)
}

// gone waits until the process of a file is no more, or a zombie of somebody's.
func gone(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second); ; {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			cancel()
			return
		}
		if ctx.Err() != nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatalf("process %d still runs", pid)
		}
	}
}

func TestFollowTellsWhatTheProgramSays(t *testing.T) {
	err := sh("echo broken pipe dream >&2; exit 3").Follow(t.Context(), func(out io.Reader) error {
		_, err := io.ReadAll(out)
		return errors.Join(err, errors.New("nothing to read"))
	})
	if err == nil || err.Error() != "nothing to read (broken pipe dream)" {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = sh("echo on; sleep 60").Follow(ctx, func(out io.Reader) error {
		r := bufio.NewReader(out)
		if line, err := r.ReadString('\n'); line != "on\n" || err != nil {
			t.Errorf("%q, %v", line, err)
		}
		cancel()
		_, err := r.ReadByte()
		return err
	})
	if !errors.Is(err, io.EOF) {
		t.Errorf("after the end of its context it reads %v", err)
	}
}
