package journal

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/modewatch/modewatch/fsm"
)

const (
	queueLength = 256
	// drainTime is how long Run goes on writing after its end was asked for.
	drainTime = time.Second
)

// Journal writes records in their order, in a goroutine of its own, so that a
// journal that hangs costs entries and never the controller (design section 4).
type Journal struct {
	sink  Sink
	level zerolog.Level
	queue chan item
	lost  atomic.Uint64
	cause error // of the last failed write; the writer's own
}

// item is a record, or the request to close a channel when its turn comes.
type item struct {
	record fsm.Record
	reach  chan struct{}
}

// New returns a journal that writes to sink what is at least of level.
func New(sink Sink, level zerolog.Level) *Journal {
	return &Journal{sink: sink, level: level, queue: make(chan item, queueLength)}
}

// ParseLevel reads the word of a level: debug, info, warn or error.
func ParseLevel(word string) (zerolog.Level, error) {
	for _, l := range []zerolog.Level{zerolog.DebugLevel, zerolog.InfoLevel, zerolog.WarnLevel, zerolog.ErrorLevel} {
		if word == l.String() {
			return l, nil
		}
	}
	return zerolog.NoLevel, fmt.Errorf("cannot read the log level %q: it is one of debug, info, warn, error", word)
}

// Record queues a record; it never blocks. If the queue is full the record is
// lost and counted, and an entry tells how many were.
func (j *Journal) Record(r fsm.Record) {
	select {
	case j.queue <- item{record: r}:
	default:
		j.lost.Add(1)
	}
}

// Flush waits until what was recorded before is written, or ctx ends.
func (j *Journal) Flush(ctx context.Context) error {
	reach := make(chan struct{})
	select {
	case j.queue <- item{reach: reach}:
	case <-ctx.Done():
		return fmt.Errorf("cannot flush the journal: %w", ctx.Err())
	}
	select {
	case <-reach:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cannot flush the journal: %w", ctx.Err())
	}
}

// Run writes until ctx ends and then what is still queued. A write that hangs
// is abandoned after a second, with its goroutine; that is the error.
func (j *Journal) Run(ctx context.Context) error {
	written := make(chan struct{})
	go func() { defer close(written); j.write(ctx.Done()) }()
	<-ctx.Done()
	late := time.NewTimer(drainTime)
	defer late.Stop()
	select {
	case <-written:
		return nil
	case <-late.C:
		return fmt.Errorf("cannot write the last %d entries: the journal hangs", uint64(len(j.queue))+1+j.lost.Load())
	}
}

// write empties the queue until stop, and then once more.
func (j *Journal) write(stop <-chan struct{}) {
	for {
		select {
		case i := <-j.queue:
			j.take(i)
			continue
		default:
		}
		j.tellLost()
		select {
		case i := <-j.queue:
			j.take(i)
		case <-stop:
			if len(j.queue) == 0 {
				return
			}
		}
	}
}

func (j *Journal) take(i item) {
	if i.reach != nil {
		close(i.reach)
		return
	}
	j.put(Describe(i.record))
}

func (j *Journal) put(e Entry) {
	if e.Level < j.level {
		return
	}
	if err := j.sink(e); err != nil {
		j.cause = err
		j.lost.Add(1)
	}
}

// tellLost tells, once the queue is empty, how many records were lost. If that
// fails too they stay counted until the next time.
func (j *Journal) tellLost() {
	n := j.lost.Load()
	if n == 0 {
		return
	}
	text := fmt.Sprintf("cannot tell everything: %d records were lost, the journal did not take them in time", n)
	if j.cause != nil {
		text = fmt.Sprintf("cannot tell everything: %d records were lost: %v", n, j.cause)
	}
	e := Describe(fsm.Note{What: fsm.NoteSource, Text: text, At: time.Now()})
	if j.sink(e) == nil {
		j.lost.Add(-n)
		j.cause = nil
	}
}
