package gpu

import (
	"fmt"
	"os"
	"testing"

	"github.com/modewatch/modewatch/fsm"
)

func TestCards(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(tree)
		want string // PCI, UUID, minor, nodes, display and AI of each
	}{
		{"none", func(tree) {}, "[]"},
		{"one of another maker", func(tr tree) {
			tr.drm("card0", "pci0000:00/0000:00:02.0")
			tr.drm("renderD128", "pci0000:00/0000:00:02.0")
		}, "[0000:00:02.0  -1 [/dev/dri/card0 /dev/dri/renderD128] true false]"},
		{"one of each", func(tr tree) {
			tr.drm("card10", "pci0000:00/0000:00:02.0")
			tr.drm("card2", "pci0000:00/0000:00:01.0/0000:01:00.0")
			tr.write("/dev/nvidia0", "")
			tr.driver("0000:01:00.0", "GPU-a", 0, "active")
		}, "[0000:01:00.0 GPU-a 0 [/dev/nvidia0 /dev/dri/card2] true true 0000:00:02.0  -1 [/dev/dri/card10] true false]"},
		{"a virtual machine's", func(tr tree) { tr.drm("card0", "pci0000:00/0000:00:03.0/virtio0") }, "[0000:00:03.0  -1 [/dev/dri/card0] true false]"},
		{"one that is no device of a bus", func(tr tree) { tr.drm("card0", "platform/vkms") }, "[  -1 [/dev/dri/card0] true false]"},
		{"nodes without a word of the kernel", func(tr tree) {
			for _, n := range []string{"/dev/nvidia0", "/dev/nvidia1", "/dev/dri/card0", "/dev/dri/card1", "/dev/dri/card2", "/dev/dri/by-path", "/dev/nvidiactl"} {
				tr.write(n, "")
			}
		}, "[  0 [/dev/nvidia0 /dev/dri/card0] true true   1 [/dev/nvidia1 /dev/dri/card1] true true   -1 [/dev/dri/card2] true false]"},
		{"one that nobody named", func(tr tree) { tr.drm("renderD128", "pci0000:00/0000:00:02.0") }, "[]"},
		{"one that nobody used yet", func(tr tree) {
			tr.write("/dev/nvidia1", "")
			tr.driver("0000:01:00.0", "GPU-????????-????-????-????-????????????", 1, "suspended")
		}, "[0000:01:00.0  1 [/dev/nvidia1] true true]"},
	} {
		tr := newTree(t)
		c.make(tr)
		cards, err := tr.source("", "").Cards()
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		got := []any{}
		for _, x := range cards {
			got = append(got, x.PCI, x.UUID, x.Minor, x.Nodes, x.Display, x.AI)
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
	}
}

func TestCardsThatCannotBeListed(t *testing.T) {
	for _, path := range []string{"/dev/dri", "/proc/driver/nvidia/gpus", "/proc/driver/nvidia/gpus/0000:01:00.0/information/x"} {
		tr := newTree(t, path) // a file where a directory has to be, and the other way round
		if cards, err := tr.source("", "").Cards(); err == nil {
			t.Errorf("%s: %v", path, cards)
		}
		if _, err := tr.source("", "").Look(t.Context()); err == nil {
			t.Errorf("%s: no error", path)
		}
	}
}

// A look on a host without NVIDIA costs a few microseconds.
func BenchmarkLookWithoutNVIDIA(b *testing.B) {
	root := b.TempDir()
	if err := os.MkdirAll(root+"/dev/dri", 0o755); err != nil {
		b.Fatal(err)
	}
	s := &Source{Root: root, Policy: func() fsm.GPUPolicy { return both }}
	for b.Loop() {
		if _, err := s.Look(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
