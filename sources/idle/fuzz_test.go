package idle

import (
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/holoplot/go-evdev"
	"golang.org/x/sys/unix"
)

// FuzzTraits reads what udev and the kernel say of a device. A bit is set for each
// in the text; a word of udev's that is off is not on.
func FuzzTraits(f *testing.F) {
	f.Fuzz(func(t *testing.T, udev []byte, bits string) {
		for name, on := range parseTags(udev) {
			if !strings.Contains(string(udev), "E:ID_INPUT") || on && !strings.Contains(string(udev), name+"=") {
				t.Errorf("%q says %q: %v", udev, name, on)
			}
		}
		also := parseTags(append(udev, "\nE:ID_INPUT=1\nE:ID_INPUT_KEYBOARD=1\nE:ID_INPUT_MOUSE=0\n"...))
		if !also.spoken() || !also["KEYBOARD"] || also["MOUSE"] {
			t.Errorf("%q and a keyboard are %v", udev, also)
		}
		got, ok := parseBits(bits)
		if !ok {
			if len(got) > 0 {
				t.Errorf("%q: %v", bits, got)
			}
			return
		}
		if more, ok := parseBits(bits + " 0"); !ok || len(more) != len(got) && len(strings.Fields(bits)) < 1000 {
			t.Errorf("%q has %d bits, one word up %d", bits, len(got), len(more))
		}
	})
}

// FuzzEvents reads any events. What is no touch by its form counts as none, a touch
// is never of the future, and a key that is pressed last is never missed.
func FuzzEvents(f *testing.F) {
	const size = int(unsafe.Sizeof(evdev.InputEvent{}))
	f.Fuzz(func(t *testing.T, data []byte) {
		data = data[:min(len(data)/size, 40)*size]
		var pipe [2]int
		if err := unix.Pipe2(pipe[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		defer unix.Close(pipe[0])
		defer unix.Close(pipe[1])
		d := &device{fd: pipe[0], ctl: &fake{}, axes: watched(map[evdev.EvCode]evdev.AbsInfo{evdev.ABS_X: {Maximum: 255, Flat: 15}})}
		now := func() time.Duration { return time.Hour }
		drain := func(data []byte) (time.Duration, bool) {
			if _, err := unix.Write(pipe[1], data); err != nil && len(data) > 0 {
				t.Fatal(err)
			}
			at, touched, err := d.drain(make([]evdev.InputEvent, 16), now)
			if err != nil {
				t.Fatal(err)
			}
			if at > now() || at < 0 || touched != (at > 0) {
				t.Errorf("%x: touched %v at %v", data, touched, at)
			}
			return at, touched
		}
		drain(data)
		press := evdev.InputEvent{Type: evdev.EV_KEY, Code: evdev.KEY_A, Value: 1}
		if _, touched := drain(unsafe.Slice((*byte)(unsafe.Pointer(&press)), size)); !touched {
			t.Errorf("after %x a key is missed", data)
		}
		if _, touched := drain(nil); touched {
			t.Errorf("after %x nothing is a touch", data)
		}
	})
}
