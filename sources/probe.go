package sources

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// grace is how long after the deadline a probe may still say itself why it has
// no answer.
const grace = 50 * time.Millisecond

// slot remembers whether a call of one probe was left hanging. While one is, no
// other is made: hanging goroutines do not pile up.
type slot struct {
	mu    sync.Mutex
	left  int       // calls that were given up and have not returned
	since time.Time // when the first of them began
}

func (s *slot) hanging() (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.since, s.left > 0
}

// abandoned counts a call that began at began and was given up; returned counts
// its return.
func (s *slot) abandoned(began time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left == 0 {
		s.since = began
	}
	s.left++
}

func (s *slot) returned() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left--
}

// ask calls a probe in a goroutine of its own and gives it up when ctx ends.
func ask[T any](ctx context.Context, s *slot, name string, probe func(context.Context) (T, error)) fsm.Reading[T] {
	if probe == nil {
		return fsm.Reading[T]{Cause: errNotBuilt.Error()}
	}
	if since, ok := s.hanging(); ok {
		return fsm.Reading[T]{Cause: fmt.Sprintf("the %s probe is still hanging since %s", name, since.Format(time.TimeOnly))}
	}
	began := time.Now()
	answer := make(chan fsm.Reading[T], 1)
	go func() { answer <- contained(ctx, name, probe) }()
	select {
	case r := <-answer:
		return r
	case <-ctx.Done():
	}
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case r := <-answer:
		return r
	case <-late.C:
	}
	s.abandoned(began)
	go func() {
		<-answer
		s.returned()
	}()
	return fsm.Reading[T]{Cause: fmt.Sprintf("the %s probe gave no answer in %v: %v", name, time.Since(began).Round(time.Millisecond), context.Cause(ctx))}
}

// contained turns a panic of a probe into a cause, with the place.
func contained[T any](ctx context.Context, name string, probe func(context.Context) (T, error)) (r fsm.Reading[T]) {
	defer func() {
		if p := recover(); p != nil {
			r = fsm.Reading[T]{Cause: fmt.Sprintf("the %s probe panicked at %s: %v", name, panicked(), p)}
		}
	}()
	return fsm.Read(probe(ctx))
}

// panicked returns the place of the panic that is being recovered from.
func panicked() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs)])
	for thrown := false; ; {
		f, more := frames.Next()
		switch inside := strings.HasPrefix(f.Function, "runtime."); {
		case f.Function == "runtime.gopanic":
			thrown = true
		case thrown && !inside:
			return fmt.Sprintf("%s:%d", filepath.Base(f.File), f.Line)
		}
		if !more {
			return "an unknown place"
		}
	}
}
