package lab

import (
	"context"
	"fmt"
	"time"
)

// patience bounds what a caller's context does not.
const patience = 30 * time.Second

// bounded is ctx with a deadline.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, patience)
}

// WaitFor asks cond every 10 ms until it says yes. The error, when ctx (or, where
// that has no deadline, 30 s) ends first, says what was waited for.
func WaitFor(ctx context.Context, what string, cond func() bool) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("cannot see %s: %w", what, ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}
