package siteguards

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sources/child"
)

// site is a folder of guards, by name and shell text.
func site(t *testing.T, guards map[string]string) *Source {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "guards.d")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range guards {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s := New(dir, 20*time.Second)
	s.Owner = os.Getuid()
	return s
}

func run(t *testing.T, s *Source) map[string]fsm.SiteVerdict {
	t.Helper()
	verdicts, err := s.Run(context.Background(), fsm.Compute)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]fsm.SiteVerdict{}
	for _, v := range verdicts {
		out[v.Name] = v
	}
	return out
}

func TestAnswers(t *testing.T) {
	want := map[string]fsm.SiteVerdict{
		"pass":    {Code: 0},
		"fine":    {Code: 0, Reason: "all is well"},
		"block":   {Code: 13, Reason: "backup is running"},
		"json":    {Code: 10, Reason: "tape in use"},
		"pretty":  {Code: 11, Reason: "spread over lines"},
		"stderr":  {Code: 1, Reason: "no such tape"},
		"cannot":  {Code: 22, Reason: "server away"},
		"escapes": {Code: 12, Reason: "[31mred"},
		"big":     {Code: 14, Reason: strings.Repeat("x", maxSaid)},
		"env":     {Code: 15, Reason: "LANG=C MODEWATCH_TO=compute PATH=" + child.Path + " at / alone 1"},
	}
	s := site(t, map[string]string{
		"pass": "exit 0", "fine": "echo all is well; echo more", "block": "echo backup is running; exit 13",
		"json":   `echo '{"reason":"tape in use","ok":false}'; exit 10`,
		"pretty": `printf '{\n "reason": "spread over lines"\n}\n'; exit 11`,
		"stderr": "echo no such tape >&2; exit 1", "cannot": "echo server away; exit 22",
		"escapes": `printf '\033[31mred\n'; exit 12`,
		"big":     "head -c 1000000 /dev/zero | tr '\\000' x; exit 14",
		"env": `e=$(env | grep -E '^(LANG|MODEWATCH_TO|PATH)=' | sort | tr '\n' ' ')
test $(env | grep -cvE '^(LANG|MODEWATCH_TO|PATH|PWD|_|SHLVL|OLDPWD)=') = 0 || exit 20
set -- $(cat /proc/$$/stat); test $1 = $5 && alone=1; echo "${e}at $PWD alone $alone"; exit 15`,
		".hidden": "exit 19",
	})
	t.Setenv("SECRET", "not for guards")
	got := run(t, s)
	for name, w := range want {
		w.Name = name
		if got[name] != w {
			t.Errorf("%s: %.300v, want %.300v", name, got[name], w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d answers, want %d", len(got), len(want))
	}
}

func TestNoFolderNoGuards(t *testing.T) {
	s := New(filepath.Join(t.TempDir(), "none"), time.Second)
	if v, err := s.Run(context.Background(), fsm.Compute); len(v) != 0 || err != nil {
		t.Errorf("%v, %v", v, err)
	}
}

// What must not be trusted is not run, and is named; the others still answer.
func TestUntrusted(t *testing.T) {
	proof := filepath.Join(t.TempDir(), "ran")
	s := site(t, map[string]string{"good": "exit 0", "not-executable": "touch " + proof, "group-writes": "touch " + proof, "others-write": "touch " + proof})
	change := func(name string, mode os.FileMode) {
		t.Helper()
		if err := os.Chmod(filepath.Join(s.Dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	change("not-executable", 0o644)
	change("group-writes", 0o775)
	change("others-write", 0o757)
	if err := os.Mkdir(filepath.Join(s.Dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/nowhere", filepath.Join(s.Dir, "dangling")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(s.Dir, "group-writes"), filepath.Join(s.Dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.Dir, "no-program"), []byte("\x00\x01"), 0o755); err != nil {
		t.Fatal(err)
	}
	says := map[string]string{"not-executable": "not executable", "group-writes": "0775", "others-write": "0757", "folder": "not a regular file",
		"dangling": "no such file", "link": "0775", "no-program": "exec format error"}
	if os.Getuid() == 0 {
		says["strangers"] = "not owned by uid 0"
		if err := os.WriteFile(filepath.Join(s.Dir, "strangers"), []byte("#!/bin/sh\ntouch "+proof), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(filepath.Join(s.Dir, "strangers"), 65534, -1); err != nil {
			t.Fatal(err)
		}
	}
	got := run(t, s)
	for name, want := range says {
		v := got[name]
		if v.Code != CannotTell || !strings.Contains(v.Reason, want) || !strings.Contains(v.Reason, filepath.Join(s.Dir, name)) {
			t.Errorf("%s: %+v, want %q", name, v, want)
		}
	}
	if v := got["good"]; v.Code != 0 || v.Name != "good" {
		t.Errorf("good: %+v", v)
	}
	if _, err := os.Stat(proof); err == nil {
		t.Error("an untrusted guard was run")
	}
	change("", 0o777)
	if v, err := s.Run(context.Background(), fsm.Compute); err == nil || v != nil || !strings.Contains(err.Error(), "0777") {
		t.Errorf("a folder that all may write: %v, %v", v, err)
	}
}

// A guard that hangs is killed with all that it started; the others are not
// held up by it, and they run side by side.
func TestHangingGuard(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	s := site(t, map[string]string{
		"hangs":  fmt.Sprintf("sleep 300 & echo $! $$ > %s; trap '' TERM; wait", pids),
		"leaves": fmt.Sprintf("sleep 300 & echo $! > %s.left; echo done; exit 10", pids),
		"quick":  "echo busy; exit 13",
	})
	s.Timeout = 2 * time.Second
	began := time.Now()
	got := run(t, s)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
	if v := got["hangs"]; v.Code != CannotTell || !strings.Contains(v.Reason, "did not answer within 2s") {
		t.Errorf("hangs: %+v", v)
	}
	if v := got["leaves"]; v.Code != 10 || v.Reason != "done" {
		t.Errorf("leaves: %+v", v)
	}
	if v := got["quick"]; v.Code != 13 || v.Reason != "busy" {
		t.Errorf("quick: %+v", v)
	}
	for _, file := range []string{pids, pids + ".left"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range strings.Fields(string(text)) {
			pid, err := strconv.Atoi(f)
			if err != nil {
				t.Fatal(err)
			}
			ended(t, pid)
		}
	}
}

// ended waits until the process runs no more.
func ended(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(end) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Errorf("process %d still runs: %s", pid, stat)
			return
		}
	}
}

func TestCancelled(t *testing.T) {
	s := site(t, map[string]string{"hangs": "sleep 300"})
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	v, err := s.Run(ctx, fsm.Compute)
	if err != nil || len(v) != 1 || v[0].Code != CannotTell {
		t.Errorf("%+v, %v", v, err)
	}
}
