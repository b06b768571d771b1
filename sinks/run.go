package sinks

import (
	"context"
	"errors"
	"time"
)

// together is how long a snapshot waits for the next one where an attempt only gets
// on: most steps are shorter, and writing beside one makes it longer.
const together = 100 * time.Millisecond

// retryAfter is the time until what could not be written is tried again, if no
// record comes before. Nothing waits while all is well.
const retryAfter = 10 * time.Second

// Run writes until ctx ends, and then what is left. The caller ends it after
// whoever records has ended.
func (r *Recorder) Run(ctx context.Context) error {
	defer close(r.ended)
	telling, stop := context.WithCancel(context.Background())
	defer stop()
	told := make(chan error, 1)
	go func() { told <- r.journal.Run(telling) }()
	for ctx.Err() == nil {
		var again <-chan time.Time
		if r.write() != nil {
			again = time.After(retryAfter)
		}
		r.await(ctx, again)
	}
	err := r.write()
	stop()
	return errors.Join(err, <-told)
}

// await returns when there is something to write, at again, or when ctx ends.
func (r *Recorder) await(ctx context.Context, again <-chan time.Time) {
	var late <-chan time.Time
	for {
		select {
		case <-r.wake:
			r.mu.Lock()
			soon := r.posted.soon
			r.mu.Unlock()
			if soon {
				return
			}
			if late == nil {
				late = time.After(together)
			}
		case <-late:
			return
		case <-again:
			return
		case <-ctx.Done():
			return
		}
	}
}

// write takes all that was posted, in one piece: the attempts of which the
// snapshot knows are among it, and are written first.
func (r *Recorder) write() error {
	r.mu.Lock()
	p := r.posted
	r.posted = posted{}
	r.mu.Unlock()
	err := r.writer.write(p)
	if r.Told != nil {
		r.Told(p.edges, p.ends, p.snap)
	}
	r.mu.Lock()
	r.owing = err != nil
	r.unkept -= len(p.ends)
	r.mu.Unlock()
	for _, done := range p.flushes {
		done <- err
	}
	return err
}
