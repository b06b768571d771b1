package idle

import (
	"os"
	"testing"
	"time"

	"github.com/holoplot/go-evdev"
	"golang.org/x/sys/unix"
)

// A device that comes is input and is watched; one that goes is let go, whether
// its node or its descriptor says so first.
func TestHotPlug(t *testing.T) {
	r := newRig(t, Options{})
	r.sleeps(r.start(), atRest(0))
	if in, err := r.Last(); err != nil || in.Devices != 0 {
		t.Fatalf("without a device: %+v, %v", in, err)
	}
	r.turn(time.Minute)
	k := r.plug("event0", "keyboard", letters, nil)
	r.sleeps(r.nap(), nap{wait: settle, devices: 1, folder: true})
	r.touchedBy("keyboard", 0)
	r.hinted(1)
	r.turn(settle)
	r.sleeps(r.nap(), atRest(1))

	r.turn(time.Minute)
	r.unplug("event0")
	r.sleeps(r.nap(), atRest(0))
	if r.trySend(k, report) == nil {
		t.Error("the descriptor of what was unplugged is still open")
	}
	r.turn(time.Minute)
	m := r.plug("event1", "mouse", mouse, nil)
	r.sleeps(r.nap(), nap{wait: settle, devices: 1, folder: true})
	r.turn(settle)
	r.sleeps(r.nap(), atRest(1))
	r.hinted(1)
	unix.Close(m.w)
	m.w = -1
	r.sleeps(r.nap(), resting(restCycle))
	if in, err := r.Last(); err != nil || in.Devices != 0 || in.Device != "mouse" {
		t.Errorf("after its descriptor died: %+v, %v", in, err)
	}
	r.turn(restCycle)
	r.sleeps(r.nap(), atRest(0)) // no busy loop
}

// A node that is made anew within one look is another device.
func TestReplacedNode(t *testing.T) {
	r := newRig(t, Options{})
	r.plug("event0", "keyboard", letters, nil)
	r.settled(1)
	r.turn(time.Minute)
	other := r.opt.Dev + "/other" // so that the number of the old node is not given again
	r.must(os.WriteFile(other, nil, 0o600))
	r.nap()
	r.turn(time.Minute)
	r.plugOver(other, "event0", "pen", caps{keys: set(evdev.BTN_STYLUS)})
	r.sleeps(r.nap(), nap{wait: settle, devices: 1, folder: true})
	r.touchedBy("pen", 0)
}

func (r *rig) plugOver(from, node, name string, c caps) {
	r.t.Helper()
	r.mu.Lock()
	old := r.makes[node]
	r.makes[node] = &fake{w: -1, name: name, caps: c}
	r.mu.Unlock()
	r.t.Cleanup(func() { unix.Close(old.w) })
	r.must(os.Rename(from, r.opt.Dev+"/"+node))
}

// A storm of changes is one look in a quarter of a second.
func TestPlugStorm(t *testing.T) {
	r := newRig(t, Options{})
	r.start()
	r.turn(time.Minute)
	before := r.wakes.Load()
	r.plug("event0", "keyboard", letters, nil)
	r.nap()
	r.plug("event1", "mouse", mouse, nil)
	r.sleeps(r.nap(), nap{wait: calm, devices: 1}) // the folder cannot wake it
	for range 100 {
		r.plug("event9", "flapping", mouse, nil)
		r.unplug("event9")
	}
	r.turn(calm)
	r.sleeps(r.nap(), nap{wait: settle - calm, devices: 2, folder: true})
	if n := r.wakes.Load() - before; n != 3 {
		t.Errorf("woken %d times", n)
	}
}

// A folder that does not exist is a machine without input devices; it is waited
// for, and what comes with it is plugged in.
func TestFolderComesAndGoes(t *testing.T) {
	r := newRig(t, Options{})
	r.must(os.Remove(r.opt.Dev))
	r.opt.Dev = r.dir + "/dev/deeper/input"
	r.sleeps(r.start(), atRest(0))
	for _, dir := range []string{r.dir + "/dev", r.dir + "/dev/deeper", r.opt.Dev} {
		r.turn(time.Minute)
		r.must(os.Mkdir(dir, 0o755))
		r.sleeps(r.nap(), atRest(0))
		r.sleeps(r.nap(), nap{wait: calm}) // the watch of the one above has ended
		r.turn(calm)
		r.sleeps(r.nap(), atRest(0))
		if in, err := r.Last(); err != nil || in.Devices != 0 {
			t.Fatalf("without devices: %+v, %v", in, err)
		}
	}
	r.turn(time.Minute)
	r.plug("event0", "keyboard", letters, nil)
	r.sleeps(r.nap(), nap{wait: settle, devices: 1, folder: true})
	r.touchedBy("keyboard", 0)

	r.must(os.RemoveAll(r.dir + "/dev"))
	r.until(func(in Input) bool { return in.Devices == 0 })
	r.must(os.MkdirAll(r.opt.Dev, 0o755))
	r.plug("event0", "mouse", mouse, nil)
	r.until(func(in Input) bool { return in.Devices == 1 && in.Device == "mouse" })
}

// until lets time pass until the last input is as wanted.
func (r *rig) until(wanted func(Input) bool) {
	r.t.Helper()
	for range 100 {
		if in, err := r.Last(); err == nil && wanted(in) {
			return
		}
		r.turn(calm)
		r.nap()
	}
	r.t.Fatal("it does not come to that")
}
