package gpu

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/integration/standin/nvml/library"
)

// rig is the program that asks NVML, and libraries for it.
var rig library.Rig

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.fuzz").Value.String() != "" {
		goleak.VerifyTestMain(m) // they need no rig, and a fuzzer starts this often
		return
	}
	dir, err := os.MkdirTemp("", "modewatch-gpu")
	if err == nil {
		rig, err = library.NewRig(context.Background(), dir)
	}
	if errors.Is(err, library.ErrNoCompiler) {
		fmt.Println("what needs the stand-in of NVML is skipped:", err)
		err = nil
	}
	clear := func() { _ = os.RemoveAll(dir) }
	if err != nil {
		clear()
		fmt.Println(err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) { clear(); os.Exit(code) }))
}

// tree is a made root directory.
type tree struct {
	t    *testing.T
	root string
}

func newTree(t *testing.T, nodes ...string) tree {
	tr := tree{t, t.TempDir()}
	for _, n := range nodes {
		tr.write(n, "")
	}
	return tr
}

func (tr tree) write(path, text string) {
	tr.t.Helper()
	path = tr.root + path
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tr.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		tr.t.Fatal(err)
	}
}

// drm makes a node of the direct rendering manager, of the device at a path below
// /sys/devices.
func (tr tree) drm(name, device string) {
	tr.t.Helper()
	tr.write("/dev/dri/"+name, "")
	dir := tr.root + "/sys/devices/" + device
	if err := os.MkdirAll(dir, 0o755); err != nil {
		tr.t.Fatal(err)
	}
	class := tr.root + "/sys/class/drm/" + name
	if err := os.MkdirAll(class, 0o755); err != nil {
		tr.t.Fatal(err)
	}
	if err := os.Symlink("../../../devices/"+device, class+"/device"); err != nil {
		tr.t.Fatal(err)
	}
}

// driver makes what NVIDIA's driver tells of a GPU, and its state of power.
func (tr tree) driver(pci, uuid string, minor int, power string) {
	tr.t.Helper()
	tr.write("/proc/driver/nvidia/version", "NVRM version: x\n")
	tr.write("/proc/driver/nvidia/gpus/"+pci+"/information",
		fmt.Sprintf("Model: \t\t NVIDIA Test\nIRQ:   \t\t 77\nGPU UUID: \t %s\nBus Location: \t %s\nDevice Minor: \t %d\n", uuid, pci, minor))
	tr.write("/sys/bus/pci/devices/"+pci+"/power/runtime_status", power+"\n")
}

// both is the policy of a host whose GPUs share everything.
var both = fsm.GPUPolicy{Planned: 2, Display: []string{"/dev/dri/card*", "/dev/nvidia[0-9]*"}, AI: []string{"/dev/nvidia[0-9]*"}}

// source asks by a program and a library on a host that is a tree. Processes are
// described by their pid alone.
func (tr tree) source(program, lib string) *Source {
	return &Source{Root: tr.root, Policy: func() fsm.GPUPolicy { return both }, Program: program, Library: lib, Within: time.Minute,
		Who: func(pids []int) (map[int]fsm.GPUHolder, error) {
			out := map[int]fsm.GPUHolder{}
			for _, pid := range pids {
				out[pid] = fsm.GPUHolder{PID: pid, Comm: fmt.Sprint("p", pid), Unit: "x.service"}
			}
			return out, nil
		}}
}

// says is a copy of the library that says some lines. It skips the test where
// none could be built.
func says(t *testing.T, from string, lines ...string) string {
	t.Helper()
	if rig.Program == "" {
		t.Skip(library.ErrNoCompiler)
	}
	lib, err := library.Copy(from, t.TempDir(), lines...)
	if err != nil {
		t.Fatal(err)
	}
	return lib
}

func say(t *testing.T, lib string, lines ...string) {
	t.Helper()
	if err := library.Say(lib, lines...); err != nil {
		t.Fatal(err)
	}
}

// script is a program that does what a shell script says.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "probe")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
