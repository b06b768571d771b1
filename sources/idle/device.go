package idle

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"time"
	"unsafe"

	"github.com/holoplot/go-evdev"
	"golang.org/x/sys/unix"
)

// device is one open input device.
type device struct {
	fd     int
	name   string
	caps   caps
	axes   map[evdev.EvCode]*axis // those whose motion counts
	ctl    control
	hushed bool
	lost   bool // the queue ran over
}

// control is what the kernel does for an open device beside reading.
type control interface {
	// hush keeps the motion of axes out of the queue, or lets it in again.
	hush(on bool) error
	// axis returns where an axis stands.
	axis(evdev.EvCode) (int32, error)
}

// openDevice opens a device. It is classified through a handle of go-evdev, which
// is closed again: Go's own poller would be woken by every event that a handle
// of os.File gets. The descriptor that is kept is opened first, so that both
// belong to one device, or the kept one is dead and says so.
func openDevice(path string) (*device, error) {
	const flags = unix.O_RDONLY | unix.O_NONBLOCK
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	handle, err := evdev.OpenWithFlags(path, flags)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	defer handle.Close()
	name, err := handle.Name()
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	k := kernel(fd)
	k.prepare()
	axes, _ := handle.AbsInfos() // none
	return &device{fd: fd, name: name, caps: capsOf(handle), axes: watched(axes), ctl: k}, nil
}

func (d *device) close() { unix.Close(d.fd) }

// axis is one absolute axis: what is near to where it stood is jitter.
type axis struct{ at, zone int32 }

// watched picks the axes whose motion counts. Of several touching fingers the
// kernel reports one as a plain pointer, so that the slots of the others, each
// with its own place, are left out.
func watched(all map[evdev.EvCode]evdev.AbsInfo) map[evdev.EvCode]*axis {
	out := map[evdev.EvCode]*axis{}
	for code, a := range all {
		if code < evdev.ABS_MT_SLOT {
			out[code] = &axis{at: a.Value, zone: zone(a)}
		}
	}
	return out
}

// zone is how far an axis must go to count: its flat and fuzz, and not less than
// a sixteenth of its range, which is what the kernel takes for a stick's flat.
func zone(a evdev.AbsInfo) int32 {
	span := (int64(a.Maximum) - int64(a.Minimum)) / 16
	return int32(min(max(span, int64(a.Flat), int64(a.Fuzz), 0), math.MaxInt32))
}

// moved tells whether v is a motion, which is then the new place.
func (a *axis) moved(v int32) bool {
	if way := int64(v) - int64(a.at); way <= int64(a.zone) && -way <= int64(a.zone) {
		return false
	}
	a.at = v
	return true
}

// mostReads bounds one drain: what a device queues meanwhile waits.
const mostReads = 64

// drain empties the queue. It returns the time of the last touch in it; an error
// says that the device cannot be read any more. The clock is asked after each
// read: what came while it was made is not older than it is.
func (d *device) drain(buf []evdev.InputEvent, clock func() time.Duration) (at time.Duration, touched bool, err error) {
	for range mostReads {
		n, err := readEvents(d.fd, buf)
		if errors.Is(err, unix.EAGAIN) {
			break
		}
		if err != nil {
			return at, touched, err
		}
		now := clock()
		for _, e := range buf[:n] {
			if d.counts(e) {
				touched, at = true, max(at, stamp(e, now))
			}
		}
		if n < len(buf) {
			break
		}
	}
	if d.lost && d.sample() {
		touched, at = true, clock()
	}
	return at, touched, nil
}

// counts tells whether an event is a person's doing: not the repetition of a key
// that is held, not a switch, a lamp or a sound, not an axis at rest.
func (d *device) counts(e evdev.InputEvent) bool {
	switch e.Type {
	case evdev.EV_KEY:
		return e.Value != 2
	case evdev.EV_REL:
		return e.Value != 0
	case evdev.EV_ABS:
		if a := d.axes[e.Code]; a != nil {
			return a.moved(e.Value)
		}
		return e.Code == evdev.ABS_MT_TRACKING_ID // a finger comes or goes
	case evdev.EV_SYN:
		d.lost = d.lost || e.Code == evdev.SYN_DROPPED
	}
	return false
}

// sample looks where the axes stand, and tells whether one has moved.
func (d *device) sample() (moved bool) {
	d.lost = false
	for code, a := range d.axes {
		if v, err := d.ctl.axis(code); err == nil && a.moved(v) {
			moved = true
		}
	}
	return moved
}

// hush keeps axes out of the queue, or lets them in again; it tells whether that
// is a change. A kernel that cannot do it costs a button of a stick that jitters.
func (d *device) hush(on bool) (changed bool) {
	if d.hushed == on || len(d.axes) == 0 || d.ctl.hush(on) != nil {
		return false
	}
	d.hushed = on
	return true
}

// stamp is the event's own time, if it can be one.
func stamp(e evdev.InputEvent, now time.Duration) time.Duration {
	t := time.Duration(e.Time.Nano())
	if t <= 0 || t > now {
		return now
	}
	return t
}

// readEvents reads whole events into buf.
func readEvents(fd int, buf []evdev.InputEvent) (int, error) {
	const size = int(unsafe.Sizeof(evdev.InputEvent{}))
	n, err := unix.Read(fd, unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(buf))), size*len(buf)))
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Read(fd, unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(buf))), size*len(buf)))
	}
	switch {
	case err != nil:
		return 0, os.NewSyscallError("read", err)
	case n == 0:
		return 0, unix.ENODEV // its end: a device has none while it is there
	}
	return n / size, nil
}
