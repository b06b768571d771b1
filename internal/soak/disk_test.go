package soak

import (
	"fmt"

	"github.com/modewatch/modewatch/fsm"
)

// disk is what outlives a controller; run is what a boot forgets.
type disk struct {
	intent  *fsm.Intent
	history []fsm.Attempt
	wish    *fsm.Wish    // of run
	last    *fsm.Attempt // of run
	state   fsm.State    // of run
	boot    string       // that wrote state
	posted  []func()     // records that the writer has not taken yet
}

// flush writes the first n of what was posted; the rest is lost if lose is set.
func (d *disk) flush(n int, lose bool) {
	n = min(n, len(d.posted))
	for _, write := range d.posted[:n] {
		write()
	}
	if d.posted = d.posted[n:]; lose {
		d.posted = nil
	}
}

// unended tells whether an intent asks something of the next start: its attempt has
// no record, or one that leaves it half way. The caller holds the lock.
func (l *life) unended(i *fsm.Intent) bool {
	for _, a := range l.disk.history {
		if a.ID == i.ID {
			return a.Halt == fsm.HaltShutdown || a.Halt == fsm.HaltSupersede && i.NoReturn
		}
	}
	return true
}

// past looks an attempt up in the history on disk.
func (l *life) past(id string) *fsm.Attempt {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.disk.history {
		if a.ID == id {
			return &a
		}
	}
	return nil
}

func nameOf(w *fsm.Wish) string {
	if w == nil {
		return "none"
	}
	return w.ID + " for " + string(w.Mode)
}

func intentID(i *fsm.Intent) string {
	if i == nil {
		return ""
	}
	return i.ID
}

func intentName(i *fsm.Intent) string {
	if i == nil {
		return "none"
	}
	return fmt.Sprintf("%s %s -> %s, step %d, no return %v, undoing %v", i.ID, i.Plan.From, i.Plan.To, i.Step, i.NoReturn, i.Undoing)
}
