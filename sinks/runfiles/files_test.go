package runfiles

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/modewatch/modewatch/fsm"
)

var at = time.Date(2026, 11, 22, 12, 3, 4, 0, time.UTC)

func attempt() fsm.Attempt {
	return fsm.Attempt{Schema: fsm.Schema, ID: "a1", Kind: fsm.Transition, From: fsm.Desktop, To: fsm.Compute, Final: fsm.Compute,
		Wish:    fsm.Wish{ID: "w1", Mode: fsm.Compute, Reason: fsm.ByRequest, By: fsm.Caller{UID: 1000}, At: at},
		Outcome: fsm.Reached, Success: true, Begun: at, Ended: at.Add(time.Second),
		Verdicts: []fsm.Verdict{{Guard: "check_audio_idle", OK: true, Reason: "nobody", Hard: true}},
		Steps:    []fsm.StepResult{{Op: fsm.Op{Verb: fsm.Isolate, Arg: "compute.target"}, Result: "done", Began: at, Ended: at}}}
}

func snapshot(pad int) fsm.Snapshot {
	a := attempt()
	return fsm.Snapshot{Schema: fsm.Schema, At: at, PID: 7, Boot: "boot", State: fsm.AtCompute, Since: at,
		Observation: fsm.Observation{Mode: fsm.Compute, Evidence: []string{strings.Repeat("x", pad)}}, Wish: &a.Wish, Last: &a}
}

func intent() fsm.Intent {
	return fsm.Intent{Schema: fsm.Schema, Boot: "boot", ID: "a1", Step: 1, Begun: at,
		Plan: fsm.Plan{Kind: fsm.Transition, From: fsm.Desktop, To: fsm.Compute,
			Steps: []fsm.Step{{Op: fsm.Op{Verb: fsm.Isolate, Arg: "compute.target"}, Deadline: time.Minute, Final: true,
				Undo: fsm.Op{Verb: fsm.Isolate, Arg: "desktop.target"}}}}}
}

func currentOf(t *testing.T, d Dirs) (string, time.Time) {
	t.Helper()
	word, err := os.ReadFile(d.run(currentName))
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(d.run(currentName))
	if err != nil {
		t.Fatal(err)
	}
	return string(word), info.ModTime()
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	d := dirs(t)
	check := func(name string, err error, got, want any) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", name, err, got, want)
		}
	}
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	s, a, i, v := snapshot(3), attempt(), intent(), attempt().Verdicts
	for _, err := range []error{d.WriteState(s), d.WriteTransition(a), d.WriteGuards(at, v), d.WriteIntent(i), d.WriteCurrent(fsm.Compute, at)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	gotS, err := d.ReadState()
	check("state", err, gotS, s)
	gotA, err := d.ReadTransition()
	check("transition", err, gotA, &a)
	gotG, err := d.ReadGuards()
	check("guards", err, gotG, &Guards{fsm.Schema, at, v})
	gotI, err := d.ReadIntent()
	check("intent", err, gotI, &i)
	word, when := currentOf(t, d)
	check("current", nil, word, "compute\n")
	check("time of current", nil, when.UTC(), at)
	for _, path := range []string{d.run(stateName), d.run(currentName), d.run(transitionName), d.run(guardsName), d.lib(intentName)} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("%s: mode %v, %v", path, info.Mode(), err)
		}
	}
	wantFiles(t, d.Run, currentName, guardsName, transitionName, stateName)
}

func TestNothingThereYet(t *testing.T) {
	d := dirs(t)
	if _, err := d.ReadState(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("state: %v", err)
	}
	a, errA := d.ReadTransition()
	g, errG := d.ReadGuards()
	i, errI := d.ReadIntent()
	if err := errors.Join(errA, errG, errI, d.ClearIntent()); err != nil || a != nil || g != nil || i != nil {
		t.Errorf("%v %v %v: %v", a, g, i, err)
	}
}

func TestCurrentIsTouchedNotReplacedWhileTheWordStays(t *testing.T) {
	d := dirs(t)
	inode := func() uint64 {
		info, err := os.Stat(d.run(currentName))
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Ino
	}
	if err := d.WriteCurrent(fsm.Desktop, at); err != nil {
		t.Fatal(err)
	}
	first := inode()
	if err := d.WriteCurrent(fsm.Desktop, at.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, when := currentOf(t, d); !when.Equal(at.Add(time.Hour)) || inode() != first {
		t.Errorf("time %v, inode %d then %d", when, first, inode())
	}
	if err := d.WriteCurrent(fsm.Unknown, at); err != nil {
		t.Fatal(err)
	}
	if word, _ := currentOf(t, d); word != "unknown\n" {
		t.Errorf("the word is %q", word)
	}
}

// damagedFiles are contents that no reader may take for good.
var damagedFiles = map[string]struct{ text, want string }{
	"empty":      {"", "it is empty"},
	"torn":       {`{"schema":1,"id":"a1","boo`, "not valid JSON"},
	"binary":     {"\x00\xff\xfe", "not valid JSON"},
	"two":        {`{"schema":1}{"schema":1}`, "not valid JSON"},
	"array":      {`[1]`, "not valid JSON"},
	"null":       {`null`, "no schema"},
	"none":       {`{}`, "no schema"},
	"newer":      {`{"schema":2,"id":{"new":"shape"}}`, "a newer modewatch wrote it"},
	"wrong type": {`{"schema":1,"id":[],"boot":7,"state":{},"at":5,"verdicts":3}`, "does not hold what it should"},
	"huge":       {strings.Repeat(" ", readLimit+1), "larger than"},
}

func TestDamagedFilesAreNotBelieved(t *testing.T) {
	for name, c := range damagedFiles {
		t.Run(name, func(t *testing.T) {
			d := dirs(t)
			readers := map[string]func() error{
				stateName:      func() error { _, err := d.ReadState(); return err },
				transitionName: func() error { _, err := d.ReadTransition(); return err },
				guardsName:     func() error { _, err := d.ReadGuards(); return err },
			}
			for file, read := range readers {
				if err := os.WriteFile(d.run(file), []byte(c.text), 0o644); err != nil {
					t.Fatal(err)
				}
				err := read()
				if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), d.run(file)) {
					t.Errorf("%s: %v", file, err)
				}
			}
		})
	}
}

func TestOnlyPlainFilesAreRead(t *testing.T) {
	d := dirs(t)
	good := filepath.Join(d.Lib, "elsewhere.json")
	if err := writeJSON(good, snapshot(1), false); err != nil {
		t.Fatal(err)
	}
	make := map[string]func(path string) error{
		"link":   func(p string) error { return os.Symlink(good, p) },
		"fifo":   func(p string) error { return unix.Mkfifo(p, 0o644) },
		"folder": func(p string) error { return os.Mkdir(p, 0o755) },
	}
	for name, f := range make {
		if err := f(d.run(stateName)); err != nil {
			t.Fatal(err)
		}
		if _, err := d.ReadState(); !errors.As(err, &damaged{}) {
			t.Errorf("%s: %v", name, err)
		}
		if err := os.Remove(d.run(stateName)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReadersNeverSeeHalfAFile(t *testing.T) {
	d := dirs(t)
	if err := d.WriteState(snapshot(1)); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if s, err := d.ReadState(); err != nil || s.PID != 7 || s.Last == nil {
					t.Errorf("read %+v, %v", s, err)
					return
				}
			}
		})
	}
	for n := range 300 {
		if err := d.WriteState(snapshot(n * 97 % 20000)); err != nil {
			t.Error(err)
			break
		}
	}
	close(stop)
	readers.Wait()
}

func TestAnUpdatedIntentIsReadBack(t *testing.T) {
	d := Dirs{Run: t.TempDir(), Lib: t.TempDir()}
	in := fsm.Intent{Boot: "b", ID: "a", Plan: fsm.Plan{Steps: []fsm.Step{{}, {}}}, Step: 1}
	if err := d.WriteIntent(in); err != nil {
		t.Fatal(err)
	}
	in.Step = 2
	if err := d.UpdateIntent(in); err != nil {
		t.Fatal(err)
	}
	if got, err := d.ReadIntent(); err != nil || got == nil || got.Step != 2 {
		t.Errorf("read %+v, %v", got, err)
	}
	in.Step = 3
	if err := d.UpdateIntent(in); err == nil {
		t.Error("a step beyond the plan was written")
	}
}
