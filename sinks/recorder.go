// Package sinks joins the places where the story is told: the journal, the files
// of the run directory, the history, and systemd's own status line.
package sinks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sinks/history"
	"github.com/modewatch/modewatch/sinks/journal"
	"github.com/modewatch/modewatch/sinks/notify"
	"github.com/modewatch/modewatch/sinks/runfiles"
)

// Recorder records what the engine tells. Publish and Record never wait for a
// disk: one writer, Run, writes in the order of the story: journal, then
// last-transition.json and the history, then the snapshot that shows the end.
type Recorder struct {
	dirs    runfiles.Dirs
	history *history.Log
	journal *journal.Journal

	mu      sync.Mutex
	queue   []fsm.Attempt // ended, not yet written
	snap    *fsm.Snapshot // the newest, not yet written
	wake    chan struct{}
	trouble map[string]bool // causes told, until they are over
}

// NewRecorder returns a recorder that keeps at most max attempts in the history
// and tells the journal what is at least of level.
func NewRecorder(dirs runfiles.Dirs, max int, level string) (*Recorder, error) {
	l, err := journal.ParseLevel(level)
	if err != nil {
		return nil, err
	}
	return &Recorder{dirs: dirs, history: history.New(dirs.Lib, max), journal: journal.New(journal.Default(os.Stderr), l),
		wake: make(chan struct{}, 1), trouble: map[string]bool{}}, nil
}

// Publish has s written; of several that come meanwhile only the newest is.
func (r *Recorder) Publish(s fsm.Snapshot) {
	r.mu.Lock()
	r.snap = &s
	r.mu.Unlock()
	r.poke()
}

// Record tells the journal, and keeps the record of an attempt that ended.
func (r *Recorder) Record(rec fsm.Record) {
	r.journal.Record(rec)
	if end, ok := rec.(fsm.AttemptEnded); ok {
		r.mu.Lock()
		r.queue = append(r.queue, end.Attempt)
		r.mu.Unlock()
		r.poke()
	}
}

func (r *Recorder) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Ahead puts the intent on disk, or clears it, before it returns.
func (r *Recorder) Ahead(i *fsm.Intent) error {
	if i == nil {
		return r.dirs.ClearIntent()
	}
	return r.dirs.WriteIntent(*i)
}

// retryAfter is the time until a history that could not be written is tried
// again.
const retryAfter = 10 * time.Second

// Run writes until ctx ends, and then what is left.
func (r *Recorder) Run(ctx context.Context) error {
	telling, stop := context.WithCancel(context.Background())
	told := make(chan error, 1)
	go func() { told <- r.journal.Run(telling) }()
	for ctx.Err() == nil {
		var again <-chan time.Time
		if !r.write() {
			again = time.After(retryAfter)
		}
		select {
		case <-r.wake:
		case <-again:
		case <-ctx.Done():
		}
	}
	r.write()
	stop()
	return errors.Join(<-told, r.left())
}

// left is the error of attempts that could not be written to the end.
func (r *Recorder) left() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.queue); n > 0 {
		return fmt.Errorf("cannot keep %d attempts in the history", n)
	}
	return nil
}

// write writes what is there and tells whether the history took its part. The
// snapshot is taken first, so that what it shows as ended is written before it.
func (r *Recorder) write() bool {
	r.mu.Lock()
	snap, ends := r.snap, slices.Clone(r.queue)
	r.snap = nil
	r.mu.Unlock()
	kept := 0
	for _, a := range ends {
		r.tell("last-transition", r.dirs.WriteTransition(a))
		if a.Verdicts != nil {
			r.tell("last-guards", r.dirs.WriteGuards(a.Ended, a.Verdicts))
		}
		if !r.tell("history", r.history.Append(a)) {
			break
		}
		kept++
	}
	r.mu.Lock()
	r.queue = r.queue[kept:]
	r.mu.Unlock()
	if snap != nil {
		r.tell("state", r.dirs.WriteState(*snap))
		r.tell("current", r.dirs.WriteCurrent(current(*snap), snap.At))
		r.tell("status", notify.Status(*snap))
	}
	return kept == len(ends)
}

// current is the observed word of section 23.2.
func current(s fsm.Snapshot) fsm.Mode {
	switch {
	case s.Attempt != nil || s.State == fsm.Transitioning:
		return fsm.Mode(fsm.Transitioning)
	case s.State == fsm.FailedTransition:
		return fsm.Mode(fsm.FailedTransition)
	}
	return s.Observation.Mode
}

// tell reports a failed write to the journal, each cause once until it is over.
func (r *Recorder) tell(what string, err error) bool {
	if err == nil {
		delete(r.trouble, what)
		return true
	}
	if !r.trouble[what] {
		r.trouble[what] = true
		r.journal.Record(fsm.Note{What: fsm.NoteSource, Text: err.Error(), At: time.Now()})
	}
	return false
}
