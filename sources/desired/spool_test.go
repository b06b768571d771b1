package desired

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

func TestRequestsComeInOrder(t *testing.T) {
	s := newStore(tmpfs(t))
	s.Who = func(pid int) (fsm.Caller, error) {
		return fsm.Caller{UID: os.Getuid(), PID: pid, Unit: "session-3.scope", Session: "3"}, nil
	}
	r := start(t, s)
	r.wait("the spool", func() bool { _, err := os.Stat(r.path(spoolName)); return err == nil })
	for i := range 300 {
		c := fsm.Command{Verb: fsm.VerbRequest, Mode: fsm.Modes[i%3], ID: fmt.Sprintf("wish-%d", i), By: fsm.Caller{PID: 40 + i}}
		r.must(r.Ask(c))
		c.By = fsm.Caller{UID: os.Getuid(), PID: 40 + i, Unit: "session-3.scope", Session: "3"}
		if got := r.next(); got != c {
			t.Fatalf("said %+v, want %+v", got, c)
		}
	}
	if left, _ := os.ReadDir(r.path(spoolName)); len(left) > 0 {
		t.Errorf("left in the spool: %v", left)
	}
}

// Only the owner of the file is believed: a process of somebody else, or one
// that is gone, tells nothing.
func TestClaimedProcessIsVerified(t *testing.T) {
	for name, who := range map[string]func(int) (fsm.Caller, error){
		"of another user": func(pid int) (fsm.Caller, error) { return fsm.Caller{UID: 4242, PID: pid, Session: "9"}, nil },
		"gone":            func(int) (fsm.Caller, error) { return fsm.Caller{}, errors.New("no such process") },
		"no way to look":  nil,
	} {
		s := newStore(tmpfs(t))
		s.Who = who
		r := start(t, s)
		r.wait("the spool", func() bool { _, err := os.Stat(r.path(spoolName)); return err == nil })
		r.must(r.Ask(fsm.Command{Verb: fsm.VerbReconcile, ID: "a", By: fsm.Caller{PID: 77, Session: "9"}}))
		want := fsm.Command{Verb: fsm.VerbReconcile, ID: "a", By: fsm.Caller{UID: os.Getuid()}}
		if got := r.next(); got != want {
			t.Errorf("%s: said %+v, want %+v", name, got, want)
		}
		r.stop()
	}
}

// Requests put in while nobody watched are taken at the start, oldest first;
// drafts of clients that died are cleared away.
func TestRequestsWaitForAStart(t *testing.T) {
	r := watched(t)
	r.stop()
	for i, id := range []string{"z", "m", "a"} {
		r.must(r.Ask(fsm.Command{Verb: fsm.VerbCancel, ID: id}))
		at := time.Now().Add(time.Duration(i-10) * time.Second)
		r.must(os.Chtimes(filepath.Join(r.path(spoolName), id+".json"), at, at))
	}
	for name, age := range map[string]time.Duration{".old": time.Hour, ".new": 0} {
		path := filepath.Join(r.path(spoolName), name)
		r.must(os.WriteFile(path, nil, 0o640))
		r.must(os.Chtimes(path, time.Now().Add(-age), time.Now().Add(-age)))
	}
	r = start(t, newStore(r.Dir))
	for _, id := range []string{"z", "m", "a"} {
		if c, ok := r.next().(fsm.Command); !ok || c.ID != id {
			t.Errorf("said %+v, want %s", c, id)
		}
	}
	r.quiet()
	left, err := os.ReadDir(r.path(spoolName))
	if err != nil || len(left) != 1 || left[0].Name() != ".new" {
		t.Errorf("left in the spool: %v, %v", left, err)
	}
}

func TestRequestsRefused(t *testing.T) {
	const good = `{"schema":1,"verb":"cancel","id":"a"}`
	r := watched(t)
	put := func(script string) {
		cmd := exec.Command("sh", "-c", script)
		cmd.Dir = r.path(spoolName)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", script, err, out)
		}
	}
	file := func(text string) string {
		return fmt.Sprintf("umask 027; printf '%%s' '%s' > .x; mv .x x.json", text)
	}
	for _, c := range []struct{ script, says string }{
		{file("{"), "no JSON request"},
		{file(good + good), "no JSON request"},
		{file(`{"schema":2,"verb":"cancel","id":"a"}`), "schema 2"},
		{file(`{"schema":1,"verb":"obey","id":"a"}`), `"obey" is no verb`},
		{file(`{"schema":1,"verb":"force","id":"a"}`), `is no mode`},
		{file(`{"schema":1,"verb":"request","mode":"gaming","id":"a"}`), `"gaming" is no mode`},
		{file(`{"schema":1,"verb":"cancel","id":"../a"}`), `is no id`},
		{file(`{"schema":1,"verb":"cancel","id":""}`), `is no id`},
		{file(`{"schema":1,"verb":"cancel","id":"` + strings.Repeat("a", 65) + `"}`), `is no id`},
		{"umask 027; head -c 5000 /dev/zero > .x; mv .x x.json", "more than 4096 bytes"},
		{"ln -s /etc/passwd x.json", "a symbolic link"},
		{"mkfifo x.json", "a fifo"},
		{"mkdir x.json", "a directory"},
		{"umask 0; echo '" + good + "' > .x; mv .x x.json", "others than its owner"},
		// desired is root's and the group may write it: it must not speak for root.
		{"ln ../desired x.json", "others than its owner"},
		{"umask 077; echo '" + good + "' > ../y; ln ../y x.json", "others than its owner"},
	} {
		put(c.script)
		r.note("refused the request", fmt.Sprintf("uid %d", os.Getuid()), c.says)
		if _, err := os.Lstat(filepath.Join(r.path(spoolName), "x.json")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: left in the spool (%v)", c.script, err)
		}
		r.quiet()
	}
	put(file(good))
	if c, ok := r.next().(fsm.Command); !ok || c.ID != "a" {
		t.Errorf("said %+v, want the good request", c)
	}
}

func TestAskSaysWhatToDo(t *testing.T) {
	s := newStore(tmpfs(t))
	err := s.Ask(fsm.Command{Verb: fsm.VerbCancel, ID: "a"})
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "modewatch.service") {
		t.Errorf("without a spool: %v", err)
	}
	for _, c := range []fsm.Command{{Verb: "force", ID: "a"}, {Verb: fsm.VerbRequest, Mode: "x", ID: "a"}, {Verb: fsm.VerbCancel, ID: "a/b"}} {
		if err := s.Ask(c); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Ask(%+v): %v, want a refusal before any file", c, err)
		}
	}
}

// A user outside the group is refused with a hint; one in it is who the file's
// owner says, whatever the umask.
func TestAskAsUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	const group = 4321
	s := newStore(tmpfs(t))
	s.Group = group
	r := start(t, s)
	r.wait("the spool", func() bool { fi, err := os.Stat(r.path(spoolName)); return err == nil && fi.Mode().Perm() == 0o770 })
	r.must(os.Chmod(filepath.Dir(r.Dir), 0o755))
	child := func(groups ...uint32) string {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestAskChild$", "-test.v")
		cmd.Env = []string{"MODEWATCH_ASK=" + r.Dir}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534, Groups: groups}}
		cmd.Dir = "/"
		out, _ := cmd.CombinedOutput()
		return string(out)
	}
	if out := child(); !strings.Contains(out, "NOT ALLOWED") || !strings.Contains(out, "you are not in group modewatch; use sudo") {
		t.Errorf("outside the group: %s", out)
	}
	r.quiet()
	if out := child(group); !strings.Contains(out, "ASKED") {
		t.Fatalf("in the group: %s", out)
	}
	want := fsm.Command{Verb: fsm.VerbRequest, Mode: fsm.Compute, ID: "child", By: fsm.Caller{UID: 65534}}
	if got := r.next(); got != want {
		t.Errorf("said %+v, want %+v", got, want)
	}
	r.write("compute\n")
	r.wish(fsm.Compute)
}

// TestAskChild is what TestAskAsUser runs as another user.
func TestAskChild(t *testing.T) {
	dir := os.Getenv("MODEWATCH_ASK")
	if dir == "" {
		return
	}
	syscall.Umask(0)
	err := New(dir, 0).Ask(fsm.Command{Verb: fsm.VerbRequest, Mode: fsm.Compute, ID: "child", By: fsm.Caller{UID: 0, PID: 1}})
	switch {
	case errors.Is(err, fs.ErrPermission):
		fmt.Println("NOT ALLOWED", err)
	case err != nil:
		fmt.Println("FAILED", err)
	default:
		fmt.Println("ASKED")
	}
}
