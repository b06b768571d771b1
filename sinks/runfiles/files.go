package runfiles

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// Guards is last-guards.json: the verdicts of the last judging (section 21.2).
type Guards struct {
	Schema   int           `json:"schema"`
	At       time.Time     `json:"at"`
	Verdicts []fsm.Verdict `json:"verdicts"`
}

// WriteState replaces state.json.
func (d Dirs) WriteState(s fsm.Snapshot) error {
	s.Schema = fsm.Schema
	return writeJSON(d.run(stateName), s, false)
}

// ReadState reads state.json. If there is none, errors.Is(err, fs.ErrNotExist).
// What it says holds only while Alive.
func (d Dirs) ReadState() (fsm.Snapshot, error) {
	var s fsm.Snapshot
	err := readJSON(d.run(stateName), &s)
	return s, err
}

// WriteCurrent sets the word of the file current, a mode's or that of a state in
// no mode, and its time to that of the observation. The file is replaced only if
// the word changes (D19). The word holds only while Alive.
func (d Dirs) WriteCurrent(m fsm.Mode, at time.Time) error {
	path := d.run(currentName)
	word := []byte(string(m) + "\n")
	if old, err := readFile(path); err != nil || string(old) != string(word) {
		if err := Replace(path, word, false); err != nil {
			return err
		}
	}
	if err := os.Chtimes(path, at, at); err != nil {
		return fmt.Errorf("cannot set the time of %s: %w", path, Cause(err))
	}
	return nil
}

// WriteTransition replaces last-transition.json.
func (d Dirs) WriteTransition(a fsm.Attempt) error {
	a.Schema = fsm.Schema
	return writeJSON(d.run(transitionName), a, false)
}

// ReadTransition reads last-transition.json; nil if there is none.
func (d Dirs) ReadTransition() (*fsm.Attempt, error) { return read[fsm.Attempt](d.run(transitionName)) }

// WriteGuards replaces last-guards.json.
func (d Dirs) WriteGuards(at time.Time, verdicts []fsm.Verdict) error {
	return writeJSON(d.run(guardsName), Guards{fsm.Schema, at, verdicts}, false)
}

// ReadGuards reads last-guards.json; nil if there is none.
func (d Dirs) ReadGuards() (*Guards, error) { return read[Guards](d.run(guardsName)) }

func read[T any](path string) (*T, error) {
	v := new(T)
	err := readJSON(path, v)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}
