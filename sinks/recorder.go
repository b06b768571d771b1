// Package sinks joins the places where the story is told: the journal, the files
// of the run directory, the history, and systemd's own status line.
package sinks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sinks/history"
	"github.com/modewatch/modewatch/sinks/journal"
	"github.com/modewatch/modewatch/sinks/runfiles"
)

// Recorder records what the engine tells. Publish and Record never wait for a
// disk: one writer, Run, writes in the order of the story: journal, then
// last-transition.json and the history, then the snapshot that shows the end.
type Recorder struct {
	journal *journal.Journal
	ahead   *ahead
	writer  writer // Run's alone

	// Told is told of the edges, the ended attempts and the snapshot, if there is one,
	// that were written just now, as far as the disk took them; by Run's goroutine. Set
	// it before Run. It must not block.
	Told func([]fsm.Edge, []fsm.Attempt, *fsm.Snapshot)

	mu      sync.Mutex
	posted  posted
	attempt string // the one that the last snapshot showed, if any
	owing   bool   // something could not be written yet
	unkept  int    // ended attempts that the writer has not tried to keep yet

	wake  chan struct{}
	ended chan struct{} // closed when Run has ended
}

// posted is what the writer has not taken yet.
type posted struct {
	edges   []fsm.Edge
	ends    []fsm.Attempt
	snap    *fsm.Snapshot // the newest alone
	flushes []chan error
	settled int64 // the intent up to which none is needed any more
	soon    bool  // it holds more than an attempt that gets on
}

// NewRecorder returns a recorder that keeps at most max attempts in the history
// and tells the journal what is at least of level.
func NewRecorder(dirs runfiles.Dirs, max int, level string) (*Recorder, error) {
	l, err := journal.ParseLevel(level)
	if err != nil {
		return nil, err
	}
	return NewRecorderWith(dirs, max, journal.New(journal.Default(os.Stderr), l)), nil
}

// NewRecorderWith returns a recorder that tells j.
func NewRecorderWith(dirs runfiles.Dirs, max int, j *journal.Journal) *Recorder {
	a := newAhead(dirs)
	return &Recorder{journal: j, ahead: a, wake: make(chan struct{}, 1), ended: make(chan struct{}),
		writer: writer{dirs: dirs, journal: j, ahead: a, history: history.New(dirs.Lib, max), trouble: map[string]string{}}}
}

// Publish has s written; of several that come meanwhile only the newest is.
func (r *Recorder) Publish(s fsm.Snapshot) {
	r.mu.Lock()
	before := r.attempt
	if r.attempt = ""; s.Attempt != nil {
		r.attempt = s.Attempt.ID
	}
	r.posted.snap = &s
	r.posted.soon = r.posted.soon || r.attempt == "" || r.attempt != before
	r.mu.Unlock()
	r.poke()
}

// Record tells the journal, and keeps the record of an attempt that ended. Any
// record makes the writer try again what it could not write before.
func (r *Recorder) Record(rec fsm.Record) {
	r.journal.Record(rec)
	r.mu.Lock()
	owing := r.owing
	if edge, ok := rec.(fsm.Edge); ok && r.Told != nil {
		r.posted.edges = append(r.posted.edges, edge) // a snapshot follows
	}
	r.mu.Unlock()
	if end, ok := rec.(fsm.AttemptEnded); ok {
		r.post(func(p *posted) { p.ends = append(p.ends, end.Attempt); r.unkept++ })
		return
	}
	if owing {
		r.post(func(*posted) {})
	}
}

// post has what is added written at once.
func (r *Recorder) post(add func(*posted)) {
	r.mu.Lock()
	add(&r.posted)
	r.posted.soon = true
	r.mu.Unlock()
	r.poke()
}

func (r *Recorder) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Ahead puts the intent on disk before it returns. One attempt at a time calls
// it. With nil it only asks: the writer removes the intent after what was recorded
// before. The first of an attempt takes the place of another's: it waits until the
// records of all that ended before are kept, or a death now would leave neither.
func (r *Recorder) Ahead(i *fsm.Intent) error {
	if i == nil {
		r.post(func(p *posted) { p.settled = r.ahead.written.Load() })
		return nil
	}
	if r.ahead.begins(i.ID) {
		r.keep()
	}
	return r.ahead.put(*i)
}

// keepWithin bounds how long an attempt waits for the records of those before it. A
// disk that takes longer is not waited for: they are in the journal too.
const keepWithin = 5 * time.Second

// keep has the records of ended attempts written, as far as the disk takes them.
func (r *Recorder) keep() {
	r.mu.Lock()
	unkept := r.unkept
	r.mu.Unlock()
	if unkept == 0 {
		return
	}
	done := make(chan error, 1)
	r.post(func(p *posted) { p.flushes = append(p.flushes, done) })
	late := time.NewTimer(keepWithin)
	defer late.Stop()
	select {
	case <-done:
	case <-r.ended:
	case <-late.C:
	}
}

// Flush waits until all that was told before is written, or ctx ends. What could
// not be written, and is still kept, is the error.
func (r *Recorder) Flush(ctx context.Context) error {
	done := make(chan error, 1)
	r.post(func(p *posted) { p.flushes = append(p.flushes, done) })
	select {
	case err := <-done:
		return errors.Join(err, r.journal.Flush(ctx))
	case <-r.ended:
		return errors.New("cannot flush the records: their writer has ended")
	case <-ctx.Done():
		return fmt.Errorf("cannot flush the records: %w", ctx.Err())
	}
}
