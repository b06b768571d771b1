package idle

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/holoplot/go-evdev"
)

// traits is what is known of a device without opening it.
type traits struct {
	known bool // the kernel's folder tells of it
	name  string
	udev  tags
	caps  caps
}

// caps is what a device can do.
type caps struct {
	bus        uint16
	keys, rels codes
	props      map[evdev.EvProp]bool
}

// tags are udev's words about a device, ID_INPUT_KEYBOARD as KEYBOARD.
type tags map[string]bool

// spoken tells whether udev has classified the device at all.
func (t tags) spoken() bool { return t[""] }

// traits reads what udev and the kernel say of a node. What cannot be read is as
// good as not said: the device itself is asked then.
func (l *loop) traits(node string) traits {
	dir := filepath.Join(l.opt.Sys, node)
	name, err := os.ReadFile(filepath.Join(dir, "device/name"))
	t := traits{known: err == nil, name: strings.TrimSpace(string(name))}
	if number, err := os.ReadFile(filepath.Join(dir, "dev")); err == nil {
		data, _ := os.ReadFile(filepath.Join(l.opt.Udev, "c"+strings.TrimSpace(string(number))))
		t.udev = parseTags(data)
	}
	var bad bool
	read := func(file string) codes {
		data, err := os.ReadFile(filepath.Join(dir, "device", file))
		list, ok := parseBits(string(data))
		bad = bad || err != nil || !ok
		return list
	}
	t.caps = caps{keys: read("capabilities/key"), rels: read("capabilities/rel"), props: map[evdev.EvProp]bool{}}
	for p := range read("properties") {
		t.caps.props[evdev.EvProp(p)] = true
	}
	bus, err := os.ReadFile(filepath.Join(dir, "device/id/bustype"))
	number, wrong := strconv.ParseUint(strings.TrimSpace(string(bus)), 16, 16)
	t.caps.bus = uint16(number)
	t.known = t.known && !bad && err == nil && wrong == nil
	return t
}

// parseTags reads udev's data of one device (systemd's sd-device database).
func parseTags(data []byte) tags {
	out := tags{}
	for line := range bytes.Lines(data) {
		word, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "E:ID_INPUT")
		name, value, has := strings.Cut(word, "=")
		if on := value != "" && value != "0"; ok && has && (name == "" || name[0] == '_') {
			out[strings.TrimPrefix(name, "_")] = on
		}
	}
	return out
}

// parseBits reads a bitmap as the kernel prints it: words of a long in
// hexadecimal, the highest first.
func parseBits(text string) (codes, bool) {
	out, words := codes{}, strings.Fields(text)
	for i, w := range words {
		bits, err := strconv.ParseUint(w, 16, strconv.IntSize)
		if err != nil {
			return nil, false
		}
		for b := range strconv.IntSize {
			if bits>>b&1 == 1 {
				out[evdev.EvCode((len(words)-1-i)*strconv.IntSize+b)] = true
			}
		}
	}
	return out, len(words) > 0
}

// capsOf asks an open device.
func capsOf(d *evdev.InputDevice) caps {
	c := caps{keys: set(d.CapableEvents(evdev.EV_KEY)...), rels: set(d.CapableEvents(evdev.EV_REL)...), props: map[evdev.EvProp]bool{}}
	for _, p := range d.Properties() {
		c.props[p] = true
	}
	if id, err := d.InputID(); err == nil {
		c.bus = id.BusType
	}
	return c
}
