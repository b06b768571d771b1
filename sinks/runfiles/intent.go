package runfiles

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/modewatch/modewatch/fsm"
)

// WriteIntent puts the write-ahead record on disk and returns when it is safe
// there. If it fails the caller must not do the step (D6).
func (d Dirs) WriteIntent(i fsm.Intent) error {
	i.Schema = fsm.Schema
	if err := checkIntent(i); err != nil {
		return fmt.Errorf("cannot write %s: %w", d.lib(intentName), err)
	}
	return writeJSON(d.lib(intentName), i, true)
}

// UpdateIntent replaces the record of an attempt that WriteIntent has put on disk
// before. It does not wait for the disk: how far an attempt has come matters to a
// successor in the same boot alone, which finds it all the same; what a loss of
// power may cost is the last steps of an attempt that is then only recorded (D11).
func (d Dirs) UpdateIntent(i fsm.Intent) error {
	i.Schema = fsm.Schema
	if err := checkIntent(i); err != nil {
		return fmt.Errorf("cannot write %s: %w", d.lib(intentName), err)
	}
	return writeJSON(d.lib(intentName), i, false)
}

// ClearIntent removes the write-ahead record: no attempt is under way.
func (d Dirs) ClearIntent() error {
	err := os.Remove(d.lib(intentName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = syncDir(d.Lib)
	}
	if err != nil {
		return fmt.Errorf("cannot clear %s: %w", d.lib(intentName), Cause(err))
	}
	return nil
}

// ReadIntent reads the write-ahead record that a predecessor left; nil if there
// is none. A record that cannot be understood is moved aside, and the error says
// where to: the caller goes on from what is observed. An error of another kind
// (the disk, a right) leaves it where it is.
func (d Dirs) ReadIntent() (*fsm.Intent, error) {
	path, aside := d.lib(intentName), d.lib(badIntentName)
	in, err := read[fsm.Intent](path)
	if err == nil && in != nil {
		if bad := checkIntent(*in); bad != nil {
			err = fmt.Errorf("cannot read %s: %w", path, bad)
		}
	}
	if err == nil {
		return in, nil
	}
	if !errors.As(err, &damaged{}) {
		return nil, err
	}
	if moved := os.Rename(path, aside); moved != nil {
		return nil, fmt.Errorf("%w; it could not be moved to %s either (%w): remove it by hand", err, aside, Cause(moved))
	}
	return nil, fmt.Errorf("%w; it is kept as %s: an attempt was perhaps cut short, so compare \"modewatch status\" with the wish, then remove it", err, aside)
}

// checkIntent tells what a record lacks that its reader relies on.
func checkIntent(i fsm.Intent) error {
	switch {
	case i.ID == "" || i.Boot == "":
		return damaged{"it names no attempt or no boot"}
	case i.Step < 0 || i.Step > len(i.Plan.Steps):
		return damaged{fmt.Sprintf("it is at step %d of %d", i.Step, len(i.Plan.Steps))}
	}
	return nil
}
