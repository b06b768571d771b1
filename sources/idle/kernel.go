package idle

import (
	"errors"
	"runtime"
	"time"
	"unsafe"

	"github.com/holoplot/go-evdev"
	"golang.org/x/sys/unix"
)

// kernel is the descriptor of an open evdev device.
type kernel int

// The requests of linux/input.h that go-evdev has not.
const (
	setClock = 0x400445a0 // EVIOCSCLOCKID
	setMask  = 0x40104593 // EVIOCSMASK
	getAxis  = 0x80184540 // EVIOCGABS(0)
)

// prepare has events stamped by the monotonic clock, and leaves those out that
// never count. A kernel that refuses costs precision or a wake-up, no input: the
// time of reading counts then.
func (k kernel) prepare() {
	clock := int32(unix.CLOCK_MONOTONIC)
	_ = k.ioctl(setClock, unsafe.Pointer(&clock))
	_ = k.hush(false)
}

// hush passes keys and relative motion, and axes unless on.
func (k kernel) hush(on bool) error {
	types := uint(1<<evdev.EV_SYN | 1<<evdev.EV_KEY | 1<<evdev.EV_REL) // a long, as the kernel's bitmaps are
	if !on {
		types |= 1 << evdev.EV_ABS
	}
	// The mask of type 0 is one of types.
	mask := evdev.InputMask{Type: evdev.EV_SYN, CodesSize: uint32(unsafe.Sizeof(types)), CodesPtr: uint64(uintptr(unsafe.Pointer(&types)))}
	err := k.ioctl(setMask, unsafe.Pointer(&mask))
	runtime.KeepAlive(&types)
	return err
}

func (k kernel) axis(code evdev.EvCode) (int32, error) {
	var a evdev.AbsInfo
	err := k.ioctl(getAxis+uint(code), unsafe.Pointer(&a))
	return a.Value, err
}

func (k kernel) ioctl(request uint, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(k), uintptr(request), uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

// monotonic is CLOCK_MONOTONIC, which is always there.
func monotonic() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return time.Duration(t.Nano())
}

// poll sleeps until something can be read, or wait is over; below zero it has no
// end. It never ends early, so that no round is made for nothing.
func poll(fds []unix.PollFd, wait time.Duration) (int, error) {
	ms := -1
	if wait >= 0 {
		ms = int((wait + time.Millisecond - 1) / time.Millisecond)
	}
	return unix.Poll(fds, ms)
}

// empty reads what an eventfd or inotify has: that there was something is all.
func empty(fd int) {
	var buf [4096]byte
	for {
		if _, err := unix.Read(fd, buf[:]); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
