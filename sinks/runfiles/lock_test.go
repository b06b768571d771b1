package runfiles

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

func alive(t *testing.T, d Dirs) bool {
	t.Helper()
	up, err := d.Alive()
	if err != nil {
		t.Fatal(err)
	}
	return up
}

func TestLockIsExclusiveAndNamesItsHolder(t *testing.T) {
	d := dirs(t)
	if alive(t, d) {
		t.Error("alive before anybody locked")
	}
	since := time.Now().Round(0)
	l, err := d.Lock("modewatch.service", "boot-1", since)
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Lock("mode-controller@compute.service", "boot-1", time.Now())
	var held Held
	if !errors.As(err, &held) || held.PID != os.Getpid() || held.Who != "modewatch.service" || !held.Since.Equal(since) {
		t.Errorf("second lock: %#v", err)
	}
	if held.ExitCode() != fsm.ExitLocked {
		t.Errorf("exit code %d", held.ExitCode())
	}
	if !alive(t, d) {
		t.Error("not alive while locked")
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	if alive(t, d) {
		t.Error("alive after release")
	}
	wantFiles(t, d.Run, lockName)
	if l, err = d.Lock("again", "boot-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	_ = l.Release()
}

func TestLockMakesItsFoldersWhateverTheUmask(t *testing.T) {
	root := t.TempDir()
	d := Dirs{Run: filepath.Join(root, "a/run"), Lib: filepath.Join(root, "b/lib")}
	l, err := d.Lock("x", "boot", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Release() }()
	wantFiles(t, d.Run, lockName, holderName)
	wantFiles(t, d.Lib)
}

// A process that dies, however, gives the lock up; its reconcile.pid stays and
// must not be believed.
func TestLockOfADeadProcessIsFree(t *testing.T) {
	d := dirs(t)
	cmd := hold(t, d)
	_, err := d.Lock("me", "boot", time.Now())
	var held Held
	if !errors.As(err, &held) || held.PID != cmd.Process.Pid || held.Who != "child.service" {
		t.Fatalf("lock beside a living child: %#v", err)
	}
	if !alive(t, d) {
		t.Error("not alive while the child lives")
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if alive(t, d) {
		t.Error("alive after the child was killed")
	}
	if h := d.held(); h.PID != 0 || h.Error() != "the lock is held by another process" {
		t.Errorf("reconcile.pid of a dead process is believed: %v", h)
	}
	l, err := d.Lock("me", "boot", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Release()
}

func TestSecondProcessIsTold(t *testing.T) {
	d := dirs(t)
	l, err := d.Lock("modewatch.service", "boot", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Release() }()
	out, err := child(t, d, "lock").Output()
	want := fmt.Sprintf("the lock is held by modewatch.service (PID %d) since ", os.Getpid())
	if err != nil || !strings.HasPrefix(string(out), want) {
		t.Errorf("another process is told %q, %v", out, err)
	}
}

// Many readers that look all the time keep nobody from the lock.
func TestLookingDoesNotDisturb(t *testing.T) {
	d := dirs(t)
	l, err := d.Lock("first", "boot", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Release()
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(50 * time.Microsecond):
					if _, err := d.Alive(); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	for range 200 {
		l, err := d.Lock("again", "boot", time.Now())
		if err != nil {
			t.Error(err)
			break
		}
		_ = l.Release()
	}
	close(stop)
	readers.Wait()
}

func TestLockSweepsWhatAKilledWriterLeft(t *testing.T) {
	d := dirs(t)
	keep := []string{".desired123", ".state.json", ".state.json12x"}
	for _, name := range append([]string{".state.json4711", ".current5", ".last-guards.json6"}, keep...) {
		if err := os.WriteFile(d.run(name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(d.lib(".intent.json99"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := d.Lock("x", "boot", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Release() }()
	wantFiles(t, d.Lib)
	// A name that is not wholly ours could be a person's: only what ends in
	// digits alone is swept, and glob's "[0-9]*" must not take more.
	wantFiles(t, d.Run, ".desired123", ".state.json", ".state.json12x", lockName, holderName)
}

func TestBootID(t *testing.T) {
	id, err := BootID("")
	if err != nil || len(id) != 36 {
		t.Errorf("boot id of this host: %q, %v", id, err)
	}
	root := t.TempDir()
	if _, err := BootID(root); err == nil {
		t.Error("a root without /proc has a boot id")
	}
	dir := filepath.Join(root, "proc/sys/kernel/random")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for text, ok := range map[string]bool{
		"0f1a2b3c-4d5e-6f70-8192-a3b4c5d6e7f8\n": true,
		"":                                       false,
		"short\n":                                false,
	} {
		if err := os.WriteFile(filepath.Join(dir, "boot_id"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if id, err := BootID(root); (err == nil) != ok || ok && id != strings.TrimSpace(text) {
			t.Errorf("boot id of %q: %q, %v", text, id, err)
		}
	}
}
