package procs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/modewatch/modewatch/fsm"
)

const (
	serve = "vllm@compute.service"
	embed = "vllm@embed.service"
)

// groupTree is a made /sys/fs/cgroup of the unified hierarchy beside a made /proc.
type groupTree struct {
	tree
	cgroups string
}

func newGroups(t *testing.T) groupTree {
	g := groupTree{newTree(t), t.TempDir()}
	g.put("cgroup.controllers", "cpu memory\n")
	g.put("cgroup.procs", "1\n")
	g.put("ai.slice/cgroup.procs", "")
	g.put("user.slice/user-1000.slice/user@1000.service/"+serve+"/cgroup.procs", "66\n") // a user's own
	return g
}

func (g groupTree) put(name, text string) {
	g.t.Helper()
	path := filepath.Join(g.cgroups, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		g.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		g.t.Fatal(err)
	}
}

// join adds processes to the tree and to the control groups that they are in.
func (g groupTree) join(procs ...fake) {
	g.t.Helper()
	in := map[string]string{}
	for _, f := range procs {
		g.add(f)
		in[f.cgroup] += fmt.Sprintln(f.pid)
	}
	for dir, pids := range in {
		g.put(dir+"/cgroup.procs", pids)
	}
}

func (g groupTree) look(about fsm.Subject) fsm.Reading[[]fsm.Worker] {
	p := policy()
	p.Units.AI = map[fsm.Mode][]string{fsm.Compute: {serve}, fsm.Desktop: {embed}}
	s := g.source(p)
	s.Cgroups = g.cgroups
	return s.Look(context.Background(), about).Workers
}

// told is workers in short.
func told(r fsm.Reading[[]fsm.Worker]) string {
	if !r.OK {
		return "cannot tell: " + r.Why()
	}
	var out []string
	for _, w := range r.Value {
		s := fmt.Sprintf("%d %s %s", w.PID, w.Comm, w.Unit)
		if w.Outside != "" {
			s += " " + w.Node + " " + w.Outside
		}
		if w.Stuck {
			s += " stuck"
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

func TestWorkers(t *testing.T) {
	const unit = "/ai.slice/" + serve
	gpu := []string{"/dev/nvidia1", "/dev/null"}
	for name, c := range map[string]struct {
		procs        []fake
		member, full string // what is told without and with a look at the GPUs, "" in full for the same
	}{
		"nobody": {},
		"a server and its worker": {[]fake{{pid: 70, comm: "vllm", cgroup: unit, fds: gpu}, {pid: 71, ppid: 70, comm: "VLLM::Worker", cgroup: unit + "/workers", fds: gpu}},
			"70 vllm " + serve + "\n71 VLLM::Worker " + serve, ""},
		"a worker that the server left behind, in state D": {[]fake{{pid: 71, ppid: 1, comm: "VLLM::Worker", cgroup: unit, state: "D", sid: -1}}, "71 VLLM::Worker " + serve + " stuck", ""},
		"a zombie": {[]fake{{pid: 71, ppid: 1, comm: "VLLM::Worker", cgroup: unit, state: "Z"}}, "", ""},
		"in the slice that systemd makes for a template": {[]fake{{pid: 70, comm: "vllm", cgroup: "/system.slice/system-vllm.slice/" + embed}}, "70 vllm " + embed, ""},
		"a grandchild that moved": {[]fake{{pid: 70, comm: "vllm", cgroup: unit}, {pid: 71, ppid: 70, comm: "sh", cgroup: "/system.slice/run-1.scope"},
			{pid: 72, ppid: 71, comm: "python3", cgroup: "/system.slice/run-1.scope", fds: gpu}},
			"70 vllm " + serve, "70 vllm " + serve + "\n72 python3 " + serve + " /dev/nvidia1 a child of PID 70 in " + serve},
		"one that lost its parent, of one session with a member": {[]fake{{pid: 70, comm: "vllm", cgroup: unit, sid: 69}, {pid: 72, ppid: 1, sid: 69, comm: "python3", cgroup: "/system.slice/run-1.scope", fds: gpu}},
			"70 vllm " + serve, "70 vllm " + serve + "\n72 python3 " + serve + " /dev/nvidia1 of one session with PID 70 in " + serve},
		"somebody else in the slice": {[]fake{{pid: 72, ppid: 1, comm: "ollama", cgroup: "/ai.slice/ollama.service", fds: gpu}, {pid: 73, ppid: 1, comm: "idle", cgroup: "/ai.slice/ollama.service"}},
			"", "72 ollama  /dev/nvidia1 in ai.slice, in none of the AI units"},
		"strangers": {[]fake{{pid: 70, comm: "vllm", cgroup: unit}, {pid: 72, ppid: 1, comm: "blender", cgroup: session, fds: gpu}, {pid: 73, ppid: 70, comm: "nvidia-persistenced", exe: "/usr/bin/nvidia-persistenced", cgroup: "/x.service", fds: gpu},
			{pid: 74, ppid: 70, comm: "sway", cgroup: session, fds: []string{"/dev/dri/card0"}}}, "70 vllm " + serve, ""},
		"parents in a circle": {[]fake{{pid: 72, ppid: 73, comm: "a", cgroup: session, fds: gpu}, {pid: 73, ppid: 72, comm: "b", cgroup: session, fds: gpu}}, "", ""},
	} {
		g := newGroups(t)
		g.join(c.procs...)
		if got := told(g.look(fsm.AboutWorkers)); got != c.member {
			t.Errorf("%s: members\n%s\nwant\n%s", name, got, c.member)
		}
		want := c.full
		if want == "" {
			want = c.member
		}
		if got := told(g.look(fsm.AboutWorkers | fsm.AboutGPU)); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
}

// Both hierarchies at once: systemd's own counts. None at all cannot be told.
func TestWorkersByHierarchy(t *testing.T) {
	g := newGroups(t)
	g.add(fake{pid: 70, comm: "vllm"})
	if err := os.Remove(filepath.Join(g.cgroups, "cgroup.controllers")); err != nil {
		t.Fatal(err)
	}
	if got := told(g.look(fsm.AboutWorkers)); !strings.Contains(got, "cannot tell: cannot find systemd's control groups") {
		t.Error(got)
	}
	g.put("systemd/cgroup.procs", "1\n")
	g.put("systemd/ai.slice/_"+serve+"/cgroup.procs", "70\n71\n") // 71 has ended
	if got := told(g.look(fsm.AboutWorkers)); got != "70 vllm "+serve {
		t.Error(got)
	}
	g.put("systemd/ai.slice/_"+serve+"/cgroup.procs", "seventy\n")
	if got := told(g.look(fsm.AboutWorkers)); !strings.Contains(got, "cannot tell: cannot read who is in a control group") {
		t.Error(got)
	}
	s := g.source(policy()) // no AI unit is configured
	s.Cgroups = "/no/such/folder"
	if r := s.Look(context.Background(), fsm.AboutWorkers|fsm.AboutGPU).Workers; !r.OK || len(r.Value) > 0 {
		t.Errorf("%+v", r)
	}
}
