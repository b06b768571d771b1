package fsm

import (
	"slices"
	"strings"
	"testing"
)

func whats(o Observation) []string {
	var out []string
	for _, d := range o.Degraded {
		out = append(out, d.What)
	}
	return out
}

func TestClassify(t *testing.T) {
	holder := func(unit string, display, infra bool) GPUHolder {
		return GPUHolder{PID: 7, Comm: "x", Node: "/dev/dri/card0", Unit: unit, Display: display, Infra: infra}
	}
	gpu := func(h *host, holders ...GPUHolder) *host {
		h.facts.GPU = read(GPU{Holders: holders})
		return h
	}
	desktop := func() *host { return newHost().alice() }
	studio := func() *host {
		return desktop().unit("studio-local-policy.service", "active").unit("audio-priority.service", "active")
	}
	compute := func() *host { return newHost().unit("compute.target", "active").unit(vllm, "active") }
	staff := func(h *host, w ...Worker) *host {
		workers(w...)(h)
		return h
	}
	mine, out, stranger := Worker{PID: 7, Unit: vllm}, Worker{PID: 8, Unit: vllm, Outside: "a child of PID 7", Node: "/dev/nvidia0"}, Worker{PID: 9, Outside: "in ai.slice", Node: "/dev/nvidia0"}
	rows := []struct {
		name     string
		host     *host
		want     Mode
		degraded []string
	}{
		{"a desktop in use", desktop(), Desktop, nil},
		{"nobody logged in", newHost().unit("desktop.target", "active"), Desktop, []string{"graphical-session-absent"}},
		{"only a greeter", hosts["greeter"](), Desktop, []string{"graphical-session-absent"}},
		{"nothing at all", newHost(), Desktop, []string{"graphical-session-absent", "desktop-target-inactive"}},
		{"desktop.target missing", desktop().unit("desktop.target", ""), Desktop, []string{"desktop-target-inactive"}},
		{"vLLM by hand", desktop().unit(vllm, "active"), Desktop, []string{"vllm-foreign"}},
		{"vLLM starting", desktop().unit(vllm, "activating"), Desktop, []string{"vllm-foreign"}},
		{"its workers are not told twice", staff(desktop().unit(vllm, "active"), mine), Desktop, []string{"vllm-foreign"}},
		{"one that left it is", staff(desktop().unit(vllm, "active"), mine, out), Desktop, []string{"vllm-foreign", "vllm-foreign:8"}},
		{"workers that outlived it", staff(desktop(), mine, out), Desktop, []string{"vllm-foreign:7", "vllm-foreign:8"}},
		{"somebody in the slice of AI", staff(desktop(), stranger), Desktop, []string{"vllm-foreign:9"}},
		{"vLLM failed", desktop().unit(vllm, "failed"), Desktop, nil},
		{"a login held back", desktop().masked("display-manager.service"), Desktop, []string{"login-held-back:display-manager.service"}},
		{"a login masked by its owner", ownerMasked(desktop()), Desktop, nil},
		{"vLLM's process on the display GPU", gpu(desktop(), holder(vllm, true, false)), Desktop, []string{"gpu-foreign-holder:/dev/dri/card0:7"}},
		{"the compositor on it", gpu(desktop(), holder("session-c2.scope", true, false)), Desktop, nil},
		{"a process of nobody that computes on it", gpu(desktop(), GPUHolder{PID: 8, Node: "/dev/nvidia0", Unit: "mining.service", Display: true, Kind: "compute"}), Desktop, []string{"gpu-foreign-holder:/dev/nvidia0:8"}},
		{"one under the multi-process service", gpu(studio(), GPUHolder{PID: 8, Node: "/dev/nvidia0", Unit: "mining.service", Display: true, Kind: "mps"}), StudioLocal, []string{"gpu-foreign-holder:/dev/nvidia0:8"}},
		{"one that computes on the other GPU", gpu(desktop(), GPUHolder{PID: 8, Node: "/dev/nvidia1", Unit: "mining.service", Kind: "compute"}), Desktop, nil},
		{"one that draws for nobody", gpu(desktop(), GPUHolder{PID: 8, Node: "/dev/nvidia0", Unit: "kiosk.service", Display: true, Kind: "graphics"}), Desktop, nil},
		{"one that computes and draws in the session", gpu(desktop(), GPUHolder{PID: 8, Node: "/dev/nvidia0", Unit: "session-c2.scope", Session: "c2", Display: true, Kind: "compute+graphics"}), Desktop, nil},
		{"one that computes under the user's manager", gpu(desktop(), GPUHolder{PID: 8, Node: "/dev/nvidia0", Unit: "user@1000.service", Display: true, Kind: "compute"}), Desktop, nil},
		{"infrastructure that computes", gpu(desktop(), GPUHolder{PID: 8, Node: "/dev/nvidia0", Unit: "dcgm.service", Display: true, Infra: true, Kind: "compute"}), Desktop, nil},
		{"a session in compute", hosts["a-session-in-compute"](), Desktop, []string{"desktop-target-inactive", "session-in-compute", "vllm-foreign"}},

		{"the overlay", studio(), StudioLocal, nil},
		{"the marker alone", desktop().unit("studio-local-policy.service", "active"), StudioLocal, []string{"audio-priority-inactive"}},
		{"the marker reloading", studio().unit("studio-local-policy.service", "reloading"), StudioLocal, nil},
		{"the priority alone", desktop().unit("audio-priority.service", "active"), Desktop, nil},
		{"the overlay over nobody", newHost().unit("desktop.target", "active").unit("studio-local-policy.service", "active").unit("audio-priority.service", "active"), StudioLocal, []string{"graphical-session-absent"}},
		{"the overlay beside compute", studio().unit("compute.target", "active"), StudioLocal, []string{"session-in-compute"}},

		{"compute", compute(), Compute, nil},
		{"its workers", staff(compute(), mine, out), Compute, nil},
		{"somebody beside it in the slice", staff(compute(), mine, stranger), Compute, nil},
		{"workers of a crashed vLLM", staff(compute().unit(vllm, "failed"), mine), Compute, []string{"vllm-inactive", "vllm-foreign:7"}},
		{"a crashed vLLM", compute().unit(vllm, "failed"), Compute, []string{"vllm-inactive"}},
		{"somebody on ssh", compute().session(Session{ID: "5", Class: "user", Type: "tty", Remote: true}), Compute, nil},
		{"a foreign holder", gpu(compute(), holder(vllm, true, false), holder("mining.service", true, false)), Compute, []string{"gpu-foreign-holder:/dev/dri/card0:7"}},
		{"infrastructure and the other GPU", gpu(compute(), holder("", true, true), holder("x.service", false, false)), Compute, nil},
	}
	for _, r := range rows {
		o := Classify(r.host.read(), testPolicy())
		if o.Mode != r.want || len(o.Evidence) == 0 {
			t.Errorf("%s: %s, evidence %q, want %s", r.name, o.Mode, o.Evidence, r.want)
		}
		if got := whats(o); !slices.Equal(got, r.degraded) {
			t.Errorf("%s: degraded %q, want %q", r.name, got, r.degraded)
		}
		for _, d := range o.Degraded {
			if d.Evidence == "" {
				t.Errorf("%s: %s without evidence", r.name, d.What)
			}
		}
	}
}

// ownerMasked masks the display manager in /etc: not our doing.
func ownerMasked(h *host) *host {
	h.units["display-manager.service"] = Unit{Name: "display-manager.service", Load: "masked", Active: "inactive"}
	return h
}

func TestClassifyAudioStack(t *testing.T) {
	h := hosts["overlay"]()
	h.logins.Users[0].Audio = nil
	if got := whats(Classify(h.read(), testPolicy())); !slices.Equal(got, []string{"audio-stack-absent"}) {
		t.Errorf("a studio without PipeWire is degraded by %q", got)
	}
}

// TestClassifyUnknown: what could not be read is no mode, and no plan starts
// from there.
func TestClassifyUnknown(t *testing.T) {
	for name, lose := range map[string]func(*Facts){
		"units":    func(f *Facts) { f.Units = Reading[map[string]Unit]{Cause: "the bus is gone"} },
		"sessions": func(f *Facts) { f.Logins = Reading[Logins]{Cause: "the bus is gone"} },
	} {
		f := hosts["compute"]().read()
		lose(&f)
		o := Classify(f, testPolicy())
		if o.Mode != Unknown || len(o.Evidence) != 1 || !strings.Contains(o.Evidence[0], "cannot read "+name+": the bus is gone") {
			t.Errorf("without %s: %+v", name, o)
		}
		for _, m := range Modes {
			if plan, err := PlanFor(o, m, f, testPolicy()); err == nil || !plan.Empty() {
				t.Errorf("without %s a plan for %s: %v", name, m, plan.Steps)
			}
		}
	}
	if o := Classify(Facts{}, testPolicy()); o.Mode != Unknown {
		t.Errorf("the zero facts are %s", o.Mode)
	}
}

// TestClassifyIsTotal: every combination of what the mode is derived from gives
// a mode, and the same one each time.
func TestClassifyIsTotal(t *testing.T) {
	states := []string{"", "inactive", "failed", "activating", "active", "reloading", "deactivating"}
	for _, marker := range states {
		for _, compute := range states {
			for _, desktop := range states {
				for _, name := range []string{"one-session", "greeter"} {
					h := hosts[name]()
					h.unit("studio-local-policy.service", marker).unit("compute.target", compute).unit("desktop.target", desktop)
					f := h.read()
					o := Classify(f, testPolicy())
					if !slices.Contains(Modes, o.Mode) || Classify(f, testPolicy()).Mode != o.Mode {
						t.Errorf("marker %q, compute %q, desktop %q: %s", marker, compute, desktop, o.Mode)
					}
				}
			}
		}
	}
}

// The AI unit that belongs to a mode may be on the GPU that it shares.
func TestForeignToItsMode(t *testing.T) {
	u := Units{AI: map[Mode][]string{Desktop: {"small.service"}, Compute: {"large.service"}}}
	for _, r := range []struct {
		unit string
		mode Mode
		want bool
	}{
		{"small.service", Desktop, false}, {"small.service", StudioLocal, true}, {"small.service", Compute, false},
		{"large.service", Desktop, true}, {"large.service", Compute, false}, {"other.service", Compute, true},
	} {
		if got := foreign(GPUHolder{Unit: r.unit, Kind: "compute"}, r.mode, u); got != r.want {
			t.Errorf("%s is foreign to %s: %v", r.unit, r.mode, got)
		}
	}
}
