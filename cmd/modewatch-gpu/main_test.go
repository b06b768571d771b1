// The tests run the program: one process can use one library only, and a test
// that has NVML linked in would need the linker flags that the program needs.
package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/modewatch/modewatch/integration/standin/nvml/library"
	"github.com/modewatch/modewatch/sources/gpu/report"
)

var rig library.Rig

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "modewatch-gpu")
	if err == nil {
		rig, err = library.NewRig(context.Background(), dir)
	}
	if errors.Is(err, library.ErrNoCompiler) {
		fmt.Println("skipped:", err)
		os.Exit(0)
	}
	code := 1
	if err == nil {
		code = m.Run()
	} else {
		fmt.Println(err)
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// says copies a library that says some lines.
func says(t *testing.T, from string, lines ...string) string {
	t.Helper()
	lib, err := library.Copy(from, t.TempDir(), lines...)
	if err != nil {
		t.Fatal(err)
	}
	return lib
}

// asked runs the program with a library and returns what it printed.
func asked(t *testing.T, lib string) (report.Document, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, rig.Program, "--library", lib)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	doc, err := report.Decode(out.Bytes())
	if err != nil || errs.Len() > 0 {
		t.Fatalf("%v, exit %d\n%s%s", err, cmd.ProcessState.ExitCode(), &out, &errs)
	}
	return doc, cmd.ProcessState.ExitCode()
}

func TestTwoGPUs(t *testing.T) {
	me := os.Getpid()
	doc, code := asked(t, says(t, rig.Library, "driver 580.95.05", library.GPU(0, 1, "01", "The First One"), library.GPU(1, 0, "41", "The Other"),
		fmt.Sprintf("proc 0 graphics %d 4096", me), fmt.Sprintf("proc 0 compute %d 4096", me),
		"ghost 1 compute 999998 18446744073709551615", "ghost 1 mps 999996 5"))
	want := report.Document{Schema: 1, Driver: "580.95.05", GPUs: []report.GPU{
		{UUID: "GPU-01", PCI: "0000:01:00.0", Minor: 1, Name: "The First One", MemoryTotal: 16 << 30, MemoryUsed: 1 << 30, Utilization: 7, Display: true,
			Processes: []report.Process{{PID: me, Kind: report.Graphics, Memory: 4096}, {PID: me, Kind: report.Compute, Memory: 4096}}},
		{Index: 1, UUID: "GPU-41", PCI: "0000:41:00.0", Name: "The Other", MemoryTotal: 16 << 30, MemoryUsed: 1 << 30, Utilization: 7,
			Processes: []report.Process{{PID: 999998, Kind: report.Compute}, {PID: 999996, Kind: report.MPS, Memory: 5}}}}}
	if code != 0 || !reflect.DeepEqual(doc, want) {
		t.Errorf("exit %d, %+v\nwant %+v", code, doc, want)
	}
}

// A list that is longer than NVML is asked for first is read whole.
func TestManyProcesses(t *testing.T) {
	lines := []string{library.GPU(0, 0, "01", "One")}
	for i := range 200 {
		lines = append(lines, fmt.Sprintf("ghost 0 compute %d 1", 100000+i))
	}
	if doc, code := asked(t, says(t, rig.Library, lines...)); code != 0 || len(doc.GPUs) != 1 || len(doc.GPUs[0].Processes) != 200 {
		t.Errorf("exit %d, %+v", code, doc)
	}
}

func TestAListThatIsNotSupported(t *testing.T) {
	doc, code := asked(t, says(t, rig.Library, library.GPU(0, 0, "01", "One"), "unsupported mps"))
	if code != 0 || len(doc.GPUs) != 1 || !reflect.DeepEqual(doc.GPUs[0].Unlisted, []report.Kind{report.MPS}) {
		t.Errorf("exit %d, %+v", code, doc)
	}
}

func TestNoGPU(t *testing.T) {
	if doc, code := asked(t, says(t, rig.Library, "driver 580")); code != 0 || doc.Driver != "580" || len(doc.GPUs) != 0 {
		t.Errorf("exit %d, %+v", code, doc)
	}
}

func TestFailures(t *testing.T) {
	junk := filepath.Join(t.TempDir(), "junk")
	if err := os.WriteFile(junk, []byte("junk"), 0o644); err != nil {
		t.Fatal(err)
	}
	one := library.GPU(0, 0, "01", "One")
	for _, c := range []struct {
		name, lib string
		want      report.Failure
	}{
		{"no library", filepath.Join(t.TempDir(), "none.so"), report.Failure{Cause: report.LibraryMissing, Text: "there is no "}},
		{"a file that is no library", junk, report.Failure{Cause: report.LibraryUnusable, Text: "junk: "}},
		{"an old library", says(t, rig.Old, one), report.Failure{Cause: report.SymbolMissing, Call: "nvmlDeviceGetComputeRunningProcesses_v3", Text: " has no nvml"}},
		{"another library", "/proc/self/exe", report.Failure{Cause: report.LibraryUnusable}},
		{"no driver", says(t, rig.Library), report.Failure{Cause: report.DriverNotLoaded, Code: 9, Call: "nvmlInit_v2", Text: "Driver Not Loaded"}},
		{"another driver", says(t, rig.Library, "init 18"), report.Failure{Cause: report.Mismatch, Code: 18, Call: "nvmlInit_v2", Text: "version mismatch"}},
		{"no permission", says(t, rig.Library, "init 4"), report.Failure{Cause: report.NoPermission, Code: 4, Call: "nvmlInit_v2"}},
		{"something else", says(t, rig.Library, "init 999"), report.Failure{Cause: report.Other, Code: 999, Call: "nvmlInit_v2", Text: "Unknown Error"}},
		{"a GPU that is lost", says(t, rig.Library, one, library.GPU(1, 1, "41", "Two"), "lost 1"),
			report.Failure{Cause: report.GPULost, Code: 15, Call: "nvmlDeviceGetHandleByIndex", Text: "GPU is lost", GPU: "number 1 of NVML"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc, code := asked(t, c.lib)
			if doc.Error == nil || code != 1 || len(doc.GPUs) > 0 {
				t.Fatalf("exit %d, %+v", code, doc)
			}
			got := *doc.Error
			if got.Cause != c.want.Cause || got.Code != c.want.Code || !strings.Contains(got.Text, c.want.Text) || got.GPU != c.want.GPU ||
				c.want.Call != "" && got.Call != c.want.Call {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

func TestMisuse(t *testing.T) {
	for _, args := range [][]string{{"--no-such-flag"}, {"stray"}} {
		out, err := exec.CommandContext(t.Context(), rig.Program, args...).Output()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 || len(out) > 0 || len(exit.Stderr) == 0 {
			t.Errorf("%v: %v, %q", args, err, out)
		}
	}
}

// A program whose parent is killed does not stay behind, though NVML never
// returns: the pipe that it holds open comes to its end.
func TestItEndsWithItsParent(t *testing.T) {
	lib := says(t, rig.Library, library.GPU(0, 0, "01", "One"), "hang")
	pipe := lib + ".hanging"
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	parent := exec.CommandContext(t.Context(), "sh", "-c", `"$0" --library "$1"; exit`, rig.Program, lib)
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(pipe) // until it hangs in NVML
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	if _, err := io.ReadAll(f); err != nil {
		t.Error(err)
	}
}
