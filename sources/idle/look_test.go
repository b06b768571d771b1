package idle

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/holoplot/go-evdev"
	"golang.org/x/sys/unix"
)

// describe lays out what the kernel and udev say of a node, from testdata.
func (r *rig) describe(node, name string, minor int) {
	r.t.Helper()
	for _, d := range describedDevices(r.t) {
		if d.name == name {
			d.put(r.t, r.opt, node, minor)
			return
		}
	}
	r.t.Fatalf("no device is named %q", name)
}

// What does not count, by udev and the kernel, is not even opened; nor is what is
// denied.
func TestNotOpened(t *testing.T) {
	r := newRig(t, Options{Deny: []string{"keyd *"}})
	for i, name := range []string{"Power Button", "Lid Switch", "PC Speaker", "Video Bus", "Wireless Controller Motion Sensors", "keyd virtual keyboard"} {
		node := "event" + string(rune('0'+i))
		r.describe(node, name, 64+i)
		r.plug(node, name, letters, nil)
		r.refuse(node, errBroken) // opening it would be told
	}
	r.describe("event9", "AT Translated Set 2 keyboard", 90)
	r.plug("event9", "AT Translated Set 2 keyboard", letters, nil)
	r.must(os.WriteFile(r.opt.Dev+"/mouse0", nil, 0o600)) // no event device
	r.sleeps(r.start(), atRest(1))
	if in, err := r.Last(); err != nil || in.Devices != 1 || len(in.Denied) != 1 || in.Denied[0] != "keyd virtual keyboard" {
		t.Errorf("%+v, %v", in, err)
	}
}

// udev speaks a moment after the node is there: its word then counts, either way.
func TestUdevSpeaksLate(t *testing.T) {
	for name, want := range map[string]int{"Logitech USB Optical Mouse": 1, "A keyboard that an entry of the hardware database takes back": 0} {
		r := newRig(t, Options{})
		r.describe("event0", name, 64)
		data := filepath.Join(r.opt.Udev, "c13:64")
		said, err := os.ReadFile(data)
		r.must(err)
		said = []byte(strings.ReplaceAll(string(said), "E:ID_INPUT_KEY=1\n", ""))
		r.must(os.Remove(data))
		r.plug("event0", name, letters, nil)
		r.sleeps(r.start(), nap{wait: settle, devices: 1, folder: true})
		r.must(os.WriteFile(data, said, 0o644))
		r.turn(settle)
		r.sleeps(r.nap(), atRest(want))
		r.hinted(0)
		r.touchedBy("", settle)
	}
}

// A keyboard whose node is not to be seen, as in a sandbox that hides it, leaves
// nobody able to tell. A node that is about to come, or to go, is waited for.
func TestHiddenNode(t *testing.T) {
	r := newRig(t, Options{})
	r.describe("event0", "AT Translated Set 2 keyboard", 64)
	r.describe("event1", "Power Button", 65)
	r.sleeps(r.start(), nap{wait: settle, folder: true})
	if in, err := r.Last(); err != nil || in.Devices != 0 {
		t.Errorf("at first: %+v, %v", in, err)
	}
	r.turn(settle)
	r.nap()
	if _, err := r.Last(); err == nil || !strings.Contains(err.Error(), "event0 (AT Translated Set 2 keyboard): no such file") {
		t.Errorf("a hidden node: %v", err)
	}
	r.turn(time.Minute)
	r.nap()
	r.turn(calm) // the next try is not due yet
	r.plug("event0", "AT Translated Set 2 keyboard", letters, nil)
	r.nap()
	if in, err := r.Last(); err != nil || in.Devices != 1 {
		t.Errorf("after it came: %+v, %v", in, err)
	}
}

// A device that goes away between the list and the opening is no trouble, and
// is not tried for ever.
func TestGoneWhileOpened(t *testing.T) {
	r := newRig(t, Options{})
	r.describe("event0", "AT Translated Set 2 keyboard", 64)
	r.plug("event0", "x", letters, nil)
	r.refuse("event0", unix.ENODEV)
	r.sleeps(r.start(), atRest(0))
	if in, err := r.Last(); err != nil || in.Devices != 0 {
		t.Errorf("%+v, %v", in, err)
	}
}

// A device that is there and cannot be read is told, and tried again.
func TestReadFails(t *testing.T) {
	e := &entry{node: "event0", device: "x"}
	l := &loop{Watcher: New(Options{}), known: map[string]*entry{"event0": e}, lookAt: never}
	l.lose(e, unix.EIO, 0)
	if err := l.unread(); err == nil || err.Error() != "event0 (x): input/output error" || l.lookAt != firstWait {
		t.Errorf("%v, next look at %v", err, l.lookAt)
	}
}

// A stamp that cannot be one on our clock gives way to the time of reading.
func TestStamp(t *testing.T) {
	for _, r := range []struct{ at, want time.Duration }{{0, time.Hour}, {time.Minute, time.Minute}, {2 * time.Hour, time.Hour}, {-1, time.Hour}} {
		if got := stamp(evdev.InputEvent{Time: syscall.NsecToTimeval(int64(r.at))}, time.Hour); got != r.want {
			t.Errorf("%v is taken for %v", r.at, got)
		}
	}
}

// An event that comes between the waking and the reading keeps its own time: it
// may be the one that is waited for.
func TestStampOfALateEvent(t *testing.T) {
	r := newRig(t, Options{})
	m := r.plug("event0", "mouse", mouse, nil)
	dev, err := r.opened("event0")
	r.must(err)
	defer dev.close()
	defer unix.Close(m.w)
	woken := r.now()
	r.clock += time.Second
	r.send(m, rel(1), report)
	l := &loop{Watcher: r.Watcher, events: make([]evdev.InputEvent, 8), open: []*entry{{device: "mouse", dev: dev}}}
	l.fds = []unix.PollFd{{}, {}, {Revents: unix.POLLIN}}
	l.take(woken)
	if in, _ := r.Last(); in.Device != "mouse" || in.At != woken+time.Second {
		t.Errorf("%+v, want it at %v", in, woken+time.Second)
	}
}
