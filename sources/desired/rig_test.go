package desired

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// patienceForEvents bounds every wait of these tests.
const patienceForEvents = 20 * time.Second

// rig is a store that is watched, on a tmpfs where there is one.
type rig struct {
	*Store
	t    *testing.T
	said chan any // fsm.Wish, Command or fsm.Note, in order
	at   chan time.Time
	stop func()
}

func tmpfs(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "modewatch-desired-")
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "mode-controller")
}

func newStore(dir string) *Store {
	s := New(dir, os.Getgid())
	s.Owner = os.Getuid()
	return s
}

func start(t *testing.T, s *Store) *rig {
	t.Helper()
	r := &rig{Store: s, t: t, said: make(chan any, 1<<16), at: make(chan time.Time, 1<<16)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- s.Watch(ctx, Events{
			Wish:    func(w fsm.Wish) { r.at <- time.Now(); r.said <- w },
			Command: func(c fsm.Command) { r.said <- c },
			Bad:     func(n fsm.Note) { r.said <- n },
		})
	}()
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Watch: %v", err)
			}
		case <-time.After(patienceForEvents):
			t.Error("Watch did not end")
		}
	}
	t.Cleanup(r.stop)
	return r
}

// watched starts a fresh store and waits until it watches.
func watched(t *testing.T) *rig {
	t.Helper()
	r := start(t, newStore(tmpfs(t)))
	r.wait("the spool", func() bool { _, err := os.Stat(r.path(spoolName)); return err == nil })
	r.quiet()
	return r
}

func (r *rig) wait(what string, ok func() bool) {
	r.t.Helper()
	for end := time.Now().Add(patienceForEvents); !ok(); runtime.Gosched() {
		if time.Now().After(end) {
			r.t.Fatalf("%s: not seen in %v", what, patienceForEvents)
		}
	}
}

func (r *rig) next() any {
	r.t.Helper()
	select {
	case m := <-r.said:
		return m
	case <-time.After(patienceForEvents):
		r.t.Fatal("nothing was said")
		return nil
	}
}

func (r *rig) wish(m fsm.Mode) fsm.Wish {
	r.t.Helper()
	w, ok := r.next().(fsm.Wish)
	if !ok || w.Mode != m || w.Reason != fsm.ByFile || w.By != fsm.NoCaller || w.ID == "" {
		r.t.Fatalf("said %+v, want a wish for %s", w, m)
	}
	return w
}

func (r *rig) note(parts ...string) {
	r.t.Helper()
	said := r.next()
	n, ok := said.(fsm.Note)
	if !ok {
		r.t.Fatalf("said %+v, want a note", said)
	}
	for _, p := range parts {
		if !strings.Contains(n.Text, p) {
			r.t.Errorf("note %q does not say %q", n.Text, p)
		}
	}
}

// refused awaits the refusal that says parts. Of a writer that is slower than the
// hold time, what it has written so far may be refused before.
func (r *rig) refused(parts ...string) {
	r.t.Helper()
	for {
		said := r.next()
		n, ok := said.(fsm.Note)
		if !ok || !strings.HasPrefix(n.Text, "refused "+r.path(wordFile)) {
			r.t.Fatalf("said %+v, want a refusal", said)
		}
		if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(n.Text, p) }) {
			return
		}
		if !strings.Contains(n.Text, "more than 64") {
			r.t.Fatalf("note %q does not say %q", n.Text, parts)
		}
	}
}

// quiet proves that nothing is on its way: the kernel's queue is in order, so a
// request that is put in now comes after everything else.
func (r *rig) quiet() {
	r.t.Helper()
	id := NewID()
	r.must(r.Ask(fsm.Command{Verb: fsm.VerbCancel, ID: id}))
	said := r.next()
	if c, ok := said.(fsm.Command); !ok || c.ID != id {
		r.t.Fatalf("said %+v, want nothing before the sentinel", said)
	}
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) write(text string) {
	r.t.Helper()
	r.must(os.WriteFile(r.path(wordFile), []byte(text), 0o644))
}

func (r *rig) says(text string) {
	r.t.Helper()
	got, err := os.ReadFile(r.path(wordFile))
	if err != nil || string(got) != text {
		r.t.Fatalf("desired holds %q (%v), want %q", got, err, text)
	}
}

func (r *rig) mode(path string) string {
	r.t.Helper()
	fi, err := os.Lstat(path)
	r.must(err)
	return fmt.Sprint(fi.Mode())
}

func asked(m fsm.Mode) fsm.Wish {
	return fsm.Wish{ID: NewID(), Mode: m, Reason: fsm.ByRequest, By: fsm.Caller{UID: 1000, PID: 7}, At: time.Now().UTC()}
}
