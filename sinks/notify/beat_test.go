package notify

import (
	"os"
	"strconv"
	"testing"
	"time"
)

// It beats in time, again and again.
func TestBeats(t *testing.T) {
	const every = 20 * time.Millisecond
	began := time.Now()
	due, err := beats(t.Context(), every)
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 3; n++ {
		select {
		case <-due:
		case <-time.After(20 * time.Second):
			t.Fatalf("beat %d does not come", n)
		}
		if since := time.Since(began); since < time.Duration(n)*every {
			t.Errorf("beat %d came after %v", n, since)
		}
	}
}

// Beats that nobody takes are one, and keep nobody.
func TestBeatsNobodyTakes(t *testing.T) {
	due, left := make(chan struct{}, 1), 5
	forward(func() error {
		if left--; left < 0 {
			return os.ErrClosed
		}
		return nil
	}, due)
	if n := len(due); n != 1 {
		t.Errorf("%d beats wait", n)
	}
}

// Without a watchdog there is no beat.
func TestNoBeat(t *testing.T) {
	t.Setenv("WATCHDOG_USEC", "")
	if due, err := Beat(t.Context()); due != nil || err != nil {
		t.Errorf("a beat for nobody (%v)", err)
	}
	t.Setenv("WATCHDOG_USEC", "360000000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	if due, err := Beat(t.Context()); due == nil || err != nil {
		t.Errorf("no beat for a watchdog (%v)", err)
	}
}
