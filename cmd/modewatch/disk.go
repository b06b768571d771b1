package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/modewatch/modewatch/cmd/modewatch/early"
	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sinks/history"
	"github.com/modewatch/modewatch/sinks/runfiles"
	"github.com/modewatch/modewatch/sources/desired"
	"github.com/modewatch/modewatch/sources/procs"
)

// files reads what the controller keeps on disk. A file that is not there is
// nothing known, not an error.
type files struct{ run, lib string }

func (f files) dirs() runfiles.Dirs { return runfiles.Dirs{Run: f.run, Lib: f.lib} }

// live returns what the running controller says of itself. It is false where
// nobody holds the lock or the snapshot is not the holder's.
func (f files) live() (view, bool) {
	h, ok := f.holder()
	if !ok {
		return view{}, false
	}
	s, err := f.dirs().ReadState()
	if err != nil || h.PID != s.PID {
		return view{}, false
	}
	return view{Snapshot: s, Live: true, Once: byController(h.Who)}, true
}

// holder tells who holds the lock, and false where nobody does, or where one who
// has just taken it has not said so yet.
func (f files) holder() (runfiles.Holder, bool) {
	var h runfiles.Holder
	if alive, err := f.dirs().Alive(); err != nil || !alive {
		return h, false
	}
	data, err := os.ReadFile(filepath.Join(f.run, "reconcile.pid"))
	if err != nil || json.Unmarshal(data, &h) != nil {
		return h, false
	}
	return h, h.Schema == fsm.Schema && early.Exists(h.PID)
}

// last returns the last finished attempt, nil if none is on record.
func (f files) last() (*fsm.Attempt, error) { return f.dirs().ReadTransition() }

// history returns finished attempts, newest last, and in words what of the
// record could not be read.
func (f files) history(want history.Filter) ([]fsm.Attempt, []string, error) {
	return history.New(f.lib, 0).Read(want)
}

// store is the client's side of the wish on disk. The files are trusted if they
// are root's, or those of whoever owns the directory.
func (f files) store() *desired.Store {
	s := desired.New(f.run, 0)
	s.Owner = ownerOf(f.run)
	return s
}

// holds returns what keeps this host in its mode, with who made it.
func (f files) holds() ([]fsm.Hold, error) {
	s := f.store()
	s.Who = procs.New("/proc", nil).Caller
	return s.Holds(context.Background())
}

// desired returns the mode that the file desired names, "" if it names none.
func (f files) desired() (fsm.Mode, error) {
	if _, err := os.Lstat(filepath.Join(f.run, "desired")); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return f.store().Word()
}

// wish returns the wish that stands, nil if none does.
func (f files) wish() (*fsm.Wish, error) {
	w, err := f.store().Standing()
	if err != nil {
		return nil, fmt.Errorf("cannot tell whose the wish is: %w", err)
	}
	return w, nil
}
