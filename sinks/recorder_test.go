package sinks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sinks/history"
	"github.com/modewatch/modewatch/sinks/journal"
	"github.com/modewatch/modewatch/sinks/runfiles"
)

// rig is a recorder on real files with a journal that keeps its texts.
type rig struct {
	*Recorder
	t    *testing.T
	dirs runfiles.Dirs
	end  func() error

	mu   sync.Mutex
	said []string
	hear func(journal.Entry) // called by the journal's writer
}

// newRig makes a recorder that start begins to run.
func newRig(t *testing.T, prepare func(runfiles.Dirs)) *rig {
	t.Helper()
	t.Setenv("NOTIFY_SOCKET", "")
	root := t.TempDir()
	r := &rig{t: t, dirs: runfiles.Dirs{Run: filepath.Join(root, "run"), Lib: filepath.Join(root, "lib")}}
	for _, dir := range []string{r.dirs.Run, r.dirs.Lib} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if prepare != nil {
		prepare(r.dirs)
	}
	r.Recorder = NewRecorderWith(r.dirs, 0, journal.New(r.put, zerolog.InfoLevel))
	return r
}

func (r *rig) put(e journal.Entry) error {
	if r.hear != nil {
		r.hear(e)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, e.Text)
	return nil
}

func (r *rig) start() *rig {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.end = sync.OnceValue(func() error { cancel(); return <-done })
	r.t.Cleanup(func() { _ = r.end() })
	return r
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) flush() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return r.Flush(ctx)
}

func (r *rig) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.said, "\n")
}

// ids returns the attempts of the history.
func (r *rig) ids() (out []string) {
	r.t.Helper()
	list, notes, err := history.New(r.dirs.Lib, 0).Read(history.Filter{})
	if err != nil || notes != nil {
		r.t.Fatal(notes, err)
	}
	for _, a := range list {
		out = append(out, a.ID)
	}
	return out
}

func (r *rig) mount(dir string) {
	r.t.Helper()
	if os.Getuid() != 0 {
		r.t.Skip("mounting a small tmpfs needs root")
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		r.t.Skipf("cannot mount a tmpfs here: %v", err)
	}
	r.t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

// fill leaves no room in dir; removing the file it names frees it.
func (r *rig) fill(dir string) string {
	r.t.Helper()
	path := filepath.Join(dir, "ballast")
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o644); !errors.Is(err, syscall.ENOSPC) {
		r.t.Fatal(err)
	}
	return path
}

var begun = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func attempt(n int) fsm.Attempt {
	return fsm.Attempt{Schema: fsm.Schema, ID: fmt.Sprintf("a%d", n), From: fsm.Desktop, To: fsm.Compute, Final: fsm.Compute, Outcome: fsm.Reached,
		Begun: begun, Ended: begun.Add(time.Second), Verdicts: []fsm.Verdict{{Guard: fmt.Sprintf("g%d", n), OK: true}}}
}

// finish tells what the engine tells at an attempt's end.
func (r *rig) finish(n int) {
	a := attempt(n)
	r.Record(fsm.AttemptEnded{Attempt: a})
	r.Publish(snapshot(&a))
}

func snapshot(last *fsm.Attempt) fsm.Snapshot {
	return fsm.Snapshot{Schema: fsm.Schema, At: begun, State: fsm.AtCompute, Observation: fsm.Observation{Mode: fsm.Compute}, Last: last}
}

func TestAnEndIsOnDiskInItsOrder(t *testing.T) {
	r := newRig(t, nil)
	var early []string // files that were there before the journal was told
	r.hear = func(e journal.Entry) {
		entries, _ := os.ReadDir(r.dirs.Run)
		for _, f := range entries {
			early = append(early, f.Name()+" before "+e.Text)
		}
	}
	r.finish(1)
	r.start()
	if err := r.flush(); err != nil {
		t.Fatal(err)
	}
	if early != nil {
		t.Errorf("the journal was told late: %v", early)
	}
	s, err := r.dirs.ReadState()
	if err != nil || s.Last == nil || s.Last.ID != "a1" {
		t.Errorf("state %+v, %v", s, err)
	}
	a, err := r.dirs.ReadTransition()
	if err != nil || a == nil || a.ID != "a1" {
		t.Errorf("last transition %+v, %v", a, err)
	}
	g, err := r.dirs.ReadGuards()
	if err != nil || g == nil || len(g.Verdicts) != 1 || g.Verdicts[0].Guard != "g1" || !g.At.Equal(a.Ended) {
		t.Errorf("last guards %+v, %v", g, err)
	}
	if word, err := os.ReadFile(filepath.Join(r.dirs.Run, "current")); err != nil || string(word) != "compute\n" {
		t.Errorf("current %q, %v", word, err)
	}
	if got := r.text(); got != "compute reached in 1.0 s" {
		t.Errorf("journal: %s", got)
	}
	if err := r.end(); err != nil {
		t.Error(err)
	}
}

// Whoever reads in state.json that an attempt has ended finds it in the history
// and in last-transition.json: this is what the command line waits for.
func TestStateNeverRunsAheadOfTheHistory(t *testing.T) {
	r := newRig(t, nil).start()
	const all = 60
	seen := make(chan error, 1)
	go func() { seen <- r.watch(all) }()
	for n := 1; n <= all; n++ {
		r.Record(fsm.Note{What: fsm.NoteConfig, Text: "between"})
		r.finish(n)
		if n%7 == 0 {
			_ = r.flush()
		}
	}
	if err := <-seen; err != nil {
		t.Error(err)
	}
}

func (r *rig) watch(last int) error {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		s, err := r.dirs.ReadState()
		if errors.Is(err, os.ErrNotExist) || s.Last == nil {
			continue
		}
		if err != nil {
			return err
		}
		list, _, err := history.New(r.dirs.Lib, 0).Read(history.Filter{})
		if err != nil || !slices.ContainsFunc(list, func(a fsm.Attempt) bool { return a.ID == s.Last.ID }) {
			return fmt.Errorf("state tells of %s, the history has %d attempts without it, %v", s.Last.ID, len(list), err)
		}
		a, err := r.dirs.ReadTransition()
		if err != nil || a == nil || len(a.ID) < len(s.Last.ID) {
			return fmt.Errorf("state tells of %s, last-transition.json of %+v, %v", s.Last.ID, a, err)
		}
		if s.Last.ID == fmt.Sprintf("a%d", last) {
			return nil
		}
	}
	return errors.New("the last attempt was never shown")
}

func TestOnlyTheNewestSnapshotIsWritten(t *testing.T) {
	r := newRig(t, nil)
	for n := range 1000 { // nobody writes yet: none of these may block
		s := snapshot(nil)
		s.PID = n
		r.Publish(s)
	}
	r.start()
	if err := r.flush(); err != nil {
		t.Fatal(err)
	}
	if s, err := r.dirs.ReadState(); err != nil || s.PID != 999 {
		t.Errorf("state %+v, %v", s, err)
	}
}

// An attempt that only gets on is shown a little later, and what is news at once.
func TestStepsAreWrittenTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		shows := func(what string, step int) {
			t.Helper()
			synctest.Wait()
			s, err := r.dirs.ReadState()
			if err != nil || s.Attempt == nil && step >= 0 || s.Attempt != nil && s.Attempt.Step != step {
				t.Errorf("%s: %+v, %v; want step %d", what, s.Attempt, err, step)
			}
		}
		under := func(id string, step int) fsm.Snapshot {
			s := snapshot(nil)
			s.Attempt = &fsm.Running{ID: id, Step: step}
			return s
		}
		r.start()
		r.Publish(under("a1", 0))
		shows("the begin", 0)
		for n := 1; n <= 5; n++ {
			r.Publish(under("a1", n))
			time.Sleep(together / 6)
			shows("a short step", 0)
		}
		time.Sleep(together / 2)
		shows("a step that lasts", 5)
		r.Publish(under("a1", 6))
		r.Publish(under("a2", 0))
		shows("another attempt", 0)
		r.Publish(under("a2", 1))
		r.Publish(snapshot(nil))
		shows("rest", -1)
	})
}

func TestCurrentIsTheWordOfWhatIsDone(t *testing.T) {
	for want, s := range map[fsm.Mode]fsm.Snapshot{
		fsm.Compute:         {State: fsm.AtCompute, Observation: fsm.Observation{Mode: fsm.Compute}},
		fsm.Unknown:         {State: fsm.Boot, Observation: fsm.Observation{Mode: fsm.Unknown}},
		"transitioning":     {State: fsm.AtDesktop, Attempt: &fsm.Running{}, Observation: fsm.Observation{Mode: fsm.Desktop}},
		"failed-transition": {State: fsm.FailedTransition, Observation: fsm.Observation{Mode: fsm.Desktop}},
	} {
		if got := fsm.Mode(s.Current()); got != want {
			t.Errorf("%+v is %s, want %s", s, got, want)
		}
	}
}

func TestFullHistoryDiskIsToldOnceAndMadeGood(t *testing.T) {
	r := newRig(t, nil)
	r.mount(r.dirs.Lib)
	ballast := r.fill(r.dirs.Lib)
	r.start()
	for n := 1; n <= 3; n++ {
		r.finish(n)
		if err := r.flush(); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("flush with a full disk: %v", err)
		}
	}
	if s, err := r.dirs.ReadState(); err != nil || s.Last.ID != "a3" {
		t.Errorf("readers are not shown the end: %+v, %v", s.Last, err)
	}
	if a, err := r.dirs.ReadTransition(); err != nil || a.ID != "a3" {
		t.Errorf("last transition %+v, %v", a, err)
	}
	want := "cannot write " + filepath.Join(r.dirs.Lib, history.Name) + ": no space left on device"
	if got := strings.Count(r.text(), want); got != 1 {
		t.Errorf("told %d times:\n%s", got, r.text())
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	r.Record(fsm.Note{What: fsm.NoteConfig, Text: "the next record"})
	if err := r.flush(); err != nil {
		t.Fatal(err)
	}
	if got := r.ids(); !slices.Equal(got, []string{"a1", "a2", "a3"}) {
		t.Errorf("history holds %v", got)
	}
	if got := r.text(); !strings.HasSuffix(got, "the history is written again") {
		t.Errorf("journal:\n%s", got)
	}
}

func TestFullRunDisk(t *testing.T) {
	r := newRig(t, nil)
	r.mount(r.dirs.Run)
	ballast := r.fill(r.dirs.Run)
	r.start()
	r.finish(1)
	if err := r.flush(); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("flush with a full disk: %v", err)
	}
	if got := r.ids(); !slices.Equal(got, []string{"a1"}) {
		t.Errorf("history holds %v", got)
	}
	for _, name := range []string{"last-transition.json", "last-guards.json", "current", "state.json"} {
		if n := strings.Count(r.text(), "/"+name+": no space left on device"); n != 1 {
			t.Errorf("%s was told %d times:\n%s", name, n, r.text())
		}
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := r.flush(); err != nil {
		t.Fatal(err)
	}
	if s, err := r.dirs.ReadState(); err != nil || s.Last.ID != "a1" {
		t.Errorf("state %+v, %v", s, err)
	}
	if g, err := r.dirs.ReadGuards(); err != nil || g == nil {
		t.Errorf("guards %+v, %v", g, err)
	}
}

func TestBacklogIsBounded(t *testing.T) {
	r := newRig(t, func(d runfiles.Dirs) {
		if err := os.Mkdir(filepath.Join(d.Lib, history.Name), 0o755); err != nil { // which cannot be appended to
			t.Fatal(err)
		}
	})
	for n := 1; n <= backlogMost+2; n++ {
		r.finish(n)
	}
	r.start()
	if err := r.flush(); !errors.Is(err, syscall.EISDIR) {
		t.Fatalf("flush: %v", err)
	}
	if err := os.Remove(filepath.Join(r.dirs.Lib, history.Name)); err != nil {
		t.Fatal(err)
	}
	if err := r.end(); err != nil { // the end tries again
		t.Fatal(err)
	}
	if got := r.ids(); len(got) != backlogMost || got[0] != "a3" {
		t.Errorf("history holds %d attempts from %s on", len(got), got[0])
	}
	for _, id := range []string{"a1", "a2"} {
		if !strings.Contains(r.text(), "cannot keep attempt "+id+" for the history") {
			t.Errorf("the loss of %s is not told", id)
		}
	}
}

// An attempt without verdicts says nothing about guards.
func TestGuardsAreKeptWhereNoneWereJudged(t *testing.T) {
	r := newRig(t, nil).start()
	r.finish(1)
	a := attempt(2)
	a.Verdicts = nil
	r.Record(fsm.AttemptEnded{Attempt: a})
	if err := r.flush(); err != nil {
		t.Fatal(err)
	}
	if g, err := r.dirs.ReadGuards(); err != nil || g.Verdicts[0].Guard != "g1" {
		t.Errorf("guards %+v, %v", g, err)
	}
}

func TestAheadIsOnDiskWhenItReturns(t *testing.T) {
	r := newRig(t, nil) // needs no writer
	in := fsm.Intent{Schema: fsm.Schema, Boot: "b", ID: "a1"}
	if err := r.Ahead(&in); err != nil {
		t.Fatal(err)
	}
	if got, err := r.dirs.ReadIntent(); err != nil || got == nil || got.ID != "a1" {
		t.Errorf("%+v, %v", got, err)
	}
	if err := os.RemoveAll(r.dirs.Lib); err != nil {
		t.Fatal(err)
	}
	if err := r.Ahead(&in); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a folder: %v", err)
	}
}

// The intent goes after the record of its attempt is there, unless the next has
// taken its place.
func TestTheIntentOutlivesTheRecord(t *testing.T) {
	a1, a2 := fsm.Intent{Schema: fsm.Schema, Boot: "b", ID: "a1"}, fsm.Intent{Schema: fsm.Schema, Boot: "b", ID: "a2"}
	for _, c := range []struct {
		name string
		next *fsm.Intent
		want string
	}{{"alone", nil, ""}, {"replaced", &a2, "a2"}} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, nil)
			left := "nothing"
			r.hear = func(journal.Entry) { // an end is told of first, and only then kept
				if in, err := r.dirs.ReadIntent(); err == nil && in != nil {
					left = in.ID
				}
			}
			r.must(r.Ahead(&a1))
			r.Record(fsm.AttemptEnded{Attempt: fsm.Attempt{Schema: fsm.Schema, ID: "a1", Outcome: fsm.Reached}})
			r.must(r.Ahead(nil))
			if c.next != nil {
				r.must(r.Ahead(c.next))
			}
			r.start()
			r.must(r.end())
			want := c.want
			if want == "" {
				want = "a1"
			}
			if left != want {
				t.Errorf("when the end was told there was %s", left)
			}
			got, err := r.dirs.ReadIntent()
			if err != nil || (got == nil) != (c.want == "") || got != nil && got.ID != c.want {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// A journal that hangs delays an end by its lead and stops nothing.
func TestHungJournalDoesNotKeepTheFiles(t *testing.T) {
	r := newRig(t, nil)
	release := make(chan struct{})
	r.hear = func(journal.Entry) { <-release }
	r.start()
	r.finish(1)
	deadline := time.Now().Add(10 * time.Second)
	for {
		if s, err := r.dirs.ReadState(); err == nil && s.Last != nil && s.Last.ID == "a1" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the end is not shown")
		}
		time.Sleep(5 * time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := r.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("flush: %v", err)
	}
	if err := r.end(); err == nil || !strings.Contains(err.Error(), "the journal hangs") {
		t.Errorf("end: %v", err)
	}
	close(release)
	if err := r.flush(); err == nil {
		t.Error("flush after the end of the writer")
	}
}

func TestLevelIsChecked(t *testing.T) {
	if _, err := NewRecorder(runfiles.Dirs{}, 0, "loud"); err == nil {
		t.Error("loud is a level")
	}
	if r, err := NewRecorder(runfiles.Dirs{}, 0, "info"); err != nil || r == nil {
		t.Error(err)
	}
}

// The documents have the names of section 21.2.
func TestNamesOfLastTransition(t *testing.T) {
	data, err := json.Marshal(attempt(1))
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"schema", "requested", "prior", "final", "success", "guards", "actions", "begun", "ended"} {
		if _, ok := doc[name]; !ok {
			t.Errorf("no %s in %s", name, data)
		}
	}
}

// "history loses no finished attempt": the intent of the next one takes the place of the
// last trace of an attempt only after its record is kept, however long a journal hangs.
func TestAnAttemptBeginsAfterTheRecordOfTheOneBefore(t *testing.T) {
	r := newRig(t, nil)
	hang := make(chan struct{})
	r.hear = func(journal.Entry) { <-hang }
	r.start()
	defer close(hang)
	r.must(r.Ahead(&fsm.Intent{ID: "a-1", Boot: "b"}))
	r.Record(fsm.AttemptEnded{Attempt: fsm.Attempt{ID: "a-1", Begun: time.Now(), Ended: time.Now()}})
	r.must(r.Ahead(&fsm.Intent{ID: "a-2", Boot: "b"}))
	if got := r.ids(); !slices.Equal(got, []string{"a-1"}) {
		t.Errorf("the intent of a-2 is on disk, the history has %v", got)
	}
}

// Who is told after the writing is told all of it, in one piece, and finds it on disk.
func TestWhatWasWrittenIsToldAfterwards(t *testing.T) {
	r := newRig(t, nil)
	told := make(chan string, 16)
	r.Told = func(edges []fsm.Edge, ends []fsm.Attempt, s *fsm.Snapshot) {
		if len(edges)+len(ends) == 0 {
			return
		}
		kept, err := r.dirs.ReadState()
		told <- fmt.Sprint(len(edges), len(ends), s != nil, err == nil && kept.State == fsm.AtCompute, r.ids())
	}
	a := attempt(1)
	r.Record(fsm.Edge{Row: fsm.Row{On: fsm.Begin, From: fsm.AtDesktop, To: fsm.Transitioning}})
	r.Record(fsm.Edge{Row: fsm.Row{On: fsm.ReachedMode(fsm.Compute), From: fsm.Transitioning, To: fsm.AtCompute}})
	r.Record(fsm.AttemptEnded{Attempt: a})
	r.Publish(snapshot(&a))
	r.start()
	if got := <-told; got != "2 1 true true [a1]" {
		t.Errorf("told was %s", got)
	}
}
