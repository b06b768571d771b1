package soak

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sinks"
	"github.com/modewatch/modewatch/sinks/history"
	"github.com/modewatch/modewatch/sinks/journal"
	"github.com/modewatch/modewatch/sinks/runfiles"
)

// One of so many trials keeps its records in real files, by the recorder of the program:
// what a controller finds at its start is what its reader reads. The others do with the
// disk in memory, which is faster.
const filesOf = 16

// files is the recorder of one controller and its folders.
type files struct {
	dirs runfiles.Dirs
	rec  *sinks.Recorder
	end  context.CancelFunc
	over chan struct{}
}

// memory is where the folders are: on no disk, where the host has such a place.
func memory() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return ""
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// folders makes new ones for the next controller.
func (w *world) folders() {
	if w.root == "" {
		root, err := os.MkdirTemp(memory(), "modewatch-soak-")
		must(err)
		w.root = root
	}
	w.copies++
	at := filepath.Join(w.root, strconv.Itoa(w.copies))
	w.dirs = runfiles.Dirs{Run: filepath.Join(at, "run"), Lib: filepath.Join(at, "lib")}
	must(errors.Join(os.MkdirAll(w.dirs.Run, 0o755), os.MkdirAll(w.dirs.Lib, 0o755)))
}

// open gives a controller a recorder, and reads what its predecessor left as the program
// does. The caller holds the lock.
func (w *world) open() *files {
	if !w.script.Files {
		return nil
	}
	if w.root == "" {
		w.folders()
		must(w.dirs.WriteState(fsm.Snapshot{State: w.disk.state, Boot: w.disk.boot, At: time.Now()}))
	}
	w.read()
	f := &files{dirs: w.dirs, over: make(chan struct{})}
	f.rec = sinks.NewRecorderWith(w.dirs, 0, journal.New(func(journal.Entry) error { return nil }, zerolog.InfoLevel))
	ctx, end := context.WithCancel(context.Background())
	f.end = end
	go func() { defer close(f.over); _ = f.rec.Run(ctx) }()
	w.figs.files++
	return f
}

// read takes what is on disk from the files. The caller holds the lock.
func (w *world) read() {
	d := &w.disk
	d.posted = nil
	bad := func(err error) {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.fail("filesKeepTheStory", "%v", err)
		}
	}
	var err error
	d.intent, err = w.dirs.ReadIntent()
	bad(err)
	d.last, err = w.dirs.ReadTransition()
	bad(err)
	before, err := w.dirs.ReadState()
	bad(err)
	if d.state, d.boot = before.State, before.Boot; d.state == "" {
		d.state = fsm.Boot
	}
	d.history, _, err = history.New(w.dirs.Lib, 0).Read(history.Filter{})
	bad(err)
}

// killed is what kill -9 leaves: the files as they are now. What the recorder of the dead
// writes after that goes to a place where nobody looks. They are copied in the order
// opposite to that of the writer: each is at least as new as what was copied before it.
// The caller holds the lock.
func (w *world) killed(f *files) {
	w.folders()
	for _, kind := range [][2]string{{f.dirs.Run, w.dirs.Run}, {f.dirs.Lib, w.dirs.Lib}} {
		for _, name := range []string{"state.json", "current", "intent.json", history.Name, "last-guards.json", "last-transition.json"} {
			data, err := os.ReadFile(filepath.Join(kind[0], name))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			must(errors.Join(err, os.WriteFile(filepath.Join(kind[1], name), data, 0o644)))
		}
	}
	f.end()
	w.read()
}

// closed ends the recorder of a controller that has ended, and holds what it wrote
// against what was recorded: "history loses no finished attempt", and the files tell the
// story in the order of D6. The caller holds no lock.
func (w *world) closed(f *files) {
	if f == nil {
		return
	}
	f.end()
	<-f.over
	w.mu.Lock()
	defer w.mu.Unlock()
	w.disk.flush(len(w.disk.posted), false)
	want, intent := idsOf(w.disk.history), intentID(w.disk.intent)
	w.read()
	w.hold("filesKeepTheStory")
	if got := idsOf(w.disk.history); !slices.Equal(got, want) {
		w.fail("filesKeepTheStory", "the history has %v, recorded were %v", got, want)
	}
	if got := intentID(w.disk.intent); got != intent {
		w.fail("filesKeepTheStory", "the record %q is left, not %q", got, intent)
	}
	if n := len(want); n > 0 && w.disk.last != nil && w.disk.last.ID+" "+string(w.disk.last.Outcome) != want[n-1] {
		w.fail("filesKeepTheStory", "last-transition.json tells of %s, not of %s", w.disk.last.ID, want[n-1])
	}
}

func idsOf(list []fsm.Attempt) (out []string) {
	for _, a := range list {
		out = append(out, a.ID+" "+string(a.Outcome))
	}
	return out
}
