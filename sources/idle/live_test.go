package idle

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/holoplot/go-evdev"
	"golang.org/x/sys/unix"
)

// A key is told with the kernel's own time of it; its repetition is not.
func TestLiveKeyboard(t *testing.T) {
	l := newLive(t, Options{})
	k := l.keyboard("live keyboard")
	l.atRest()
	l.forget()
	before := monotonic()
	k.send(key(evdev.KEY_F24, 1))
	after := monotonic()
	if in := l.told(k.name); in.At < before.Truncate(time.Microsecond) || in.At > after {
		t.Errorf("pressed between %v and %v, told as %v", before, after, in.At)
	}
	l.atRest()
	l.forget()
	k.send(key(evdev.KEY_F24, 2)) // wakes, and is nothing
	l.until("a rest of nothing", func(in Input, d time.Duration) bool { return d > 0 })
	if in, _ := l.Last(); in.Device != "" {
		t.Errorf("a key that repeats is told: %+v", in)
	}
}

// A mouse of 1,000 Hz wakes the loop once in a duty cycle; at rest nothing does.
func TestLiveMouseStorm(t *testing.T) {
	l := newLive(t, Options{})
	storm := exec.Command("/proc/self/exe", "-test.run=^TestLiveStorm$", "-test.v")
	storm.Env = append(os.Environ(), "MODEWATCH_STORM=6s")
	to, err := storm.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	from, err := storm.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := storm.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { to.Close(); _ = storm.Wait() }()
	l.told("storming mouse") // plugged in
	l.atRest()
	woken, began, used := l.wakes.Load(), monotonic(), usage(t)
	fmt.Fprintln(to, "go")
	var events int
	var first, last int64
	for lines := bufio.NewScanner(from); lines.Scan(); {
		if _, err := fmt.Sscanf(lines.Text(), "storm: %d %d %d", &events, &first, &last); err == nil {
			break
		}
	}
	spent, took := usage(t), monotonic()-began
	woken = l.wakes.Load() - woken
	t.Logf("figure: a mouse of %d motions in %v woke the loop %d times, and cost its process %v CPU time and %d switches",
		events, time.Duration(last-first).Round(time.Millisecond), woken, (spent.cpu - used.cpu).Round(10*time.Microsecond), spent.switches-used.switches)
	if most := 1 + 2*uint64(took/restCycle); woken > most || woken < 1 { // the end of a rest, and the queue that is full by then
		t.Errorf("woken %d times in %v, at most %d", woken, took, most)
	}
	l.until("the last motion", func(in Input, _ time.Duration) bool {
		return in.Device == "storming mouse" && in.At >= time.Duration(last).Truncate(time.Microsecond)
	})
	l.atRest()
	woken, used = l.wakes.Load(), usage(t)
	<-time.After(3 * time.Second) // in which nothing happens
	spent = usage(t)
	t.Logf("figure: 3 s at rest woke the loop %d times, and cost its process %v CPU time and %d switches",
		l.wakes.Load()-woken, (spent.cpu - used.cpu).Round(10*time.Microsecond), spent.switches-used.switches)
	if n := l.wakes.Load() - woken; n != 0 {
		t.Errorf("woken %d times at rest", n)
	}
}

// TestLiveStorm is the mouse of TestLiveMouseStorm, in a process of its own: its
// cost is not the watcher's.
func TestLiveStorm(t *testing.T) {
	d, err := time.ParseDuration(os.Getenv("MODEWATCH_STORM"))
	if err != nil {
		t.Skip("this is a part of TestLiveMouseStorm")
	}
	m := create(t, "storming mouse", usb, map[evdev.EvType][]evdev.EvCode{
		evdev.EV_KEY: {evdev.BTN_LEFT}, evdev.EV_REL: {evdev.REL_X, evdev.REL_Y}})
	in := bufio.NewReader(os.Stdin)
	if _, err := in.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	first, last, events := monotonic(), monotonic(), 0
	for last-first < d {
		<-tick.C
		for last = monotonic(); time.Duration(events)*time.Millisecond < last-first; events++ { // a tick may be late
			m.send(rel(int32(1 - events%2*2)))
		}
	}
	fmt.Println("storm:", events, int64(first), int64(last))
	_, _ = in.ReadString('\n') // until the watcher has seen all
}

// A stick that jitters is no input, one that is moved is. While it jitters in a
// rest a button is not lost; nor is where the stick was put.
func TestLiveGamepad(t *testing.T) {
	l := newLive(t, Options{Cycle: 2 * time.Second})
	p := createPad(t, "live gamepad")
	l.told(p.name)
	p.send(abs(evdev.ABS_X, 128), abs(evdev.ABS_Y, 128))
	l.told(p.name)
	l.atRest()
	jitter := func() {
		for i := range int32(500) {
			p.send(abs(evdev.ABS_X, 120+i%16))
		}
	}
	l.forget()
	jitter() // begins a rest
	before := monotonic()
	p.press(evdev.BTN_SOUTH)
	after := monotonic()
	jitter()
	if in := l.told(p.name); in.At < before.Truncate(time.Microsecond) || in.At > after {
		t.Errorf("pressed between %v and %v, told as %v", before, after, in.At)
	}
	l.atRest()
	l.forget()
	jitter()
	l.until("a rest of jitter", func(_ Input, d time.Duration) bool { return d > 0 })
	if l.has(p.name) {
		t.Error("a stick that jitters is told")
	}
	p.send(abs(evdev.ABS_X, 255)) // in the rest, and it stays there
	l.told(p.name)
}

// What comes is input and is watched, what goes is let go.
func TestLiveHotPlug(t *testing.T) {
	l := newLive(t, Options{})
	l.Keen(true)
	before, err := l.Last()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		k := l.keyboard("passing keyboard")
		if in, err := l.Last(); err != nil || in.Devices != before.Devices+1 || in.Device != k.name {
			t.Errorf("plugged in: %+v, %v; before %+v", in, err, before)
		}
		l.forget()
		k.press(evdev.KEY_F24)
		l.told(k.name)
		if err := k.dev.Close(); err != nil {
			t.Fatal(err)
		}
		l.until("the unplugging", func(in Input, _ time.Duration) bool { return in.Devices == before.Devices })
	}
}

// A remapper of keys grabs the keyboard, which then says nothing to us, and sends
// what is typed from a keyboard of its own: that one counts.
func TestLiveGrabbed(t *testing.T) {
	l := newLive(t, Options{})
	l.Keen(true)
	k, out := l.keyboard("grabbed keyboard"), l.keyboard("remapped keyboard")
	grabbed, err := evdev.OpenWithFlags(nodeOf(t, k.name), os.O_RDWR|unix.O_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	if err := grabbed.Grab(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			e, err := grabbed.ReadOne()
			if err != nil {
				return
			}
			if e.Type == evdev.EV_KEY && out.dev.WriteOne(e) == nil {
				_ = out.dev.WriteOne(&report)
			}
		}
	}()
	l.forget()
	k.press(evdev.KEY_F24)
	l.told(out.name)
	if l.has(k.name) {
		t.Error("the grabbed keyboard spoke to us")
	}
	grabbed.Close()
	<-ended
}

// Neither a denied device nor one that is not at hand counts, plugged in or used.
func TestLiveIgnored(t *testing.T) {
	l := newLive(t, Options{Deny: []string{"denied *"}})
	l.Keen(true)
	denied := create(t, "denied keyboard", usb, typing)
	// It has the key of a power button, but none that would switch a machine off is pressed.
	power := create(t, "live power button", evdev.InputID{BusType: evdev.BUS_HOST}, map[evdev.EvType][]evdev.EvCode{evdev.EV_KEY: {evdev.KEY_POWER, evdev.KEY_WAKEUP}})
	lid := create(t, "live lid", evdev.InputID{BusType: evdev.BUS_HOST}, map[evdev.EvType][]evdev.EvCode{evdev.EV_SW: {evdev.SW_CAMERA_LENS_COVER}})
	moved := createPad(t, "live accelerometer", evdev.INPUT_PROP_ACCELEROMETER)
	k := l.keyboard("counted keyboard")
	l.until("the denied keyboard", func(in Input, _ time.Duration) bool { return slices.Contains(in.Denied, denied.name) })
	denied.press(evdev.KEY_F24)
	power.press(evdev.KEY_WAKEUP)
	lid.send(evdev.InputEvent{Type: evdev.EV_SW, Code: evdev.SW_CAMERA_LENS_COVER, Value: 1})
	moved.send(abs(evdev.ABS_X, 255))
	k.press(evdev.KEY_F24)
	l.told(k.name)
	for _, v := range []*virtual{denied, power, lid, moved} {
		if l.has(v.name) {
			t.Errorf("%s counts", v.name)
		}
		if !openBy(t, nodeOf(t, v.name)) {
			continue
		}
		t.Errorf("%s is open", v.name)
	}
	if !openBy(t, nodeOf(t, k.name)) {
		t.Errorf("%s is not open", k.name)
	}
}

// Keen, each press is told by itself, at once.
func TestLiveKeen(t *testing.T) {
	l := newLive(t, Options{})
	k := l.keyboard("keen keyboard")
	l.Keen(true)
	var took []time.Duration
	for range 50 {
		l.atRest() // the shortest of rests is over
		began := monotonic()
		k.press(evdev.KEY_F24)
		for l.told(k.name).At < began.Truncate(time.Microsecond) {
		}
		took = append(took, monotonic()-began)
	}
	slices.Sort(took)
	t.Logf("figure: keen, a key is told after %v (median of %d), %v at most", took[len(took)/2].Round(time.Microsecond), len(took), took[len(took)-1].Round(time.Microsecond))
}
