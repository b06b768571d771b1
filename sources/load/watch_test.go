package load

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/modewatch/modewatch/fsm"
)

func TestTrigger(t *testing.T) {
	for percent, want := range map[float64]string{
		40: "some 800000 2000000\x00", 7.5: "some 150000 2000000\x00", 100: "some 2000000 2000000\x00",
		250: "some 2000000 2000000\x00", 0: "some 1000 2000000\x00", -1: "some 1000 2000000\x00",
	} {
		if got := trigger(percent); got != want {
			t.Errorf("%g: %q, want %q", percent, got, want)
		}
	}
}

// The kernel's average falls by e in ten seconds.
func TestDecay(t *testing.T) {
	for _, c := range []struct {
		now, threshold float64
		least, most    time.Duration
	}{
		{0, 40, 0, 0}, {40, 40, 0, 0}, {40.01, 40, window, window}, {80, 40, 6900 * time.Millisecond, 7 * time.Second},
		{100, 40, 9100 * time.Millisecond, 9200 * time.Millisecond}, {100, 0, 30 * time.Second, 30 * time.Second},
	} {
		if got := decay(c.now, c.threshold); got < c.least || got > c.most {
			t.Errorf("from %g to %g: %v", c.now, c.threshold, got)
		}
	}
}

func TestNotTold(t *testing.T) {
	for name, root := range map[string]string{"no such file": t.TempDir(), "none at all": "/no/such/proc"} {
		w := Watcher{Root: root, Percent: 40, Hint: func() { t.Error("a hint") }}
		if err := w.Watch(t.Context()); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "cannot be told of CPU pressure") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// await is ended by its end, by its time, and by whatever takes the place of a
// trigger's own sign here: a closed pipe is none.
func TestAwait(t *testing.T) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[0])
	end, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(end)
	if fired, err := await(p[0], end, time.Now().Add(time.Millisecond)); fired || err != nil {
		t.Errorf("after its time: %v, %v", fired, err)
	}
	if _, err := unix.Write(end, []byte{1, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	if fired, err := await(p[0], end, time.Time{}); fired || err != nil {
		t.Errorf("after its end: %v, %v", fired, err)
	}
	unix.Close(p[1])
	if fired, err := await(p[0], end, time.Time{}); fired || err == nil {
		t.Errorf("without a trigger: %v, %v", fired, err)
	}
}

// One hint tells that the average has fallen, not before it has, and none follows
// a low one.
func TestFallenAgain(t *testing.T) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil { // a trigger that never fires
		t.Fatal(err)
	}
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	averages := []float64{90, 76, 75} // of which each look takes one
	looks, hints := make(chan float64, 8), make(chan int, 8)
	w := &Watcher{Percent: 75}
	w.Load = func(context.Context) (fsm.Load, error) {
		now := averages[0]
		averages = averages[1:]
		looks <- now
		return fsm.Load{CPUSome: now}, nil
	}
	w.Hint = func() { hints <- len(looks) }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.follow(ctx, p[0]) }()
	if after := <-hints; after != 3 {
		t.Errorf("a hint after %d looks", after)
	}
	cancel()
	if err := <-done; err != nil || len(hints) > 0 || len(looks) != 3 {
		t.Errorf("%v, %d more hints, %d looks", err, len(hints), len(looks))
	}
}

// What cannot be read is told: the guard then says so.
func TestUnreadableIsTold(t *testing.T) {
	w := &Watcher{Percent: 75, Load: New("/no/such/proc").Load}
	if again := w.below(t.Context()); !again.IsZero() {
		t.Errorf("another look at %v", again)
	}
}

// Real pressure: more busy threads than CPUs make somebody wait, whatever else the
// machine does. It is told while it lasts, once per window, and nothing is asked in
// between; what it costs is told.
func TestLivePressureFigures(t *testing.T) {
	w := &Watcher{Root: "/proc", Load: New("/proc").Load, Percent: 5}
	hints := make(chan time.Time, 64)
	w.Hint = func() { hints <- time.Now() }
	if _, err := os.Stat(filepath.Join("/proc", "pressure", "cpu")); err != nil {
		t.Skipf("this kernel tells no pressure: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	began := time.Now()
	go func() { done <- w.Watch(ctx) }()
	busy := spin(t)
	before := cpu(t)
	var told []time.Time
	for len(told) < 2 {
		select {
		case at := <-hints:
			told = append(told, at)
		case err := <-done:
			if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) {
				t.Skipf("this kernel lets nobody wait for pressure: %v", err)
			}
			t.Fatal(err)
		}
	}
	took, spent := time.Since(began), cpu(t)-before
	busy()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for i := 1; i < len(told); i++ {
		if gap := told[i].Sub(told[i-1]); gap < window-100*time.Millisecond {
			t.Errorf("two hints within %v", gap)
		}
	}
	t.Logf("figure: CPU pressure told %v after the watch began, 2 hints in %v, %v CPU of the watcher", told[0].Sub(began).Round(time.Millisecond),
		took.Round(time.Millisecond), spent.Round(10*time.Microsecond))
}

// spin keeps every CPU busy several times over, in processes of their own, until
// the returned function is called.
func spin(t *testing.T) func() {
	t.Helper()
	var all []*os.Process
	stop := sync.OnceFunc(func() {
		for _, p := range all {
			_ = p.Kill()
			_, _ = p.Wait()
		}
	})
	t.Cleanup(stop)
	for range 2*runtime.NumCPU() + 1 {
		p, err := os.StartProcess("/bin/sh", []string{"sh", "-c", "i=0; while [ $i -lt 20000000 ]; do i=$((i+1)); done"}, &os.ProcAttr{})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return stop
}

func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
