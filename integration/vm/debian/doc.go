// Package debian boots a whole Debian in a virtual machine for tests: the lab's root
// (package lab) with a kernel of its own, and so with udev, sound cards, input
// devices, virtual terminals, a GPU and control groups that are really enforced. It
// is imported by tests only. Tests that need a kernel but no system around them are
// cheaper in package vm.
//
// # Use
//
//	func TestSilence(t *testing.T) {
//		m := debian.Boot(t, debian.Options{
//			Install: []string{destdir},                  // what make install DESTDIR= made
//			Files:   map[string]string{"/etc/x": "..."}, // executable if it begins with #!
//		})
//		m.Must(t, "modprobe", "snd-dummy")               // fails the test if the command fails
//		r, err := m.Run(t.Context(), "modewatch", "state", "--json")
//		err = m.Put(t.Context(), "/on/the/host", "/in/the/guest")
//		m.Key(t, "shift")                                // on its keyboard; Move is its mouse
//		err = m.QMP(t.Context(), "system_wakeup", nil, nil)
//	}
//
// # How it is quick
//
// recipe.sh makes a disk, once, as a cached file. It is booted, once, on a qcow2
// overlay, and when the system in it is up its whole state is saved into that
// overlay. Each test takes a copy of the overlay and goes on from the saved state:
// a second instead of twenty. All tests of a machine so begin at the same moment,
// with nothing of each other; only the wall clock is set.
//
// The saved state is that of one emulator, one accelerator and one agent (agent/,
// which does in the machine what the test says, over a serial port): another makes
// another. Emulation always works. Where /dev/kvm can be opened it is tried when
// the state is made, and used if a boot by it is clean; MODEWATCH_VM_ACCEL=tcg or
// kvm forces either.
//
// # What keeps a failed run clean
//
// The emulator dies with the thread that started it, which lives as long as the
// machine, and so with the test's process, however that ends. The copied overlay is
// in the test's temporary directory. The machine has no network.
//
// Environment: MODEWATCH_LAB as for package lab; MODEWATCH_VM_CACHE is the directory
// of disks and states (/var/cache/modewatch-vm); MODEWATCH_VM_SLEEP=1 runs the test
// that suspends a machine, too.
package debian
