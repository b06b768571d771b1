// Package idle tells who touched the machine last: when, and on which input
// device (specification section 16, D13). It is a sense and decides nothing.
//
// One goroutine sleeps in poll(2) over all devices that a person uses. Nothing
// wakes it while nobody touches them; after an input it takes what is queued and
// leaves the devices alone until the duty cycle is over, so that a mouse of
// 1,000 Hz wakes it once in a cycle. No device is grabbed or written to.
package idle

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/modewatch/modewatch/fsm"
)

// Options says where to look and whom to tell. Its zero value watches this host
// and tells nobody.
type Options struct {
	Dev  string // the device nodes, /dev/input if empty
	Udev string // what udev found out about them, /run/udev/data if empty
	Sys  string // what the kernel says of them, /sys/class/input if empty
	// Deny are shell patterns of the names of devices that do not count; they are
	// not opened. A * stands for a / too.
	Deny []string
	// Cycle is the time in which input wakes the watcher at most once, and by which
	// Last may lag behind while somebody is at work; 5 s if 0.
	Cycle time.Duration
	// Hint is called after input, at most once in a cycle, by the goroutine that
	// watches: it must not block.
	Hint func()
	// Log gets what keeps devices from being watched, once, and the end of it.
	Log func(text string)
	// Now is CLOCK_MONOTONIC, which does not go on in sleep, if nil.
	Now func() time.Duration
}

const (
	restCycle = 5 * time.Second
	keenCycle = 20 * time.Millisecond
)

// Input is the last touch, and what was watched for it.
type Input struct {
	At      time.Duration // on CLOCK_MONOTONIC
	Quiet   time.Duration // from then till now; sleep is not counted
	Device  string        // its name; empty if nobody has touched any since the clock was set
	Why     string        // what set the clock, where no device did
	Devices int           // how many are watched; 0 is a host without any
	Denied  []string      // the names of those that are there and do not count
}

// Watcher watches the input devices while Run runs.
type Watcher struct {
	opt  Options
	open func(path string) (*device, error)
	poll func([]unix.PollFd, time.Duration) (int, error)

	wakes atomic.Uint64 // how often poll has returned
	keen  atomic.Bool

	mu      sync.Mutex
	last    Input // but for Quiet
	trouble error // why nobody can tell
	bell    int   // wakes the goroutine; -1 while there is none
}

// errNotWatched is the answer of a watcher that does not run.
var errNotWatched = errors.New("nobody watches the input devices here")

// New returns a watcher that has opened nothing yet.
func New(opt Options) *Watcher {
	or(&opt.Dev, "/dev/input")
	or(&opt.Udev, "/run/udev/data")
	or(&opt.Sys, "/sys/class/input")
	or(&opt.Cycle, restCycle)
	if opt.Hint == nil {
		opt.Hint = func() {}
	}
	if opt.Log == nil {
		opt.Log = func(string) {}
	}
	if opt.Now == nil {
		opt.Now = monotonic
	}
	return &Watcher{opt: opt, open: openDevice, poll: poll, bell: -1, trouble: errNotWatched}
}

func or[T comparable](to *T, other T) {
	var zero T
	if *to == zero {
		*to = other
	}
}

// Last returns the last touch. While somebody is at work it may be a duty cycle
// old. An error says that nobody can tell whether there was one since: nothing
// watches, a directory cannot be read, or a device that counts cannot be opened.
// The touch that is returned with an error did happen, if it has a device.
func (w *Watcher) Last() (Input, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	in := w.last
	in.Quiet = max(0, w.opt.Now()-in.At)
	in.Denied = slices.Clone(in.Denied)
	return in, w.trouble
}

// Idle is Last as a fact, for the observer.
func (w *Watcher) Idle(context.Context) (fsm.Idle, error) {
	in, err := w.Last()
	return fsm.Idle{Quiet: in.Quiet, Device: in.Device, Why: in.Why, Devices: in.Devices, Denied: in.Denied}, err
}

// Restart sets the clock to now, as after a sleep; why is told where no device
// is named.
func (w *Watcher) Restart(why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last.At, w.last.Device, w.last.Why = w.opt.Now(), "", why
}

// Keen has every input told within about 20 ms, as a countdown needs it; without
// it once in a duty cycle. What was queued before may be told first: Input.At
// says when it was.
func (w *Watcher) Keen(on bool) {
	if w.keen.Swap(on) != on {
		w.ring()
	}
}

func (w *Watcher) cycle() time.Duration {
	if w.keen.Load() {
		return keenCycle
	}
	return w.opt.Cycle
}

// touched notes an input. One that is older than what is known changes nothing.
func (w *Watcher) touched(at time.Duration, device string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at >= w.last.At {
		w.last.At, w.last.Device, w.last.Why = at, device, ""
	}
}

// ring wakes the goroutine that watches, if there is one.
func (w *Watcher) ring() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bell >= 0 {
		_, _ = unix.Write(w.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // full is rung
	}
}
