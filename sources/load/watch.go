package load

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/modewatch/modewatch/fsm"
)

// Watcher tells when the CPU pressure rises, and when it has fallen below the
// threshold again, for as long as Watch runs. It tells no facts: a look does (D20).
// A trigger of the kernel wakes it, at most once in a window; nothing does while
// the pressure is low.
type Watcher struct {
	Root    string                                  // the /proc tree
	Load    func(context.Context) (fsm.Load, error) // as a look reads it
	Percent float64                                 // the threshold of the guard, of the last ten seconds
	Hint    func()
}

// window is what a trigger sums the stalls of. Two seconds, and multiples of it,
// need no capability.
const window = 2 * time.Second

// memory is the time constant of what the kernel calls the average of ten seconds.
const memory = 10 * time.Second

// Watch hints until ctx ends; it then returns nil. It hints at once if the pressure is
// low. While it is high it hints once per window, and then, once, when the average is below the threshold.
// An error says why the kernel does not tell; there are no hints then. While it
// waits it keeps a thread: the runtime's poller does not watch what a trigger
// gives, and a trigger forgets that it fired as soon as it is asked.
func (w *Watcher) Watch(ctx context.Context) error {
	trigger, err := w.arm()
	if err != nil {
		return err
	}
	defer unix.Close(trigger)
	return w.follow(ctx, trigger)
}

// follow hints by a trigger until ctx ends.
func (w *Watcher) follow(ctx context.Context, trigger int) error {
	end, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("cannot be told of CPU pressure: %w", err)
	}
	defer unix.Close(end)
	defer finally(ctx, func() { _, _ = unix.Write(end, []byte{1, 0, 0, 0, 0, 0, 0, 0}) })()
	again := w.below(ctx) // it may be high already, and never rise
	if again.IsZero() {
		w.Hint() // or have fallen before this was armed
	}
	for ctx.Err() == nil {
		fired, err := await(trigger, end, again)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case fired:
			again = time.Now().Add(window)
		default:
			again = w.below(ctx)
		}
		if fired || again.IsZero() {
			w.Hint()
			rest(ctx, window) // a trigger that fires meanwhile is found after it
		}
	}
	return nil
}

// finally calls f when ctx ends, unless the returned function is called before;
// that one waits for f.
func finally(ctx context.Context, f func()) func() {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { f(); close(done) })
	return func() {
		if !stop() {
			<-done
		}
	}
}

// await waits until the trigger fires, which is told, end can be read, or until,
// which may be the zero time for never.
func await(trigger, end int, until time.Time) (fired bool, err error) {
	for {
		left := -1
		if !until.IsZero() {
			left = int(max(time.Until(until).Milliseconds()+1, 0))
		}
		fds := []unix.PollFd{{Fd: int32(trigger), Events: unix.POLLPRI}, {Fd: int32(end), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, left)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return false, fmt.Errorf("cannot wait for CPU pressure: %w", err)
		case n > 0 && fds[0].Revents&unix.POLLPRI != 0:
			return true, nil
		case n > 0 && fds[0].Revents != 0:
			return false, errors.New("cannot wait for CPU pressure: the kernel has taken the trigger away")
		}
		return false, nil
	}
}

// arm writes the trigger: some task waited for a CPU for Percent of a window.
func (w *Watcher) arm() (int, error) {
	path := filepath.Join(w.Root, "pressure", "cpu")
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("cannot be told of CPU pressure: open %s: %w", path, err)
	}
	if _, err := unix.Write(fd, []byte(trigger(w.Percent))); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("cannot be told of CPU pressure: %w", err)
	}
	return fd, nil
}

// trigger is what to write for a threshold in percent. The kernel wants some
// stall, and no more of it than there is time.
func trigger(percent float64) string {
	stall := min(max(time.Duration(percent/100*float64(window)), time.Millisecond), window)
	return fmt.Sprintf("some %d %d\x00", stall.Microseconds(), window.Microseconds())
}

// below tells when the average may be below the threshold if nothing waits from
// now on; zero if it is already, or cannot be read, which a look then tells.
func (w *Watcher) below(ctx context.Context) time.Time {
	l, err := w.Load(ctx)
	if err != nil {
		return time.Time{}
	}
	if d := decay(l.CPUSome, w.Percent); d > 0 {
		return time.Now().Add(d)
	}
	return time.Time{}
}

// decay is how long an average of now takes to fall to the threshold, at least a
// window and at most half a minute; 0 if it is there. A guard blocks above it.
func decay(now, threshold float64) time.Duration {
	if now <= threshold {
		return 0
	}
	d := float64(memory) * math.Log(now/max(threshold, 0.01))
	return time.Duration(min(max(d, float64(window)), float64(3*memory)))
}

// rest lets d pass, or ctx end.
func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
