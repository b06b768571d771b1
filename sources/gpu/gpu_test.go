package gpu

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/integration/standin/nvml/library"
)

func look(t *testing.T, s *Source) fsm.GPU {
	t.Helper()
	g, err := s.Look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// sleeper is a process that lives until the returned function has ended it.
func sleeper(t *testing.T) (pid int, end func()) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sleep", "infinity")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid, func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

func TestAHolderComesAndGoes(t *testing.T) {
	tr := newTree(t, "/dev/nvidia0", "/dev/nvidiactl", "/dev/dri/card0")
	one := library.GPU(0, 0, "01", "The One")
	lib := says(t, rig.Library, "driver 580", one)
	s := tr.source(rig.Program, lib)
	g := look(t, s)
	card := fsm.Card{PCI: "0000:01:00.0", UUID: "GPU-01", Name: "The One", Minor: 0, Nodes: []string{"/dev/nvidia0", "/dev/dri/card0"},
		Display: true, AI: true, Lit: true, MemoryTotal: 16 << 30, MemoryUsed: 1 << 30, Utilization: 7}
	if len(g.Holders) > 0 || g.Driver != "580" || !reflect.DeepEqual(g.Cards, []fsm.Card{card}) || !slices.Equal(g.Looked, []string{"NVML of driver 580"}) {
		t.Errorf("an idle GPU is %+v", g)
	}
	pid, end := sleeper(t)
	defer end()
	say(t, lib, "driver 580", one, fmt.Sprintf("proc 0 graphics %d 4096", pid), fmt.Sprintf("proc 0 compute %d 8192", pid))
	want := fsm.GPUHolder{PID: pid, Comm: fmt.Sprint("p", pid), Node: "/dev/nvidia0", Unit: "x.service", Display: true, Kind: "graphics+compute", Memory: 8192}
	if g := look(t, s); !slices.Equal(g.Holders, []fsm.GPUHolder{want}) {
		t.Errorf("%+v, want %+v", g.Holders, want)
	}
	end()
	if g := look(t, s); len(g.Holders) > 0 {
		t.Errorf("it is gone, and there is %+v", g.Holders)
	}
}

// Of two GPUs each has its own processes, whatever the order in which NVML, the
// device nodes and the screens count them.
func TestTwoGPUs(t *testing.T) {
	tr := newTree(t, "/dev/nvidia0", "/dev/nvidia1")
	tr.driver("0000:01:00.0", "GPU-01", 1, "active")
	tr.driver("0000:41:00.0", "GPU-????????-????", 0, "suspended")
	tr.drm("card1", "pci0000:00/0000:00:01.0/0000:01:00.0")
	s := tr.source(rig.Program, says(t, rig.Library, library.GPU(0, 1, "01", "One"), library.GPU(1, 0, "41", "Other"),
		"ghost 0 graphics 11 1", "ghost 1 compute 12 1", "ghost 0 mps 12 1"))
	s.Policy = func() fsm.GPUPolicy {
		return fsm.GPUPolicy{Display: []string{"/dev/dri/card1"}, AI: []string{"/dev/nvidia[0-9]*"}}
	}
	g := look(t, s)
	got := ""
	for _, h := range g.Holders {
		got += fmt.Sprintf("%d %s %s %v; ", h.PID, h.Node, h.Kind, h.Display)
	}
	if want := "11 /dev/nvidia1 graphics true; 12 /dev/nvidia1 mps true; 12 /dev/nvidia0 compute false; "; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if len(g.Cards) != 2 || g.Cards[0].UUID != "GPU-41" || g.Cards[0].Display || g.Cards[1].PCI != "0000:01:00.0" || !g.Cards[1].Display {
		t.Errorf("%+v", g.Cards)
	}
}

// A GPU that has no node yet is there all the same.
func TestAGPUWithoutNode(t *testing.T) {
	g := look(t, newTree(t, "/dev/nvidiactl").source(rig.Program, says(t, rig.Library, library.GPU(0, 3, "01", "One"), "unsupported mps")))
	if len(g.Cards) != 1 || !g.Cards[0].Display || g.Cards[0].Minor != 3 || !slices.Contains(g.Looked, "0000:01:00.0 lists no mps processes") {
		t.Errorf("%+v", g)
	}
}

// Where nothing is to be asked no program is started.
func TestNobodyIsAsked(t *testing.T) {
	nvidia := func(t *testing.T) tree {
		tr := newTree(t, "/dev/nvidia0", "/dev/nvidiactl")
		tr.driver("0000:01:00.0", "GPU-01", 0, "suspended")
		return tr
	}
	for _, c := range []struct {
		name  string
		on    func(*testing.T) tree
		off   bool
		want  string // what was looked at
		cards int
	}{
		{"no GPU", func(t *testing.T) tree { return newTree(t) }, false, "", 0},
		{"another maker's", func(t *testing.T) tree { return newTree(t, "/dev/dri/card0", "/dev/dri/renderD128") }, false, "", 1},
		{"turned off", func(t *testing.T) tree { return newTree(t, "/dev/nvidia0") }, true, `not NVML (gpus.nvml is "off")`, 1},
		{"asleep", nvidia, false, "not NVML (the GPUs sleep)", 1},
		{"turned off, and asleep", nvidia, true, `not NVML (gpus.nvml is "off")`, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			mark := filepath.Join(t.TempDir(), "started")
			s := c.on(t).source(script(t, "touch "+mark), "")
			s.Off = c.off
			g := look(t, s)
			if strings.Join(g.Looked, "") != c.want || len(g.Cards) != c.cards || len(g.Holders) > 0 {
				t.Errorf("%+v", g)
			}
			if _, err := os.Stat(mark); !errors.Is(err, os.ErrNotExist) {
				t.Error("a program was started")
			}
		})
	}
}

// Each sign of a driver has NVML asked, also where one of two GPUs is awake.
func TestNVMLIsAsked(t *testing.T) {
	awake := newTree(t)
	awake.driver("0000:01:00.0", "GPU-01", 0, "suspended")
	awake.driver("0000:41:00.0", "GPU-41", 1, "active")
	unmanaged := newTree(t)
	unmanaged.driver("0000:01:00.0", "GPU-01", 0, "suspended")
	if err := os.Remove(unmanaged.root + "/sys/bus/pci/devices/0000:01:00.0/power/runtime_status"); err != nil {
		t.Fatal(err)
	}
	for name, tr := range map[string]tree{
		"a node": newTree(t, "/dev/nvidia0"), "the control node": newTree(t, "/dev/nvidiactl"), "the module": newTree(t, "/sys/module/nvidia/version"),
		"its version": newTree(t, "/proc/driver/nvidia/version"), "one awake": awake, "no power management": unmanaged,
	} {
		if _, err := tr.source(script(t, "echo '{\"schema\":1,\"error\":{\"cause\":\"other\",\"text\":\"asked\"}}'; exit 1"), "").Look(t.Context()); err == nil || !strings.Contains(err.Error(), "asked") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhoCannotBeTold(t *testing.T) {
	s := newTree(t, "/dev/nvidia0").source(rig.Program, says(t, rig.Library, library.GPU(0, 0, "01", "One"), "ghost 0 compute 12 1"))
	s.Who = func([]int) (map[int]fsm.GPUHolder, error) { return nil, errors.New("hidden") }
	if g, err := s.Look(t.Context()); err == nil || len(g.Holders) > 0 {
		t.Errorf("%+v, %v", g, err)
	}
}
