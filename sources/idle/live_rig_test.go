package idle

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/holoplot/go-evdev"
	"golang.org/x/sys/unix"
)

// The tests below make input devices by /dev/uinput and watch them through the
// kernel. They press keys that do nothing, so that no session is harmed.

const patience = time.Minute // for what a slow machine takes long to do

// live is a watcher of the real devices. What it hints at is noted.
type live struct {
	*Watcher
	t     *testing.T
	hints chan Input
	slept chan time.Duration // the loop has gone to sleep, for how long at most

	mu   sync.Mutex
	seen []string // the devices hinted at
}

func newLive(t *testing.T, opt Options) *live {
	t.Helper()
	f, err := os.OpenFile("/dev/uinput", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("input devices can only be made where there is uinput: %v", err)
	}
	f.Close()
	l := &live{t: t, hints: make(chan Input, 1000), slept: make(chan time.Duration, 1)}
	opt.Hint, opt.Log = l.hinted, func(text string) { t.Log("log: " + text) }
	l.Watcher = New(opt)
	l.Watcher.poll = func(fds []unix.PollFd, d time.Duration) (int, error) {
		select { // the last sleep is told, not the one before
		case <-l.slept:
		default:
		}
		l.slept <- d
		return poll(fds, d)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	l.until("the first look", func(Input, time.Duration) bool { return true })
	return l
}

func (l *live) hinted() {
	in, _ := l.Last()
	l.mu.Lock()
	l.seen = append(l.seen, in.Device)
	l.mu.Unlock()
	l.hints <- in
}

// has tells whether a device was hinted at since forget.
func (l *live) has(device string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Contains(l.seen, device)
}

// forget sets the clock, and forgets the hints so far.
func (l *live) forget() {
	l.Restart("forgotten")
	for len(l.hints) > 0 {
		<-l.hints
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = nil
}

// told waits for a hint about a device.
func (l *live) told(device string) Input {
	l.t.Helper()
	late := time.After(patience)
	for {
		select {
		case in := <-l.hints:
			if in.Device == device {
				return in
			}
		case <-late:
			in, err := l.Last()
			l.t.Fatalf("no input of %q; the last is %+v, %v", device, in, err)
		}
	}
}

// until waits, from sleep to sleep of the loop, for a state.
func (l *live) until(what string, wanted func(Input, time.Duration) bool) {
	l.t.Helper()
	late := time.After(patience)
	for {
		select {
		case d := <-l.slept:
			if in, err := l.Last(); err == nil && wanted(in, d) {
				return
			}
		case <-late:
			in, err := l.Last()
			l.t.Fatalf("%s does not come; the last input is %+v, %v", what, in, err)
		}
	}
}

// virtual is a device of ours.
type virtual struct {
	t    *testing.T
	name string
	dev  interface {
		WriteOne(*evdev.InputEvent) error
		Close() error
	}
}

var usb = evdev.InputID{BusType: evdev.BUS_USB, Vendor: 0x1209, Product: 1, Version: 1}

func create(t *testing.T, name string, id evdev.InputID, can map[evdev.EvType][]evdev.EvCode) *virtual {
	t.Helper()
	d, err := evdev.CreateDevice(name, id, can)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return &virtual{t, name, d}
}

var typing = map[evdev.EvType][]evdev.EvCode{evdev.EV_KEY: {evdev.KEY_Q, evdev.KEY_A, evdev.KEY_Z, evdev.KEY_SPACE, evdev.KEY_F24}}

func (l *live) keyboard(name string) *virtual {
	l.t.Helper()
	l.forget()
	v := create(l.t, name, usb, typing)
	l.told(name) // plugged in
	return v
}

func (v *virtual) send(events ...evdev.InputEvent) {
	v.t.Helper()
	for _, e := range append(events, report) {
		if err := v.dev.WriteOne(&e); err != nil {
			v.t.Fatalf("cannot write to %s: %v", v.name, err)
		}
	}
}

func (v *virtual) press(code evdev.EvCode) { v.t.Helper(); v.send(key(code, 1)); v.send(key(code, 0)) }

// pad is a device with axes from 0 to 255 of flat 15, which go-evdev cannot make.
type pad struct{ *os.File }

func (p pad) WriteOne(e *evdev.InputEvent) error { _, err := p.Write(raw(*e)); return err }

func createPad(t *testing.T, name string, props ...int) *virtual {
	t.Helper()
	f, err := os.OpenFile("/dev/uinput", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	set := func(request uint, value int) {
		if err := unix.IoctlSetInt(int(f.Fd()), request, value); err != nil {
			t.Fatalf("cannot make %s: ioctl %x: %v", name, request, err)
		}
	}
	const evBit, keyBit, absBit, propBit, devCreate = 0x40045564, 0x40045565, 0x40045567, 0x4004556e, 0x5501
	dev := evdev.UinputUserDevice{ID: usb}
	copy(dev.Name[:], name)
	set(evBit, evdev.EV_KEY)
	set(evBit, evdev.EV_ABS)
	set(keyBit, evdev.BTN_SOUTH)
	for _, a := range []int{evdev.ABS_X, evdev.ABS_Y} {
		set(absBit, a)
		dev.Absmax[a], dev.Absflat[a] = 255, 15
	}
	for _, p := range props {
		set(propBit, p)
	}
	var data bytes.Buffer
	if err := binary.Write(&data, binary.NativeEndian, dev); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(data.Bytes()); err != nil {
		t.Fatal(err)
	}
	set(devCreate, 0)
	return &virtual{t, name, pad{f}}
}

// atRest waits until nothing but a touch wakes the loop.
func (l *live) atRest() {
	l.t.Helper()
	l.until("rest", func(_ Input, d time.Duration) bool { return d < 0 })
}

// nodeOf finds the node of a device.
func nodeOf(t *testing.T, name string) string {
	t.Helper()
	all, err := evdev.ListDevicePaths()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		if d.Name == name {
			return d.Path
		}
	}
	t.Fatalf("no device is named %s", name)
	return ""
}

// openBy tells whether this process has a file open.
func openBy(t *testing.T, file string) bool {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(fds, func(e os.DirEntry) bool {
		to, err := os.Readlink(filepath.Join("/proc/self/fd", e.Name()))
		return err == nil && to == file
	})
}

type spent struct {
	cpu      time.Duration
	switches int64
}

func usage(t *testing.T) spent {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return spent{time.Duration(u.Utime.Nano() + u.Stime.Nano()), u.Nvcsw}
}
