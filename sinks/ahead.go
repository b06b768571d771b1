package sinks

import (
	"sync"
	"sync/atomic"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sinks/runfiles"
)

// ahead is the write-ahead record on disk. An attempt puts it there, step by
// step; the writer removes it after the attempt's own record is kept (D6), so that
// a death between leaves the one or the other.
type ahead struct {
	dirs    runfiles.Dirs
	written atomic.Int64 // intents that came to the disk, from 1 for a predecessor's

	mu sync.Mutex // held while the disk changes
	on mark       // what of the one there is on the disk itself
}

// mark is what of an intent has to be on the disk itself.
type mark struct {
	id                string
	noReturn, undoing bool
}

// durable tells whether an intent has to be on the disk itself, where the last that is
// there is that of before: the first of an attempt, the one that passes the point of no
// return, and the one that turns back (D6).
func (m mark) durable(before mark) bool { return m != before }

func newAhead(dirs runfiles.Dirs) *ahead {
	a := &ahead{dirs: dirs}
	a.written.Store(1)
	return a
}

// begins tells whether an intent would take the place of another attempt's.
func (a *ahead) begins(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return id != a.on.id
}

// put returns when i is safe: the first of an attempt, the one that passes the
// point of no return and the one that turns back on the disk itself, the steps
// between from the death of this process.
func (a *ahead) put(i fsm.Intent) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.written.Add(1)
	m := mark{i.ID, i.NoReturn, i.Undoing}
	write := a.dirs.UpdateIntent
	if m.durable(a.on) {
		write = a.dirs.WriteIntent
	}
	if err := write(i); err != nil {
		return err
	}
	a.on = m
	return nil
}

// settle removes the intent if it is still the one that was the nth.
func (a *ahead) settle(nth int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if nth != a.written.Load() {
		return nil // an attempt that follows has taken its place
	}
	a.on = mark{}
	return a.dirs.ClearIntent()
}
