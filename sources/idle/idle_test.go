package idle

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/holoplot/go-evdev"
	"golang.org/x/sys/unix"
)

func raw(e evdev.InputEvent) []byte {
	return slices.Clone(unsafe.Slice((*byte)(unsafe.Pointer(&e)), unsafe.Sizeof(e)))
}

// atRest is a loop that nothing but a touch or a change of the folder wakes.
func atRest(devices int) nap { return nap{wait: -1, devices: devices, folder: true} }

func resting(d time.Duration) nap { return nap{wait: d, folder: true} }

// settled starts the watcher and lets the time pass in which udev may still
// speak about the devices that were there.
func (r *rig) settled(devices int) {
	r.t.Helper()
	r.sleeps(r.start(), nap{wait: settle, devices: devices, folder: true})
	r.turn(settle)
	r.sleeps(r.nap(), atRest(devices))
}

// One input wakes it once, whatever follows in the cycle; then it sleeps without
// end. The time told is that of the event.
func TestDutyCycle(t *testing.T) {
	r := newRig(t, Options{})
	m := r.plug("event0", "mouse", mouse, nil)
	r.settled(1)
	if in, err := r.Last(); err != nil || in.Device != "" || in.Why != "the watch began" || in.Quiet != settle || in.Devices != 1 {
		t.Fatalf("before any input: %+v, %v", in, err)
	}
	r.turn(time.Minute)
	r.send(m, rel(1), report)
	r.sleeps(r.nap(), resting(5*time.Second))
	r.touchedBy("mouse", 0)
	r.hinted(1)
	before := r.wakes.Load()
	for range 4 { // the rest of the cycle, moved all the time: the loop sleeps on
		r.turn(time.Second)
		r.send(m, rel(1), report)
	}
	if n := r.wakes.Load(); n != before {
		t.Errorf("woken %d times in a rest", n-before)
	}
	r.turn(time.Second)
	r.sleeps(r.nap(), atRest(1))
	r.sleeps(r.nap(), resting(5*time.Second)) // the queue was not empty: no sleep, but another rest
	r.touchedBy("mouse", time.Second)
	r.hinted(1)
	r.turn(5 * time.Second)
	r.sleeps(r.nap(), atRest(1))
	r.turn(time.Hour)
	r.touchedBy("mouse", time.Hour+6*time.Second)
	r.hinted(0)
}

// What is no input wakes at most once in a cycle too, and sets no clock.
func TestNoInput(t *testing.T) {
	r := newRig(t, Options{})
	k := r.plug("event0", "keyboard", letters, nil)
	r.settled(1)
	r.send(k, key(evdev.KEY_A, 2), evdev.InputEvent{Type: evdev.EV_MSC, Code: evdev.MSC_SCAN, Value: 4}, evdev.InputEvent{Type: evdev.EV_SW, Code: evdev.SW_LID, Value: 1},
		evdev.InputEvent{Type: evdev.EV_LED, Code: evdev.LED_CAPSL, Value: 1}, evdev.InputEvent{Type: evdev.EV_SND, Code: evdev.SND_BELL, Value: 1}, rel(0), dropped, report)
	r.sleeps(r.nap(), resting(5*time.Second))
	r.touchedBy("", settle)
	r.hinted(0)
	r.turn(5 * time.Second)
	r.sleeps(r.nap(), atRest(1))
	r.send(k, key(evdev.KEY_A, 0), report) // letting go is a touch
	r.nap()
	r.touchedBy("keyboard", 0)
}

func axisOf(low, high, flat int32) map[evdev.EvCode]evdev.AbsInfo {
	return map[evdev.EvCode]evdev.AbsInfo{evdev.ABS_X: {Minimum: low, Maximum: high, Flat: flat, Value: (low + high) / 2}}
}

// A stick that jitters or drifts off its middle and stays there is no input, and
// does not flood a button out of the queue: its axes are hushed in a rest.
func TestStick(t *testing.T) {
	r := newRig(t, Options{})
	s := r.plug("event0", "gamepad", stick, axisOf(0, 255, 15))
	s.place[evdev.ABS_X] = 127
	r.settled(1)
	for i := range int32(10) {
		r.send(s, abs(evdev.ABS_X, 127-15+3*i), report) // fifteen to either side
		r.sleeps(r.nap(), resting(5*time.Second))
		if !s.hushed() {
			t.Fatal("its axes are not hushed in a rest")
		}
		r.turn(5 * time.Second)
		r.sleeps(r.nap(), atRest(1))
		if s.hushed() {
			t.Fatal("its axes are hushed after the rest")
		}
	}
	r.hinted(0)
	r.touchedBy("", settle+50*time.Second)
	r.send(s, abs(evdev.ABS_X, 160), report)
	r.nap()
	r.touchedBy("gamepad", 0)
	r.hinted(1)
	s.mu.Lock()
	s.place[evdev.ABS_X] = 250 // moved while it was hushed, and held there
	s.mu.Unlock()
	r.turn(5 * time.Second)
	r.nap()
	r.touchedBy("gamepad", 0)
	r.hinted(1)
	r.turn(time.Minute)
	r.send(s, abs(evdev.ABS_X, 245), report) // drifted there
	r.nap()
	r.touchedBy("gamepad", time.Minute)
	r.send(s, key(evdev.BTN_SOUTH, 1), report)
	r.turn(5 * time.Second)
	r.nap()
	r.nap()
	r.touchedBy("gamepad", 5*time.Second)
}

// A queue that ran over is made up for by where the axes stand.
func TestOverflow(t *testing.T) {
	r := newRig(t, Options{})
	s := r.plug("event0", "wheel", stick, axisOf(-32768, 32767, 0))
	r.settled(1)
	s.place[evdev.ABS_X] = 20000
	r.send(s, dropped, report)
	r.nap()
	r.touchedBy("wheel", 0)
}

// Keen, each input is told at once, and after the shortest of rests again.
func TestKeen(t *testing.T) {
	r := newRig(t, Options{})
	m := r.plug("event0", "mouse", mouse, nil)
	r.settled(1)
	r.send(m, rel(1), report)
	r.sleeps(r.nap(), resting(5*time.Second))
	r.turn(time.Second)
	r.Keen(true) // it ends the rest
	r.sleeps(r.nap(), atRest(1))
	r.Keen(true)
	r.hinted(1)
	for range 3 {
		r.send(m, rel(1), report)
		r.sleeps(r.nap(), resting(keenCycle))
		r.touchedBy("mouse", 0)
		r.hinted(1)
		r.send(m, rel(1), report)
		r.turn(keenCycle)
		r.sleeps(r.nap(), atRest(1))
		r.sleeps(r.nap(), resting(keenCycle))
		r.hinted(1)
		r.turn(keenCycle)
		r.sleeps(r.nap(), atRest(1))
	}
	r.Keen(false)
	r.sleeps(r.nap(), atRest(1))
	r.send(m, rel(1), report)
	r.sleeps(r.nap(), resting(5*time.Second))
}

// A device that may count and cannot be opened leaves nobody able to tell; it is
// tried again, told once, and its name can be denied. What it cannot hide is that
// another was touched.
func TestUnreadable(t *testing.T) {
	r := newRig(t, Options{})
	r.plug("event0", "keyboard", letters, nil)
	m := r.plug("event1", "mouse", mouse, nil)
	r.refuse("event0", os.ErrPermission)
	r.sleeps(r.start(), nap{wait: firstWait, devices: 1, folder: true})
	if _, err := r.Last(); err == nil || !strings.Contains(err.Error(), "event0: open") && !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("%v", err)
	}
	r.turn(firstWait)
	r.sleeps(r.nap(), nap{wait: 2 * firstWait, devices: 1, folder: true})
	r.send(m, rel(1))
	r.nap()
	if in, err := r.Last(); err == nil || in.Device != "mouse" || in.Quiet != 0 {
		t.Errorf("%+v, %v", in, err)
	}
	if n := len(r.logs); n != 1 {
		t.Errorf("%d lines in the log", n)
	}
	<-r.logs
	r.refuse("event0", nil)
	r.turn(2 * firstWait)
	r.nap()
	if in, err := r.Last(); err != nil || in.Devices != 2 || in.Device != "mouse" {
		t.Errorf("after it could be opened: %+v, %v", in, err)
	}
	if line := <-r.logs; line != "the input devices are watched again" {
		t.Errorf("the log says %q", line)
	}
}

// A folder that cannot be listed, as one that is none, is no machine without
// devices.
func TestNoFolder(t *testing.T) {
	r := newRig(t, Options{})
	r.must(os.Remove(r.opt.Dev))
	r.must(os.WriteFile(r.opt.Dev, nil, 0o600))
	r.sleeps(r.start(), nap{wait: firstWait, folder: true})
	if _, err := r.Last(); err == nil || !strings.Contains(err.Error(), "cannot watch the input devices: cannot watch "+r.opt.Dev) {
		t.Errorf("%v", err)
	}
}

// A poll that fails ends a session and is told.
func TestPollFails(t *testing.T) {
	r := newRig(t, Options{})
	r.Watcher.poll = func([]unix.PollFd, time.Duration) (int, error) { return 0, errBroken }
	if err := r.session(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot poll: broken") {
		t.Errorf("%v", err)
	}
}

// The names of those denied are told; neither they nor what does not count are
// watched.
func TestDenied(t *testing.T) {
	r := newRig(t, Options{Deny: []string{"Yubi*", "keyd/virtual*"}})
	r.plug("event0", "Yubico YubiKey", letters, nil)
	r.plug("event1", "keyd/virtual keyboard/2", letters, nil)
	r.plug("event2", "Power Button", powerBtn, nil)
	r.plug("event3", "mouse", mouse, nil)
	r.settled(1)
	in, err := r.Last()
	if err != nil || in.Devices != 1 || !slices.Equal(in.Denied, []string{"Yubico YubiKey", "keyd/virtual keyboard/2"}) {
		t.Errorf("%+v, %v", in, err)
	}
}

// Restart sets the clock; what happened before it does not set it back.
func TestRestart(t *testing.T) {
	r := newRig(t, Options{})
	if _, err := r.Last(); err == nil || err.Error() != "nobody watches the input devices here" {
		t.Errorf("before Run: %v", err)
	}
	m := r.plug("event0", "mouse", mouse, nil)
	r.settled(1)
	r.send(m, rel(1))
	r.nap()
	r.turn(time.Second)
	r.send(m, rel(1)) // queued in the rest, before the sleep
	r.turn(time.Second)
	r.Restart("resume")
	r.turn(3 * time.Second)
	r.nap()
	r.nap()
	if in, err := r.Last(); err != nil || in.Device != "" || in.Why != "resume" || in.Quiet != 3*time.Second {
		t.Errorf("%+v, %v", in, err)
	}
	if f, err := r.Idle(t.Context()); err != nil || f.Why != "resume" || f.Quiet != 3*time.Second || f.Devices != 1 {
		t.Errorf("%+v, %v", f, err)
	}
	r.cancel()
	for range r.asleep {
	}
	if _, err := r.Last(); err == nil {
		t.Error("told after the end of Run")
	}
	r.ring() // nobody to wake
}
