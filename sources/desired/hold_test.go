package desired

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// prepared is a store whose directories stand, without a watch.
func prepared(t *testing.T) *Store {
	t.Helper()
	s := New(filepath.Join(tmpfs(t), "mode-controller"), os.Getgid())
	s.Owner = os.Getuid()
	if err := s.prepare(); err != nil {
		t.Fatal(err)
	}
	return s
}

func holdsOf(t *testing.T, s *Store) []fsm.Hold {
	t.Helper()
	list, err := s.Holds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestAHoldLastsUntilItIsReleased(t *testing.T) {
	s := prepared(t)
	if list := holdsOf(t, s); len(list) != 0 {
		t.Fatalf("held from the start: %v", list)
	}
	s.Who = func(pid int) (fsm.Caller, error) { return fsm.Caller{UID: os.Getuid(), PID: pid, Session: "c1"}, nil }
	h, err := s.Hold("h1", "rendering", 0)
	if err != nil {
		t.Fatal(err)
	}
	list := holdsOf(t, s)
	if len(list) != 1 || list[0].ID != "h1" || list[0].Why != "rendering" || list[0].By.PID != os.Getpid() || list[0].By.Session != "c1" ||
		time.Since(list[0].Since) > time.Minute || !list[0].Until.IsZero() {
		t.Errorf("the holds are %+v", list)
	}
	if err := h.Release(); err != nil {
		t.Error(err)
	}
	if list := holdsOf(t, s); len(list) != 0 {
		t.Errorf("held after the release: %v", list)
	}
}

func TestAHoldEndsByTime(t *testing.T) {
	s := prepared(t)
	if _, err := s.Hold("long", "guests", time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Hold("short", "tea", time.Nanosecond); err != nil {
		t.Fatal(err)
	}
	list := holdsOf(t, s)
	if len(list) != 1 || list[0].ID != "long" || time.Until(list[0].Until) < 59*time.Minute || time.Until(list[0].Until) > time.Hour+time.Minute {
		t.Fatalf("the holds are %+v", list)
	}
	if _, err := os.Stat(s.path(holdsName + "/short.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what has ended is left: %v", err)
	}
	if err := s.Unhold("long"); err != nil {
		t.Error(err)
	}
	if err := s.Unhold("long"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ended twice: %v", err)
	}
	if list := holdsOf(t, s); len(list) != 0 {
		t.Errorf("held after its end: %v", list)
	}
}

// TestHoldingProcess is no test of its own: it is the process that dies.
func TestHoldingProcess(t *testing.T) {
	dir := os.Getenv("MODEWATCH_HOLD_IN")
	if dir == "" {
		return
	}
	s := &Store{Dir: dir, Owner: os.Getuid()}
	_, err := s.Hold("h", "rendering", 0)
	fmt.Println("held:", err)
	time.Sleep(time.Minute)
}

// holding starts the process that dies, once it holds.
func holding(t *testing.T, s *Store) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestHoldingProcess$")
	cmd.Env = append(os.Environ(), "MODEWATCH_HOLD_IN="+s.Dir)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held: <nil>\n" {
		t.Fatalf("%q, %v", line, err)
	}
	return cmd
}

func TestAHoldDiesWithItsProcess(t *testing.T) {
	s := prepared(t)
	cmd := holding(t, s)
	if list := holdsOf(t, s); len(list) != 1 {
		t.Errorf("the holds are %+v", list)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if list := holdsOf(t, s); len(list) != 0 {
		t.Errorf("after its death: %+v", list)
	}
}

// What somebody put there that is no hold is told, with its name: nobody knows
// what it keeps safe.
func TestAHoldThatCannotBeRead(t *testing.T) {
	for what, make := range map[string]func(path string) error{
		"no JSON":      func(p string) error { return os.WriteFile(p, []byte("x"), 0o644) },
		"schema 99":    func(p string) error { return os.WriteFile(p, []byte(`{"schema":99}`), 0o644) },
		"more than":    func(p string) error { return os.WriteFile(p, []byte(strings.Repeat("x", 5000)), 0o644) },
		"not a reg":    func(p string) error { return os.Symlink("/etc/passwd", p) },
		"may write it": func(p string) error { return errors.Join(os.WriteFile(p, nil, 0o666), os.Chmod(p, 0o666)) },
	} {
		s := prepared(t)
		if err := make(s.path(holdsName + "/bad.json")); err != nil {
			t.Fatal(err)
		}
		if list, err := s.Holds(t.Context()); err == nil || !strings.Contains(err.Error(), "bad.json") || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v, %v", what, list, err)
		}
	}
}

// Somebody who may only read a hold that is left cannot keep it alive.
func TestAReaderHoldsNothing(t *testing.T) {
	s := prepared(t)
	h, err := s.Hold("h", "rendering", 0)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := os.Open(h.path)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	h.file.Close() // as its death does
	if list := holdsOf(t, s); len(list) != 0 {
		t.Errorf("a dead hold is in force: %+v", list)
	}
}

// What is being written is no hold yet; what a dead writer left of one goes.
func TestDraftsAreNoHolds(t *testing.T) {
	s := prepared(t)
	fresh, stale := s.path(holdsName+"/.fresh"), s.path(holdsName+"/.stale")
	for _, path := range []string{fresh, stale} {
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-2 * staleDraft)
	if err := os.Chtimes(stale, old, old); err != nil {
		t.Fatal(err)
	}
	if list := holdsOf(t, s); len(list) != 0 {
		t.Errorf("drafts are in force: %+v", list)
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(stale); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the stale draft is left: %v", err)
	}
}

func TestNobodyHoldsWithoutADirectory(t *testing.T) {
	s := &Store{Dir: t.TempDir(), Owner: os.Getuid()}
	if list, err := s.Holds(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := s.Hold("h", "x", 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("held without a directory: %v", err)
	}
}
