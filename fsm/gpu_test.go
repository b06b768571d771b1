package fsm

import (
	"slices"
	"strings"
	"testing"
)

func TestGPUWithTheDriver(t *testing.T) {
	sway := GPUHolder{PID: 5, Comm: "sway", Node: "/dev/nvidia0", Display: true}
	card := GPUHolder{PID: 5, Comm: "sway", Node: "/dev/dri/card0", Display: true}
	nodes := GPU{Present: []string{"/dev/nvidia0"}, Holders: []GPUHolder{card, sway}, Looked: []string{"a"}}
	told := GPUHolder{PID: 5, Comm: "sway", Node: "/dev/nvidia0", Kind: "graphics", Memory: 7 << 20}
	hidden := GPUHolder{PID: 6, Comm: "python3", Node: "/dev/nvidia0", Kind: "compute"}
	got := nodes.With(GPU{Driver: "580", Cards: []Card{{PCI: "0000:01:00.0"}}, Holders: []GPUHolder{told, hidden}, Looked: []string{"b"}})
	told.Display = true // the node is of the display by what it is open as
	if want := []GPUHolder{card, told, hidden}; !slices.Equal(got.Holders, want) {
		t.Errorf("%+v, want %+v", got.Holders, want)
	}
	if got.Driver != "580" || len(got.Cards) != 1 || strings.Join(got.Looked, "") != "ab" || len(got.Present) != 1 {
		t.Errorf("%+v", got)
	}
	if nodes.Holders[1] != sway {
		t.Error("what the nodes told was changed")
	}
}

func TestGPUHolderIsNamed(t *testing.T) {
	for _, r := range []struct {
		GPUHolder
		want string
	}{
		{GPUHolder{PID: 5, Comm: "sway", Node: "/dev/dri/card0"}, "sway (PID 5, uid 0) holds /dev/dri/card0"},
		{GPUHolder{PID: 5, Comm: "x", UID: 7, Unit: "a.service", Node: "/dev/nvidia0", Kind: "mps"}, "x (PID 5, uid 7, a.service) holds /dev/nvidia0 (mps)"},
		{GPUHolder{PID: 5, Comm: "x", Node: "/dev/nvidia0", Kind: "compute", Memory: 1<<30 + 1}, "x (PID 5, uid 0) holds /dev/nvidia0 (compute, 1025 MiB)"},
	} {
		if got := r.GPUHolder.String(); got != r.want {
			t.Errorf("%q, want %q", got, r.want)
		}
	}
	for want, c := range map[string]Card{
		"One GPU-a": {Name: "One", UUID: "GPU-a", PCI: "0000:01:00.0"}, "0000:01:00.0": {PCI: "0000:01:00.0", Nodes: []string{"/dev/dri/card0"}},
		"/dev/dri/card0": {Nodes: []string{"/dev/dri/card0"}}, "a GPU that cannot be named": {Name: "One"},
	} {
		if got := c.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestAbsentGPUs(t *testing.T) {
	one, two := []Card{{PCI: "0000:01:00.0"}}, []Card{{PCI: "0000:01:00.0"}, {PCI: "0000:41:00.0"}}
	for _, r := range []struct {
		name    string
		planned int
		gpu     Reading[GPU]
		want    string
	}{
		{"one of two", 2, read(GPU{Cards: one}), "gpu-absent:1"},
		{"both", 2, read(GPU{Cards: two}), ""},
		{"more than planned", 1, read(GPU{Cards: two}), ""},
		{"none of two", 2, read(GPU{}), "gpu-absent:0 gpu-absent:1"},
		{"not looked at", 2, Reading[GPU]{}, ""},
		{"not readable", 2, Reading[GPU]{Cause: "lost"}, ""},
	} {
		p, f := testPolicy(), newHost().alice().read()
		p.GPU.Planned, f.GPU = r.planned, r.gpu
		o := Classify(f, p)
		if got := strings.Join(whats(o), " "); got != r.want {
			t.Errorf("%s: degraded %q, want %q", r.name, got, r.want)
		}
		if len(Unmet(o)) > 0 {
			t.Errorf("%s: %v keeps the mode from being reached", r.name, Unmet(o))
		}
	}
}
