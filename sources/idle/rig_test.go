package idle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/holoplot/go-evdev"
	"golang.org/x/sys/unix"
)

// rig is a watcher whose own loop sleeps in the real poll(2), over pipes that
// stand for devices, with a clock that the test turns. The loop hands each sleep
// to the test, so that nothing depends on how fast the machine is.
type rig struct {
	*Watcher
	t      *testing.T
	dir    string
	asleep chan nap
	alarm  int // wakes the poll when the clock was turned
	hints  chan time.Duration
	logs   chan string
	ended  chan error
	cancel context.CancelFunc

	mu    sync.Mutex
	clock time.Duration
	makes map[string]*fake // by node
	deny  map[string]error // what opening a node gives
}

// nap is one sleep of the loop.
type nap struct {
	wait    time.Duration // below zero: no end
	devices int           // that could wake it
	folder  bool          // whether changes of the folder could
}

// fake is a device: what is written to it is read by the watcher.
type fake struct {
	w     int
	name  string
	caps  caps
	axes  map[evdev.EvCode]evdev.AbsInfo
	mu    sync.Mutex
	deaf  bool // its axes are hushed
	place map[evdev.EvCode]int32
}

func (f *fake) hush(on bool) error { f.mu.Lock(); defer f.mu.Unlock(); f.deaf = on; return nil }

func (f *fake) axis(code evdev.EvCode) (int32, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.place[code], nil
}

func (f *fake) hushed() bool { f.mu.Lock(); defer f.mu.Unlock(); return f.deaf }

var (
	letters  = caps{keys: set(evdev.KEY_Q, evdev.KEY_A, evdev.KEY_Z, evdev.KEY_SPACE)}
	mouse    = caps{keys: set(evdev.BTN_LEFT), rels: set(evdev.REL_X, evdev.REL_Y)}
	stick    = caps{keys: set(evdev.BTN_SOUTH)}
	powerBtn = caps{bus: evdev.BUS_HOST, keys: set(evdev.KEY_POWER)}
)

func newRig(t *testing.T, opt Options) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), asleep: make(chan nap), hints: make(chan time.Duration, 100), logs: make(chan string, 100),
		ended: make(chan error, 1), clock: time.Hour, makes: map[string]*fake{}, deny: map[string]error{}}
	opt.Dev, opt.Udev, opt.Sys = filepath.Join(r.dir, "input"), filepath.Join(r.dir, "udev"), filepath.Join(r.dir, "sys")
	opt.Now = r.now
	opt.Hint = func() { r.hints <- r.now() }
	opt.Log = func(s string) { r.logs <- s }
	r.Watcher = New(opt)
	r.Watcher.open, r.Watcher.poll = r.opened, r.sleep
	var err error
	if r.alarm, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	r.must(os.Mkdir(opt.Dev, 0o755))
	return r
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) now() time.Duration { r.mu.Lock(); defer r.mu.Unlock(); return r.clock }

// start runs the watcher until the test ends and returns its first sleep.
func (r *rig) start() nap {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() { r.ended <- r.Run(ctx); close(r.asleep) }()
	r.t.Cleanup(func() {
		cancel()
		for range r.asleep { //nolint:revive // naps on the way out
		}
		if err := <-r.ended; err != nil {
			r.t.Errorf("Run returned %v", err)
		}
		for _, f := range r.makes {
			unix.Close(f.w)
		}
		unix.Close(r.alarm)
	})
	return r.nap()
}

// nap waits until the loop sleeps again.
func (r *rig) nap() nap {
	r.t.Helper()
	select {
	case n := <-r.asleep:
		return n
	case <-time.After(30 * time.Second):
		panic(r.t.Name() + ": the loop does not sleep")
	}
}

// sleep is the watcher's poll: the real one, but that time passes only by turn.
func (r *rig) sleep(fds []unix.PollFd, wait time.Duration) (int, error) {
	until := r.now() + wait
	r.asleep <- nap{wait: wait, devices: len(fds) - 2, folder: fds[1].Fd >= 0}
	all := append(append([]unix.PollFd{}, fds...), pollable(r.alarm))
	for {
		n, err := unix.Poll(all, -1)
		if err != nil {
			return n, err
		}
		for i := range fds {
			fds[i].Revents = all[i].Revents
		}
		if all[len(fds)].Revents == 0 {
			return n, nil
		}
		empty(r.alarm)
		if n > 1 || wait >= 0 && r.now() >= until {
			return n - 1, nil
		}
	}
}

// turn lets time pass while the loop sleeps. It does not wait for the loop.
func (r *rig) turn(d time.Duration) {
	r.mu.Lock()
	r.clock += d
	r.mu.Unlock()
	_, err := unix.Write(r.alarm, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	r.must(err)
}

// plug makes a device and its node.
func (r *rig) plug(node, name string, c caps, axes map[evdev.EvCode]evdev.AbsInfo) *fake {
	r.t.Helper()
	f := &fake{w: -1, name: name, caps: c, axes: axes, place: map[evdev.EvCode]int32{}}
	r.mu.Lock()
	r.makes[node] = f
	r.mu.Unlock()
	r.must(os.WriteFile(filepath.Join(r.opt.Dev, node), nil, 0o600))
	return f
}

func (r *rig) unplug(node string) {
	r.t.Helper()
	r.must(os.Remove(filepath.Join(r.opt.Dev, node)))
}

// opened stands for openDevice.
func (r *rig) opened(path string) (*device, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, err := r.makes[filepath.Base(path)], r.deny[filepath.Base(path)]
	switch {
	case err != nil:
		return nil, fmt.Errorf("open %s: %w", path, err)
	case f == nil:
		return nil, unix.ENOENT
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, err
	}
	f.w = fds[1]
	return &device{fd: fds[0], name: f.name, caps: f.caps, axes: watched(f.axes), ctl: f}, nil
}

func (r *rig) refuse(node string, err error) { r.mu.Lock(); defer r.mu.Unlock(); r.deny[node] = err }

// send queues events that happen now, in one write.
func (r *rig) send(f *fake, events ...evdev.InputEvent) {
	r.t.Helper()
	r.must(r.trySend(f, events...))
}

func (r *rig) trySend(f *fake, events ...evdev.InputEvent) error {
	var data []byte
	for _, e := range events {
		e.Time = syscall.NsecToTimeval(int64(r.now()))
		data = append(data, raw(e)...)
	}
	_, err := unix.Write(f.w, data)
	return err
}

func key(code evdev.EvCode, value int32) evdev.InputEvent {
	return evdev.InputEvent{Type: evdev.EV_KEY, Code: code, Value: value}
}

func rel(v int32) evdev.InputEvent {
	return evdev.InputEvent{Type: evdev.EV_REL, Code: evdev.REL_X, Value: v}
}

func abs(code evdev.EvCode, v int32) evdev.InputEvent {
	return evdev.InputEvent{Type: evdev.EV_ABS, Code: code, Value: v}
}

var (
	report  = evdev.InputEvent{Type: evdev.EV_SYN, Code: evdev.SYN_REPORT}
	dropped = evdev.InputEvent{Type: evdev.EV_SYN, Code: evdev.SYN_DROPPED}
)

// touchedBy checks the last input.
func (r *rig) touchedBy(device string, quiet time.Duration) {
	r.t.Helper()
	in, err := r.Last()
	if err != nil || in.Device != device || in.Quiet.Round(time.Microsecond) != quiet || in.At+in.Quiet != r.now() {
		r.t.Errorf("the last input is %+v, %v; want %q before %v", in, err, device, quiet)
	}
}

// hinted checks how many hints came since it was asked last.
func (r *rig) hinted(want int) {
	r.t.Helper()
	if n := len(r.hints); n != want {
		r.t.Errorf("%d hints, want %d", n, want)
	}
	for len(r.hints) > 0 {
		<-r.hints
	}
}

func (r *rig) sleeps(got nap, want nap) {
	r.t.Helper()
	if got != want {
		r.t.Errorf("sleeps %+v, want %+v", got, want)
	}
}

var errBroken = errors.New("broken")
