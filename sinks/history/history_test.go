package history

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/modewatch/modewatch/fsm"
)

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// attempt is the n-th, which ended n minutes after start.
func attempt(n int) fsm.Attempt {
	return fsm.Attempt{ID: fmt.Sprintf("a%d", n), From: fsm.Desktop, To: fsm.Compute, Final: fsm.Compute, Outcome: fsm.Reached,
		Begun: start, Ended: start.Add(time.Duration(n) * time.Minute), Cause: strings.Repeat("ü\n", n%5)}
}

func add(t *testing.T, l *Log, from, to int) {
	t.Helper()
	for n := from; n <= to; n++ {
		if err := l.Append(attempt(n)); err != nil {
			t.Fatal(err)
		}
	}
}

// want wants exactly the attempts first..last and this many notes.
func want(t *testing.T, l *Log, f Filter, first, last, notes int) {
	t.Helper()
	got, said, err := l.Read(f)
	if err != nil || len(said) != notes {
		t.Fatalf("notes %v, error %v", said, err)
	}
	if len(got) != last-first+1 {
		t.Fatalf("%d attempts, want %d..%d", len(got), first, last)
	}
	for i, a := range got {
		if w := attempt(first + i); a.ID != w.ID || !a.Ended.Equal(w.Ended) || a.Cause != w.Cause || a.Schema != fsm.Schema {
			t.Fatalf("attempt %d is %+v", i, a)
		}
	}
}

func TestNoHistoryYet(t *testing.T) {
	l := New(t.TempDir(), 0)
	want(t, l, Filter{}, 1, 0, 0)
	if _, err := os.Stat(l.path); !errors.Is(err, os.ErrNotExist) {
		t.Error("reading made the file")
	}
}

func TestFilter(t *testing.T) {
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	l := New(t.TempDir(), 0)
	add(t, l, 1, 9)
	want(t, l, Filter{}, 1, 9, 0)
	want(t, l, Filter{Limit: 1}, 9, 9, 0)
	want(t, l, Filter{Limit: 2}, 8, 9, 0)
	want(t, l, Filter{Limit: 20}, 1, 9, 0)
	want(t, l, Filter{Since: attempt(7).Ended}, 7, 9, 0)
	want(t, l, Filter{Since: attempt(3).Ended, Limit: 4}, 6, 9, 0)
	want(t, l, Filter{Since: start.Add(time.Hour)}, 1, 0, 0)
	if info, err := os.Stat(l.path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestNothingIsWrittenTwice(t *testing.T) {
	dir := t.TempDir()
	l := New(dir, 0)
	add(t, l, 1, 3)
	add(t, l, 2, 3)
	add(t, New(dir, 0), 1, 4) // a successor
	add(t, l, 4, 5)           // the file has changed behind its back
	want(t, l, Filter{}, 1, 5, 0)
}

// A crash may leave any beginning of the last line. It costs that line alone,
// is told, and the next append repairs it.
func TestTornLine(t *testing.T) {
	dir := t.TempDir()
	l := New(dir, 0)
	add(t, l, 1, 3)
	whole, err := os.ReadFile(l.path)
	if err != nil {
		t.Fatal(err)
	}
	upTo2 := strings.Index(string(whole), `{"schema":1,"id":"a3"`)
	for cut := upTo2 + 1; cut < len(whole); cut += 1 + (len(whole)-upTo2)/40 {
		torn := New(t.TempDir(), 0)
		if err := os.WriteFile(torn.path, whole[:cut], 0o644); err != nil {
			t.Fatal(err)
		}
		want(t, torn, Filter{}, 1, 2, 1)
		add(t, torn, 3, 4)
		want(t, torn, Filter{}, 1, 4, 0)
	}
}

func TestDamagedLinesCostOnlyThemselves(t *testing.T) {
	l := New(t.TempDir(), 0)
	add(t, l, 1, 2)
	bad := []string{"", "\x00\x00\x00", "[]", `{"id":"x"}`, `{"schema":7,"id":"new"}`, `{"schema":1,"id":5}`, strings.Repeat("x", lineLimit+1)}
	f, err := os.OpenFile(l.path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(strings.Join(bad, "\n") + "\n"); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	add(t, l, 3, 4)
	want(t, l, Filter{}, 1, 4, 1)
	_, notes, _ := l.Read(Filter{})
	if !strings.HasPrefix(notes[0], "7 damaged of 11 lines left out, the first is line 3: ") {
		t.Errorf("told %q", notes[0])
	}
	// Trimming keeps what a newer modewatch wrote, as it counts lines.
	add(t, New(filepath.Dir(l.path), 8), 5, 5)
	want(t, l, Filter{}, 3, 5, 1)
}

func TestBound(t *testing.T) {
	dir := t.TempDir()
	if _, err := os.Stat("/dev/shm"); err == nil { // 1251 times fsync
		if dir, err = os.MkdirTemp("/dev/shm", "modewatch-history"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
	}
	l := New(dir, 0)
	add(t, l, 1, 1250)
	want(t, l, Filter{}, 1, 1250, 0)
	add(t, l, 1251, 1251)
	want(t, l, Filter{}, 252, 1251, 0)
	add(t, New(dir, 0), 1252, 1300)
	want(t, l, Filter{}, 252, 1300, 0)
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small tmpfs needs root")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("cannot mount a tmpfs here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	l := New(dir, 0)
	last, refused := 0, error(nil)
	for n := 1; refused == nil && n < 10000; n++ {
		if refused = l.Append(attempt(n)); refused == nil {
			last = n
		}
	}
	if !errors.Is(refused, syscall.ENOSPC) || refused.Error() != "cannot write "+l.path+": no space left on device" {
		t.Fatalf("after %d attempts: %v", last, refused)
	}
	want(t, l, Filter{}, 1, last, 0) // nothing of the refused line is left
	if err := l.Append(attempt(last + 1)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("again: %v", err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT, "size=256k"); err != nil {
		t.Fatal(err)
	}
	add(t, l, last+1, last+5)
	want(t, l, Filter{}, 1, last+5, 0)
}

// When the rewrite fails the attempt itself is safe, and repeating it repeats
// only the rewrite.
func TestTrimThatFails(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small tmpfs needs root")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("cannot mount a tmpfs here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	l := New(dir, 80)
	add(t, l, 1, 100)
	if err := os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, 24<<10), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(attempt(101)); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the rewrite: %v", err)
	}
	want(t, l, Filter{}, 1, 101, 0)
	if err := os.Remove(filepath.Join(dir, "ballast")); err != nil {
		t.Fatal(err)
	}
	add(t, l, 101, 101)
	want(t, l, Filter{}, 22, 101, 0)
}

func TestReadersBesideAWriter(t *testing.T) {
	l := New(t.TempDir(), 40)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			last := start
			for {
				select {
				case <-stop:
					return
				default:
				}
				got, notes, err := l.Read(Filter{Limit: 1})
				if err != nil || len(notes) > 0 || len(got) > 0 && got[0].Ended.Before(last) {
					t.Errorf("read %v, %v, %v", got, notes, err)
					return
				}
				if len(got) > 0 {
					last = got[0].Ended
				}
			}
		})
	}
	w := New(filepath.Dir(l.path), 40)
	for n := range 200 {
		if err := w.Append(attempt(n + 1)); err != nil {
			t.Error(err)
			break
		}
	}
	close(stop)
	readers.Wait()
}

func TestOnlyAPlainFile(t *testing.T) {
	for name, make := range map[string]func(string) error{
		"folder": func(p string) error { return os.Mkdir(p, 0o755) },
		"fifo":   func(p string) error { return unix.Mkfifo(p, 0o644) },
		"link":   func(p string) error { return os.Symlink("/dev/null", p) },
	} {
		l := New(t.TempDir(), 0)
		if err := make(l.path); err != nil {
			t.Fatal(err)
		}
		if err := l.Append(attempt(1)); err == nil {
			t.Errorf("%s was written", name)
		}
		if _, _, err := l.Read(Filter{}); err == nil {
			t.Errorf("%s was read", name)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"schema":1,"id":"a1"}`+"\n"), 1)
	f.Add([]byte("\n\n{\"schema\":1,\"id\":\"a1\"}\n{\"sch"), 0)
	f.Add([]byte("\x00\xff\n[]\n{}\n{\"schema\":2}\n"), 3)
	f.Fuzz(func(t *testing.T, data []byte, limit int) {
		l := New(t.TempDir(), 0)
		if err := os.WriteFile(l.path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		limit &= 7
		got, _, err := l.Read(Filter{Limit: limit})
		if err != nil || limit > 0 && len(got) > limit {
			t.Fatalf("%d attempts, %v", len(got), err)
		}
		mine := attempt(1)
		mine.ID = "mine, not the fuzzer's"
		if err := l.Append(mine); err != nil {
			t.Fatal(err)
		}
		after, notes, err := l.Read(Filter{})
		if err != nil || len(after) == 0 || after[len(after)-1].ID != mine.ID {
			t.Fatalf("the appended attempt is not the last: %v, %v", after, err)
		}
		for _, n := range notes {
			if strings.Contains(n, "torn") {
				t.Fatal("still torn after an append")
			}
		}
	})
}
