// Package engine holds the one loop that owns the state machine, and the
// attempt: the one way in which a host is moved from mode to mode (design.md
// section 4, D6-D12).
//
// One goroutine, Run, owns the machine; everything else sends it values. An
// attempt runs in a goroutine of its own and reports back to the loop, so the
// loop never waits for the host: wishes, cancels and snapshots are served while
// a step hangs for minutes.
package engine

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// Host is the machine that is moved: looked at, changed, and listened to more
// closely while an attempt runs.
type Host interface {
	// Observe looks at what q asks for. It never fails as a whole and returns
	// within the deadlines of its probes; what could not be read says so.
	Observe(ctx context.Context, q fsm.Query) fsm.Facts
	// Do does one operation and returns when the manager has answered. Whether
	// it took effect is for Observe to tell.
	Do(ctx context.Context, op fsm.Op) error
	// Attend asks for a hint at every job's end while busy is true.
	Attend(busy bool)
}

// Recorder keeps the story. None of its methods but Ahead may block.
type Recorder interface {
	// Publish swaps what readers see.
	Publish(fsm.Snapshot)
	// Record adds one line to the story, in order.
	Record(fsm.Record)
	// Ahead puts the intent on disk before a step. If it fails no step runs. With
	// nil it returns at once, and the intent on disk, unless another takes its
	// place, is removed once all that was recorded before is written (D6).
	Ahead(*fsm.Intent) error
}

// NotFound is implemented by errors of Do that mean "there is no such unit":
// an optional step then counts as done.
type NotFound interface{ NotFound() bool }

// Options is all that an engine is given.
type Options struct {
	Policy   fsm.Policy
	Host     Host
	Recorder Recorder
	Boot     string        // boot id, told in records and compared with Intent's
	PID      int           // told in snapshots
	NewID    func() string // ids of attempts and of wishes that the engine makes
	Wish     *fsm.Wish     // the wish that stands on disk
	Intent   *fsm.Intent   // the write-ahead record that a predecessor left
	Last     *fsm.Attempt  // the last finished attempt, for snapshots
	// Past returns the record of the finished attempt with that id, nil if the history
	// has none; it is asked about the one that Intent is of. nil: only Last is known.
	Past     func(id string) *fsm.Attempt
	First    bool           // the first start of this boot: normalise (D7, D11)
	BootWish func(fsm.Wish) // told the wish of the first start, to store it
	// Keep stores a wish of a background trigger; in place of the one of that id,
	// if it is not empty and that still stands.
	Keep func(w fsm.Wish, instead string)
	// Listen has changes of what is only watched on demand hinted at, instead of
	// what it was asked for before; 0 asks for none. It must not block. nil: nobody
	// tells.
	Listen func(about fsm.Subject)
	Ready  func()            // told once, before any attempt
	Alive  func()            // the watchdog's ping, from the loop
	Beat   <-chan struct{}   // when it is due; nil: never
	Ended  func(fsm.Attempt) // told after an attempt was recorded
	Going  func() bool       // tells whether the host is going down

	// CPU is the CPU time that the process has used; nil: not measured.
	CPU func() time.Duration
}

// Engine is the loop and its snapshot.
type Engine struct {
	opt     Options
	inbox   chan any
	dirty   atomic.Uint64 // subjects hinted at since the last look
	wake    chan struct{}
	stopped chan struct{}
	shown   atomic.Pointer[fsm.Snapshot]

	mu   sync.Mutex
	late []any // what came after Run had ended
}

// New returns an engine that Run has yet to start.
func New(opt Options) *Engine {
	e := &Engine{opt: opt, inbox: make(chan any, 16), wake: make(chan struct{}, 1), stopped: make(chan struct{})}
	e.shown.Store(&fsm.Snapshot{Schema: fsm.Schema, State: fsm.Boot, PID: opt.PID, Boot: opt.Boot,
		Observation: fsm.Observation{Mode: fsm.Unknown}})
	return e
}

// The messages of the inbox, named for what happened.
type (
	wished    struct{ wish fsm.Wish }
	cancelled struct{ by fsm.Caller }
	rejected  struct {
		wish  fsm.Wish
		cause string
	}
	finishing struct{}
	goingDown struct{}
	noted     struct{ note fsm.Note }
	observed  struct { // see also weighed
		facts fsm.Facts
		took  time.Duration
	}
	begun struct {
		plan  fsm.Plan
		facts fsm.Facts
	}
	progressed struct {
		running *fsm.Running
		record  fsm.Record
	}
	ended struct {
		attempt fsm.Attempt
		after   fsm.Observation
		half    bool // it was left past its point of no return, for the wish that follows
		settled bool // nobody needs its write-ahead record any more, nor a predecessor's
	}
)

// Submit hands a wish to the loop. It returns at once. After Run's end it is kept
// for Inherit or Dismiss.
func (e *Engine) Submit(w fsm.Wish) { e.send(wished{w}) }

// Cancel walks back the running attempt, if there is one (D9).
func (e *Engine) Cancel(by fsm.Caller) { e.send(cancelled{by}) }

// Reject tells that a wish could not be taken at all, such as one that could not
// be kept on disk; whoever waits for it learns the cause.
func (e *Engine) Reject(w fsm.Wish, cause string) { e.send(rejected{w, cause}) }

// Finish ends Run after the running attempt and the wish that waits for it: the
// way to a new configuration, which applies between attempts (D11).
func (e *Engine) Finish() { e.send(finishing{}) }

// GoingDown tells that the host goes down: a running attempt is recorded as it
// stands, and nothing is taken back (D11).
func (e *Engine) GoingDown() { e.send(goingDown{}) }

// Note adds a note of a source to the story.
func (e *Engine) Note(n fsm.Note) { e.send(noted{n}) }

// Hint says that something about a subject may have changed. Hints carry no
// facts, are coalesced and never lost; the call never blocks (D20).
func (e *Engine) Hint(about fsm.Subject) {
	e.dirty.Or(uint64(about))
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Snapshot returns what is known now, without asking the loop.
func (e *Engine) Snapshot() fsm.Snapshot { return *e.shown.Load() }

func (e *Engine) send(m any) {
	select {
	case <-e.stopped:
		e.tooLate(m)
		return
	default:
	}
	select {
	case e.inbox <- m:
	case <-e.stopped:
		e.tooLate(m)
	}
}
