package idle

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holoplot/go-evdev"
)

// described is one device of testdata/devices.txt.
type described struct {
	name, bus, props, key, rel string
	udev                       []string
	want                       [2]kind // by udev, and without
}

func describedDevices(t *testing.T) []described {
	t.Helper()
	data, err := os.ReadFile("testdata/devices.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []described
	for block := range strings.SplitSeq(string(data), "\n\n") {
		var d described
		for line := range strings.Lines(block) {
			line = strings.TrimRight(line, "\n")
			for prefix, to := range map[string]*string{"N: ": &d.name, "I: ": &d.bus, "P: ": &d.props, "B: KEY=": &d.key, "B: REL=": &d.rel} {
				if v, ok := strings.CutPrefix(line, prefix); ok {
					*to = v
				}
			}
			if strings.HasPrefix(line, "E: ") {
				d.udev = append(d.udev, "E:"+line[3:])
			}
			if v, ok := strings.CutPrefix(line, "= "); ok {
				for i, w := range strings.Fields(strings.ReplaceAll(v, "none", "-")) {
					d.want[i] = kind(strings.Trim(w, "-"))
				}
			}
		}
		if d.name != "" {
			all = append(all, d)
		}
	}
	return all
}

// put lays a device out as the kernel and udev do.
func (d described) put(t *testing.T, opt Options, node string, minor int) {
	t.Helper()
	dir := filepath.Join(opt.Sys, node)
	number := fmt.Sprintf("13:%d", minor)
	for file, text := range map[string]string{
		"dev": number, "device/name": d.name, "device/id/bustype": d.bus, "device/properties": d.props,
		"device/capabilities/key": d.key, "device/capabilities/rel": d.rel,
	} {
		file = filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(opt.Udev, 0o755); err != nil {
		t.Fatal(err)
	}
	lines := append([]string{"S:input/by-path/x", "I:12345", "E:ID_BUS=usb"}, d.udev...)
	if err := os.WriteFile(filepath.Join(opt.Udev, "c"+number), []byte(strings.Join(lines, "\n")+"\nG:seat\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestClassify(t *testing.T) {
	dir := t.TempDir()
	w := New(Options{Sys: filepath.Join(dir, "sys"), Udev: filepath.Join(dir, "udev")})
	l := &loop{Watcher: w}
	devices := describedDevices(t)
	if len(devices) < 25 {
		t.Fatalf("only %d devices", len(devices))
	}
	for i, d := range devices {
		node := fmt.Sprintf("event%d", i)
		d.put(t, w.opt, node, 64+i)
		got := l.traits(node)
		if !got.known || got.name != d.name || !got.udev.spoken() {
			t.Errorf("%s: read as %q, known %v, udev %v", d.name, got.name, got.known, got.udev)
		}
		if k := classify(got.udev, got.caps); k != d.want[0] {
			t.Errorf("%s: %q by udev, want %q", d.name, k, d.want[0])
		}
		if k := classify(nil, got.caps); k != d.want[1] {
			t.Errorf("%s: %q by what it can do, want %q", d.name, k, d.want[1])
		}
	}
}

// What the kernel's folder does not tell whole is not believed.
func TestTraitsUnknown(t *testing.T) {
	for _, lost := range []string{"device/name", "device/properties", "device/id/bustype", "device/capabilities/key", "device/capabilities/rel"} {
		for _, text := range []string{"", "zz"} {
			dir := t.TempDir()
			w := New(Options{Sys: dir, Udev: filepath.Join(dir, "udev")})
			describedDevices(t)[0].put(t, w.opt, "event0", 64)
			file := filepath.Join(dir, "event0", lost)
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			if lost != "device/name" && text != "" {
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got := (&loop{Watcher: w}).traits("event0"); got.known {
				t.Errorf("known without %s: %+v", lost, got)
			}
		}
	}
}

func TestParseBits(t *testing.T) {
	for text, want := range map[string][]evdev.EvCode{
		"0": {}, "3": {0, 1}, "1 0": {64}, "8000000000000000 0 1": {0, 191}, " 10 \n": {4},
	} {
		if got, ok := parseBits(text); !ok || len(got) != len(want) || !got.all(want...) {
			t.Errorf("%q is %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", " \n", "g", "10000000000000000"} {
		if got, ok := parseBits(text); ok {
			t.Errorf("%q is %v", text, got)
		}
	}
}

// How far an axis must go, and that slots of fingers are not looked at.
func TestZone(t *testing.T) {
	for _, r := range []struct {
		evdev.AbsInfo
		want int32
	}{
		{evdev.AbsInfo{}, 0}, {evdev.AbsInfo{Minimum: -1, Maximum: 1}, 0}, {evdev.AbsInfo{Maximum: 255}, 15},
		{evdev.AbsInfo{Maximum: 255, Flat: 30}, 30}, {evdev.AbsInfo{Maximum: 255, Fuzz: 40, Flat: 30}, 40},
		{evdev.AbsInfo{Minimum: -32768, Maximum: 32767, Fuzz: 16, Flat: 128}, 4095}, {evdev.AbsInfo{Minimum: 9, Maximum: -9, Flat: -5}, 0},
		{evdev.AbsInfo{Minimum: -1 << 31, Maximum: 1<<31 - 1}, 1<<28 - 1},
	} {
		if got := zone(r.AbsInfo); got != r.want {
			t.Errorf("%+v: %d, want %d", r.AbsInfo, got, r.want)
		}
	}
	axes := watched(map[evdev.EvCode]evdev.AbsInfo{evdev.ABS_X: {Value: 7}, evdev.ABS_MT_POSITION_X: {}, evdev.ABS_MT_SLOT: {}})
	if len(axes) != 1 || axes[evdev.ABS_X].at != 7 {
		t.Errorf("%v", axes)
	}
	a := axis{at: -1 << 31, zone: 10}
	if !a.moved(1<<31-1) || a.moved(1<<31-11) || !a.moved(1<<31-12) {
		t.Error("the ends of the range are not held apart")
	}
	hat := axis{}
	if hat.moved(0) || !hat.moved(1) || hat.moved(1) || !hat.moved(0) {
		t.Error("a hat is not told apart")
	}
}

func TestDeniesPatterns(t *testing.T) {
	for _, r := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "a/b", true}, {"keyd*", "keyd virtual keyboard", true}, {"keyd*", "a keyd", false}, {"a/?", "a/b", true}, {"a?b", "a/b", true},
		{"[", "[", false}, {"Power Button", "Power Button", true},
	} {
		if got := denies([]string{"nothing", r.pattern}, r.name); got != r.want {
			t.Errorf("%q, %q: %v", r.pattern, r.name, got)
		}
	}
}
