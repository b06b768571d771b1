package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/integration/lab"
	"github.com/modewatch/modewatch/integration/standin/nvml/library"
	"github.com/modewatch/modewatch/sinks/runfiles"
)

// nvml is where the stand-in of NVIDIA's library is in a machine.
const nvml = "/opt/nvml/" + library.Name

// nvmlConfig has modewatch use it, and wait no longer for it than a test does.
const nvmlConfig = "\n[gpus]\nnvml_library = \"" + nvml + "\"\nnvml_timeout = \"3s\"\n"

var nvmlBuilt = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "modewatch-nvml")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	path, err := library.Build(context.Background(), dir)
	if err != nil {
		return "", err
	}
	data, err := os.ReadFile(path)
	return string(data), err
})

const driver = "driver 580.95.05"

var (
	oneGPU  = library.GPU(0, 0, "01", "The One")
	twoGPUs = []string{driver, oneGPU, library.GPU(1, 1, "41", "The Other")}
	// onNVIDIA is a session whose compositor has an NVIDIA GPU's node open.
	onNVIDIA = lab.Sway{Nodes: []string{lab.Card, "/dev/nvidia0"}}
)

// nvidia furnishes a desk with an NVIDIA driver that says some lines.
func nvidia(t *testing.T, s setup, lines ...string) setup {
	t.Helper()
	lib, err := nvmlBuilt()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{nvml: lib, library.State(nvml): library.Lines(lines...)}
	maps.Copy(files, s.files)
	s.files, s.config = files, nvmlConfig+s.config
	if len(s.sway.Nodes) == 0 {
		s.sway.Nodes = onNVIDIA.Nodes
	}
	return s
}

// drives changes what the driver says, in one stroke: somebody may be reading.
func (d *desk) drives(lines ...string) {
	d.t.Helper()
	d.must(d.WriteFile(library.State(nvml)+".new", library.Lines(lines...)))
	d.Must(d.t, "mv", library.State(nvml)+".new", library.State(nvml))
}

// on is the line of a process on a GPU, told for as long as the process lives.
func on(gpu int, kind string, pid int, mebibytes int) string {
	return fmt.Sprintf("proc %d %s %d %d", gpu, kind, pid, mebibytes<<20)
}

// compositor is the process that has the NVIDIA node open.
func (d *desk) compositor() int {
	d.t.Helper()
	pids, err := d.Holders(d.t.Context(), "/dev/nvidia0")
	if err != nil || len(pids) != 1 {
		d.t.Fatalf("the node is held by %v, %v", pids, err)
	}
	return pids[0]
}

// gpus is what observe tells of the GPUs.
func (d *desk) gpus() fsm.GPU {
	d.t.Helper()
	var doc struct {
		Facts struct{ GPU fsm.Reading[fsm.GPU] }
	}
	out := d.want(0, "observe", "--json").Stdout
	if err := json.Unmarshal([]byte(out), &doc); err != nil || !doc.Facts.GPU.OK {
		d.t.Fatalf("%v\n%s", err, out)
	}
	return doc.Facts.GPU.Value
}

// held tells the holders of the NVIDIA GPUs, as they are named.
func held(g fsm.GPU) []string {
	var out []string
	for _, h := range g.Holders {
		if strings.HasPrefix(h.Node, "/dev/nvidia") {
			out = append(out, h.String())
		}
	}
	slices.Sort(out)
	return out
}

// One GPU is handed from the desk to compute and back; at each place the driver's
// word and the device node's are one.
func TestOneGPUIsHandedOn(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nvidia(t, setup{}, driver, oneGPU))
	d.rests(fsm.AtDesktop)
	sway := d.compositor()
	d.drives(driver, oneGPU, on(0, "graphics", sway, 512))
	named := fmt.Sprintf("sway (PID %d, uid 1000, %s) holds /dev/nvidia0 (graphics, 512 MiB)", sway, d.alice.Scope)
	if g := d.gpus(); !slices.Equal(held(g), []string{named}) || len(g.Cards) != 1 || g.Cards[0].UUID != "GPU-01" || g.Cards[0].MemoryTotal != 16<<30 {
		t.Errorf("%+v, want %s", g, named)
	}
	if out := d.want(0, "observe").Stdout; !strings.Contains(out, named) || !strings.Contains(out, "The One GPU-01 at 0000:01:00.0, display, AI, drives a screen, 1.0 GiB of 16 GiB in use") {
		t.Errorf("observe says\n%s", out)
	}
	if got := d.want(11, "guard", "check_gpu_display_released", "--json"); !strings.Contains(got.Stdout, named) || !strings.Contains(got.Stdout, "NVML of driver 580.95.05") {
		t.Errorf("as it is: %s", got.Stdout)
	}
	d.want(0, "why", "compute") // the plan ends it

	d.want(0, "request", "compute")
	d.topology("GPU-01")
	d.onlyAbsent(d.last(), "gpu-absent:1")
	if g := d.gpus(); len(g.Holders) > 0 {
		t.Errorf("the session has ended, and there is %+v", g.Holders)
	}
	vllm, err := strconv.Atoi(d.pid("vllm@compute.service"))
	d.must(err)
	d.drives(driver, oneGPU, on(0, "graphics", sway, 512), on(0, "compute", vllm, 12000))
	if g := d.gpus(); len(held(g)) != 1 || !strings.Contains(held(g)[0], "vllm@compute.service) holds /dev/nvidia0 (compute, 12000 MiB)") {
		t.Errorf("%+v", g)
	}
	d.sees(fsm.Compute)

	d.want(0, "request", "desktop")
	d.onlyAbsent(d.last(), "graphical-session-absent", "gpu-absent:1")
	if g := d.gpus(); len(g.Holders) > 0 {
		t.Errorf("the server has stopped, and there is %+v", g.Holders)
	}
}

// onlyAbsent wants a record to tell of certain deviations and no others.
func (d *desk) onlyAbsent(a fsm.Attempt, want ...string) {
	d.t.Helper()
	var got []string
	for _, dev := range a.Degraded {
		got = append(got, dev.What)
	}
	if a.Outcome != fsm.Reached || !slices.Equal(got, want) {
		d.t.Errorf("%s with %q, want %q", a.Outcome, got, want)
	}
}

// topology wants hardware-topology.json to tell of certain GPUs.
func (d *desk) topology(uuids ...string) {
	d.t.Helper()
	d.eventually(fmt.Sprintf("a topology of %v", uuids), func() bool {
		var doc runfiles.Topology
		d.json("/run/mode-controller/hardware-topology.json", &doc)
		var got []string
		for _, g := range doc.Present {
			got = append(got, g.UUID)
		}
		return doc.Planned == 2 && slices.Equal(got, uuids) && slices.Equal(doc.AI[fsm.Compute].GPUs, uuids) && len(doc.AI[fsm.Desktop].GPUs) == 0
	})
}

// nvmlReasons refuse the way into compute: somebody whom NVML alone sees is on the
// GPU, or it cannot tell.
func nvmlReasons() []reason {
	says := func(culprit string, lines ...string) func(*desk) string {
		return func(d *desk) string { d.drives(lines...); return culprit }
	}
	well := func(d *desk) { d.drives(driver, oneGPU) }
	unanswered := func(name string, arise func(*desk) string) reason {
		return reason{name: name, guard: "check_gpu_display_released", code: 21, arise: arise, cure: well}
	}
	return []reason{
		{name: "a service computes on the GPU", guard: "check_gpu_display_released", code: 11, arise: func(d *desk) string {
			d.Must(d.t, "systemctl", "start", "miner.service")
			pid, err := strconv.Atoi(d.pid("miner.service"))
			d.must(err)
			d.drives(driver, oneGPU, on(0, "compute", pid, 700))
			return fmt.Sprintf("sleep (PID %d, uid 0, miner.service) holds /dev/nvidia0 (compute, 700 MiB): nothing in this plan ends it", pid)
		}, cure: stopped("miner.service")},
		unanswered("NVML hangs", says("it gave no answer in 3", driver, oneGPU, "hang")),
		unanswered("the driver is of another version", says("version mismatch (18 of nvmlInit_v2): the driver was updated while it ran: reboot", "init 18")),
		unanswered("the GPU is lost", says("GPU is lost (15 of nvmlDeviceGetHandleByIndex)", oneGPU, "lost 0")),
		unanswered("the driver is not loaded", sh("rm "+library.State(nvml), "load the kernel module nvidia")),
		{name: "the library is gone", guard: "check_gpu_display_released", code: 21,
			arise: sh("mv "+nvml+" "+nvml+".away", "there is no "+nvml), cure: cured("mv " + nvml + ".away " + nvml)},
		{name: "the helper is gone", guard: "check_gpu_display_released", code: 21,
			arise: sh("mv /usr/libexec/modewatch/gpu-probe /root", "there is no /usr/libexec/modewatch/gpu-probe: install modewatch anew"),
			cure:  cured("mv /root/gpu-probe /usr/libexec/modewatch")},
		{name: "the helper talks nonsense", guard: "check_gpu_display_released", code: 21,
			arise: sh("cd /usr/libexec/modewatch; mv gpu-probe /root; printf '#!/bin/sh\\nexec head -c 100 /dev/urandom\\n' >gpu-probe; chmod 755 gpu-probe", "is not of this modewatch"),
			cure:  cured("mv /root/gpu-probe /usr/libexec/modewatch")},
	}
}

func TestWhatNVMLTellsRefuses(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nvidia(t, setup{files: inSystem(map[string]string{"miner.service": sleeper("sleep infinity")})}, driver, oneGPU))
	d.rests(fsm.AtDesktop)
	d.atRest()
	for _, r := range nvmlReasons() {
		began := time.Now()
		d.refuses(r)
		if left := d.Must(t, "sh", "-c", "pgrep -x gpu-probe || true"); left != "" {
			t.Errorf("%s: left behind: %s", r.name, left)
		}
		t.Logf("%s: refused thrice in %v", r.name, time.Since(began).Round(time.Millisecond))
	}
	d.want(0, "why", "compute")
	// Whoever lives with a driver that does not answer can say so.
	d.drives(driver, oneGPU, "hang")
	d.configure("\n[gpus]\nnvml = \"off\"\n")
	d.eventually("the way to compute to be open", func() bool { return d.mode("why", "compute").Code == 0 })
	if out := d.want(11, "guard", "check_gpu_display_released", "--json").Stdout; !strings.Contains(out, `not NVML (gpus.nvml is \"off\")`) {
		t.Errorf("as it is: %s", out)
	}
}

// With two GPUs, what computes on the one that the display is not on keeps nobody.
func TestTwoGPUs(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nvidia(t, setup{sway: lab.Sway{Nodes: []string{lab.Card, "/dev/nvidia0"}},
		config: "display = [\"/dev/dri/card0\", \"/dev/nvidia0\"]\n",
		files:  inSystem(map[string]string{"miner.service": sleeper("sleep infinity")})}, twoGPUs...))
	d.rests(fsm.AtDesktop)
	d.must(d.MakeNode(t.Context(), "/dev/nvidia1"))
	d.Must(t, "systemctl", "start", "miner.service")
	pid, err := strconv.Atoi(d.pid("miner.service"))
	d.must(err)
	d.drives(append(twoGPUs, on(0, "graphics", d.compositor(), 300), on(1, "compute", pid, 900))...)
	if got := held(d.gpus()); len(got) != 2 || !strings.HasSuffix(got[0], "miner.service) holds /dev/nvidia1 (compute, 900 MiB)") {
		t.Errorf("%q", got)
	}
	d.want(0, "request", "compute")
	d.onlyAbsent(d.last())
	d.topology("GPU-01", "GPU-41")
	d.want(0, "request", "desktop")
	d.onlyAbsent(d.last(), "graphical-session-absent")

	d.drives(append(twoGPUs, on(0, "compute", pid, 900))...)
	if got := d.want(11, "why", "compute"); !strings.Contains(got.Stdout, "miner.service) holds /dev/nvidia0 (compute, 900 MiB)") {
		t.Errorf("on the display's: %s", got.Stdout)
	}
}

// A server's process that outlives its unit is no desktop: the stop is not over
// before the GPU is free of it (D16).
func TestAWorkerThatOutlivesItsUnit(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nvidia(t, setup{edit: []string{`stop = "15s"`, `stop = "2s"`}, files: map[string]string{
		"/usr/local/bin/vllm-program":                             "#!/bin/sh\n/usr/local/bin/worker infinity &\n" + strings.TrimPrefix(vllmProgram, "#!/bin/sh\n"),
		"/etc/systemd/system/vllm@compute.service.d/50-main.conf": "[Service]\nKillMode=process\n",
	}}, driver, oneGPU))
	d.rests(fsm.AtDesktop)
	d.Must(t, "cp", "/usr/bin/sleep", "/usr/local/bin/worker")
	d.want(0, "request", "compute")
	worker, err := strconv.Atoi(strings.TrimSpace(d.Must(t, "pgrep", "-x", "worker")))
	d.must(err)
	d.drives(driver, oneGPU, on(0, "compute", worker, 100))
	a := d.fails(fsm.Desktop, fsm.Recovered, 44)
	want := fmt.Sprintf("vllm@compute.service to be empty, there is worker (PID %d, uid", worker)
	if r := d.result(a, fsm.Stop); r.Result != "timeout" || !strings.Contains(r.Cause, want) {
		t.Errorf("%s is told as %s: %q", r.Op, r.Result, r.Cause)
	}
	d.sees(fsm.Compute)
	d.Must(t, "pkill", "-KILL", "-x", "worker")
	d.drives(driver, oneGPU)
	if t.Failed() {
		t.Fatal(d.story())
	}
}
