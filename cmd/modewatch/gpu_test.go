package main

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sinks/runfiles"
)

var cards = []fsm.Card{
	{PCI: "0000:01:00.0", UUID: "GPU-a", Name: "One", Minor: 0, Nodes: []string{"/dev/nvidia0", "/dev/dri/card0"}, Display: true, AI: true,
		Lit: true, MemoryTotal: 16 << 30, MemoryUsed: 2 << 30, Utilization: 7},
	{PCI: "0000:41:00.0", Minor: 1, Nodes: []string{"/dev/nvidia1"}, AI: true},
	{Minor: -1, Nodes: []string{"/dev/dri/card5"}},
}

// GPUs are named by what outlives a change of the hardware; a mode in which no AI
// unit runs has no GPU for one.
func TestTopologyOf(t *testing.T) {
	p := fsm.Policy{GPU: fsm.GPUPolicy{Planned: 2}, Units: fsm.Units{AI: map[fsm.Mode][]string{fsm.Compute: {"vllm.service"}}}}
	got, err := json.Marshal(topologyOf(cards, p))
	want := `{"schema":0,"planned":2,"present":[` +
		`{"uuid":"GPU-a","pci":"0000:01:00.0","minor":0,"name":"One","nodes":["/dev/nvidia0","/dev/dri/card0"]},` +
		`{"pci":"0000:41:00.0","minor":1,"nodes":["/dev/nvidia1"]},{"nodes":["/dev/dri/card5"]}],"display":["GPU-a"],` +
		`"ai":{"compute":{"units":["vllm.service"],"gpus":["GPU-a","0000:41:00.0"]},"desktop":{"units":[],"gpus":[]},"studio-local":{"units":[],"gpus":[]}}}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v\nwant %s", got, err, want)
	}
	if got, _ := json.Marshal(topologyOf(nil, p)); !strings.HasPrefix(string(got), `{"schema":0,"planned":2,"present":[],"display":[],`) {
		t.Errorf("without a GPU %s", got)
	}
}

func TestTopologyIsWritten(t *testing.T) {
	var told error
	top := &topology{dirs: runfiles.Dirs{Run: t.TempDir()}, report: func(err error) { told = errors.Join(told, err) }}
	top.seen(cards)
	if doc, err := top.dirs.ReadTopology(); told != nil || err != nil || len(doc.Present) != 3 {
		t.Errorf("%+v, %v, %v", doc, err, told)
	}
	top.dirs.Run = filepath.Join(top.dirs.Run, "gone")
	if top.seen(nil); told == nil {
		t.Error("a file that cannot be written was not told")
	}
}

func TestGPULines(t *testing.T) {
	g := fsm.GPU{Present: []string{"/dev/nvidia0"}, Cards: cards, Looked: []string{"NVML of driver 580"}}
	got := strings.Join(gpuLines(g), "\n")
	want := `One GPU-a at 0000:01:00.0, display, AI, drives a screen, 2.0 GiB of 16 GiB in use, 7 % busy
0000:41:00.0, AI
/dev/dri/card5
nobody holds /dev/nvidia0
seen by device nodes, NVML of driver 580`
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	g.Holders = []fsm.GPUHolder{{PID: 7, Comm: "python3", Node: "/dev/nvidia0", Kind: "compute", Memory: 1 << 30}}
	if got := strings.Join(gpuLines(g), "\n"); !strings.Contains(got, "\npython3 (PID 7, uid 0) holds /dev/nvidia0 (compute, 1024 MiB)\n") || strings.Contains(got, "nobody") {
		t.Error(got)
	}
}

func TestWhereTheGPUProbeIs(t *testing.T) {
	if got := gpuProbe(); !filepath.IsAbs(got) || filepath.Base(got) != "gpu-probe" || !strings.HasSuffix(filepath.Dir(got), "/libexec/modewatch") {
		t.Errorf("installed as %s", got)
	}
}
