package fsm

import (
	"slices"
	"strings"
	"testing"
)

// settledRow is one post-condition: what of the host is changed, and what
// Settled says then.
type settledRow struct {
	name   string
	op     Op
	change func(*host)
	want   string // "done", or "awaiting …" or "never …" with a part of the text
}

func settle(t *testing.T, rows []settledRow) {
	t.Helper()
	plan := Plan{Stops: []string{"cups.service"}}
	for _, r := range rows {
		h := newHost()
		if r.change != nil {
			r.change(h)
		}
		f := h.read()
		if h.facts.Units.Cause != "" {
			f.Units = h.facts.Units
		}
		if h.facts.Logins.Cause != "" {
			f.Logins = h.facts.Logins
		}
		p := Settled(r.op, plan, f, testPolicy())
		got := "done"
		switch {
		case p.Never != "":
			got = "never " + p.Never
		case !p.Done:
			got = "awaiting " + p.Awaiting
		}
		kind, text, _ := strings.Cut(r.want, " ")
		if !strings.HasPrefix(got, kind) || !strings.Contains(got, text) {
			t.Errorf("%s of %s: %q, want %q", r.name, r.op, got, r.want)
		}
		if p.Done && (p.Awaiting != "" || p.Never != "") {
			t.Errorf("%s of %s: done and not: %+v", r.name, r.op, p)
		}
	}
}

func is(unit, active string) func(*host) { return func(h *host) { h.unit(unit, active) } }

func workers(w ...Worker) func(*host) { return func(h *host) { h.facts.Workers = read(w) } }

func noUnits(h *host)  { h.facts.Units = Reading[map[string]Unit]{Cause: "no bus"} }
func noLogins(h *host) { h.facts.Logins = Reading[Logins]{Cause: "no logind"} }

func onGPU(h ...GPUHolder) func(*host) {
	return func(at *host) { at.facts.GPU = read(GPU{Holders: h}) }
}

// The GPUs are asked once an AI unit is down, and only then (D16).
func TestSettledAsksTheGPU(t *testing.T) {
	for _, r := range []struct {
		unit, active string
		want         Subject
	}{{vllm, "inactive", AboutGPU}, {vllm, "deactivating", 0}, {"x.service", "inactive", 0}} {
		f := newHost().unit(r.unit, r.active).read()
		f.GPU = Reading[GPU]{}
		if p := Settled(Op{Stop, r.unit}, Plan{}, f, testPolicy()); p.Ask != r.want || p.Done != (r.unit == "x.service") {
			t.Errorf("%s that is %s: %+v", r.unit, r.active, p)
		}
	}
}

func TestSettledUnits(t *testing.T) {
	const u = "x.service"
	load := func(state, active string) func(*host) {
		return func(h *host) { h.units[u] = Unit{Name: u, Load: state, Active: active} }
	}
	failed := func(h *host) { h.units[u] = Unit{Name: u, Load: "loaded", Active: "failed", Result: "exit-code"} }
	settle(t, []settledRow{
		{"no bus", Op{Start, u}, noUnits, "awaiting no bus"},
		{"up", Op{Start, u}, is(u, "active"), "done"},
		{"reloading", Op{Start, u}, is(u, "reloading"), "done"},
		{"starting", Op{Start, u}, is(u, "activating"), "awaiting x.service to become active, it is activating"},
		{"failed", Op{Start, u}, failed, "never x.service failed: exit-code"},
		{"gone at once", Op{Start, u}, is(u, "inactive"), "never a condition was not met"},
		{"masked", Op{Start, u}, load("masked", "inactive"), "never x.service is masked"},
		{"missing", Op{Start, u}, load("not-found", ""), "never x.service is not-found"},
		{"not listed yet", Op{Start, u}, nil, "awaiting not loaded"},

		{"down", Op{Stop, u}, is(u, "inactive"), "done"},
		{"failed by its stop", Op{Stop, u}, failed, "done"},
		{"unloaded", Op{Stop, u}, nil, "done"},
		{"stopping", Op{Stop, u}, is(u, "deactivating"), "awaiting x.service to stop, it is deactivating"},
		{"still up", Op{Stop, u}, is(u, "active"), "awaiting it is active"},
		{"no bus", Op{Stop, u}, noUnits, "awaiting no bus"},
		{"down, and nothing of it on a GPU", Op{Stop, vllm}, onGPU(GPUHolder{PID: 9, Comm: "x", Unit: u, Kind: "compute"}), "done"},
		{"down, and a process of it left on a GPU", Op{Stop, vllm}, onGPU(GPUHolder{PID: 9, Comm: "python3", Node: "/dev/nvidia1", Unit: vllm}),
			"awaiting python3 (PID 9, uid 0, " + vllm + ") holds /dev/nvidia1, though " + vllm + " is inactive"},
		{"down, and no GPU to be read", Op{Stop, vllm}, func(h *host) { h.facts.GPU = Reading[GPU]{Cause: "it is lost"} }, "done"},
		{"no AI unit", Op{Stop, u}, onGPU(GPUHolder{PID: 9, Comm: "x", Unit: u}), "done"},

		{"an AI unit, empty", Op{Stop, vllm}, nil, "done"},
		{"a worker is left", Op{Stop, vllm}, workers(Worker{PID: 7, UID: 990, Comm: "python3", Unit: vllm}), "awaiting vllm@compute.service to be empty, there is python3 (PID 7, uid 990) in vllm@compute.service"},
		{"one that sleeps", Op{Stop, vllm}, workers(Worker{PID: 7, Unit: vllm, Stuck: true}), "awaiting state D"},
		{"one of another unit, one outside", Op{Stop, vllm}, workers(Worker{PID: 7, Unit: "embed.service"}, Worker{PID: 8, Unit: vllm, Outside: "a child"}), "done"},
		{"its processes unknown", Op{Stop, vllm}, func(h *host) { h.facts.Workers = Reading[[]Worker]{Cause: "no cgroups"} }, "awaiting what is left of vllm@compute.service: no cgroups"},
		{"not an AI unit", Op{Stop, u}, func(h *host) { h.facts.Workers = Reading[[]Worker]{Cause: "no cgroups"} }, "done"},

		{"finished", Op{Run, u}, is(u, "inactive"), "done"},
		{"finished and remaining", Op{Run, u}, is(u, "active"), "done"},
		{"running", Op{Run, u}, is(u, "activating"), "awaiting x.service to finish"},
		{"failed", Op{Run, u}, failed, "never x.service failed: exit-code"},

		{"masked and down", Op{MaskNow, u}, load("masked", "inactive"), "done"},
		{"masked and up", Op{MaskNow, u}, load("masked", "active"), "awaiting it is masked and masked"},
		{"missing and asked to stop", Op{Stop, u}, load("not-found", "active"), "awaiting it is not-found"},
		{"down and not masked", Op{MaskNow, u}, is(u, "inactive"), "awaiting loaded and inactive"},
		{"unmasked and up", Op{UnmaskNow, u}, is(u, "active"), "done"},
		{"still masked", Op{UnmaskNow, u}, load("masked", "inactive"), "awaiting x.service to be unmasked"},
		{"unmasked and failed", Op{UnmaskNow, u}, failed, "never exit-code"},

		{"no such verb", Op{"dance", u}, nil, `never unknown verb "dance"`},
	})
}

func TestSettledIsolate(t *testing.T) {
	o := Op{Isolate, "compute.target"}
	arrived := func(h *host) { h.unit("compute.target", "active") }
	pending := func(unit string) func(*host) {
		return func(h *host) {
			arrived(h)
			h.facts.Host.Value.Pending = []Job{{Unit: unit, Type: "stop"}}
		}
	}
	settle(t, []settledRow{
		{"arrived", o, arrived, "done"},
		{"no manager", o, func(h *host) { arrived(h); h.facts.Host = Reading[Host]{Cause: "hangs"} }, "awaiting hangs"},
		{"no bus", o, noUnits, "awaiting no bus"},
		{"a job of the target", o, pending("compute.target"), "awaiting the stop job of compute.target"},
		{"a job of the stop set", o, pending("cups.service"), "awaiting the stop job of cups.service"},
		{"a job of somebody else", o, pending("apt-daily.service"), "done"},
		{"the stop set still stopping", o, func(h *host) { arrived(h); h.unit("cups.service", "deactivating") }, "awaiting cups.service to stop"},
		{"the other target still up", o, func(h *host) { arrived(h); h.unit("desktop.target", "active") }, "awaiting desktop.target to stop"},
		{"the target down", o, nil, "never compute.target is inactive"},
		{"back to desktop", Op{Isolate, "desktop.target"}, func(h *host) { h.unit("desktop.target", "active").unit("compute.target", "active") }, "awaiting compute.target to stop"},
	})
}

func TestSettledSessions(t *testing.T) {
	end := Op{EndSession, "c2"}
	alice := func(change func(*User)) func(*host) {
		return func(h *host) { h.alice(); change(&h.logins.Users[0]) }
	}
	settle(t, []settledRow{
		{"gone", end, nil, "done"},
		{"there", end, func(h *host) { h.alice() }, "awaiting session c2 of alice to end, it is active"},
		{"closing", end, func(h *host) { h.alice(); h.logins.Sessions[0].State = "closing" }, "awaiting session c2 of alice to end, it is closing"},
		{"its scope is left", end, is("session-c2.scope", "deactivating"), "awaiting its scope is deactivating"},
		{"no logind", end, noLogins, "awaiting no logind"},
		{"no bus", end, noUnits, "awaiting no bus"},

		{"desktop up", Op{StopDesktop, "1000"}, alice(func(u *User) {}), "awaiting graphical-session.target of alice"},
		{"desktop down", Op{StopDesktop, "1000"}, alice(func(u *User) { u.Graphical = false }), "done"},
		{"manager gone", Op{StopDesktop, "1000"}, alice(func(u *User) { u.Manager = false }), "done"},
		{"another user", Op{StopDesktop, "1001"}, alice(func(u *User) {}), "done"},
		{"no logind", Op{StopDesktop, "1000"}, noLogins, "awaiting no logind"},
		{"audio up", Op{StopAudio, "1000"}, alice(func(u *User) {}), "awaiting pipewire.socket"},
		{"audio down", Op{StopAudio, "1000"}, alice(func(u *User) { u.Audio = nil }), "done"},
		{"audio back", Op{StartAudio, "1000"}, alice(func(u *User) {}), "done"},
		{"audio not back", Op{StartAudio, "1000"}, alice(func(u *User) { u.Audio = nil }), "awaiting the audio of alice to start"},
	})
}

func TestSettledInference(t *testing.T) {
	serve := func(i Inference) func(*host) {
		return func(h *host) { h.unit(vllm, "active"); i.Unit = vllm; h.facts.Inference = read([]Inference{i}) }
	}
	drain, await := Op{Drain, vllm}, Op{AwaitReady, vllm}
	settle(t, []settledRow{
		{"stopped", drain, nil, "done"},
		{"idle", drain, serve(Inference{Known: true}), "done"},
		{"busy", drain, serve(Inference{Known: true, Running: 2, Waiting: 1}), "awaiting 2 running and 1 waiting"},
		{"metrics unknown", drain, serve(Inference{Cause: "answered 500"}), "awaiting answered 500"},
		{"not asked", drain, is(vllm, "active"), "awaiting the requests of vllm@compute.service: not looked at"},
		{"no bus, idle", drain, func(h *host) { serve(Inference{Known: true})(h); noUnits(h) }, "done"},
		{"unread", drain, func(h *host) {
			h.unit(vllm, "active")
			h.facts.Inference = Reading[[]Inference]{Value: []Inference{{Unit: vllm, Known: true}}, Cause: "timed out"}
		}, "awaiting timed out"},

		{"serves", await, serve(Inference{Ready: true}), "done"},
		{"loads", await, serve(Inference{}), "awaiting to answer /health"},
		{"crashed", await, func(h *host) {
			h.units[vllm] = Unit{Name: vllm, Load: "loaded", Active: "failed", Result: "oom-kill"}
		}, "never oom-kill"},
		{"no bus", await, noUnits, "awaiting to answer /health"},
	})
}

func TestSettledRelease(t *testing.T) {
	o := Op{AwaitRelease, "display"}
	holders := func(h ...GPUHolder) func(*host) {
		return func(x *host) { x.facts.GPU = read(GPU{Holders: h}) }
	}
	settle(t, []settledRow{
		{"free", o, nil, "done"},
		{"held", o, holders(GPUHolder{PID: 812, Comm: "sway", UID: 1000, Node: "/dev/dri/card0", Display: true}), "awaiting sway (PID 812, uid 1000) holds /dev/dri/card0"},
		{"infrastructure, and the other GPU", o, holders(GPUHolder{Display: true, Infra: true}, GPUHolder{}), "done"},
		{"unreadable", o, func(h *host) { h.facts.GPU = Reading[GPU]{Cause: "not permitted"} }, "awaiting not permitted"},
	})
}

func TestSettledBudgets(t *testing.T) {
	o, p := Op{SetBudgets, "compute"}, testPolicy()
	inForce := func(change func([]Budget) []Budget) func(*host) {
		return func(h *host) { h.facts.Budgets = read(change(p.InForce(Compute))) }
	}
	settle(t, []settledRow{
		{"in force", o, inForce(func(b []Budget) []Budget { return b }), "done"},
		{"one differs", o, inForce(func(b []Budget) []Budget { b[0].Value++; return b }), "never of " + p.Budgets[Compute][0].Slice + " is"},
		{"one of another mode stays", o, inForce(func(b []Budget) []Budget { b[len(b)-1].Value = 7; return b }), "never is 7, not"},
		{"one was not read", o, inForce(func(b []Budget) []Budget { return b[1:] }), "awaiting which was not read"},
		{"unreadable", o, func(h *host) { h.facts.Budgets = Reading[[]Budget]{Cause: "not permitted"} }, "awaiting not permitted"},
	})
	if q := Needs(o, Plan{}, p); !slices.Equal(q.Budgets, p.InForce(Compute)) {
		t.Errorf("asks for %v", q.Budgets)
	}
}

// TestNeeds: what a post-condition looks at is asked for, so that facts that
// bring nothing else settle nothing.
func TestNeeds(t *testing.T) {
	plan := Plan{Stops: []string{"cups.service"}}
	rows := []struct {
		op    Op
		about Subject
		units []string
	}{
		{Op{Run, "x"}, AboutUnits, []string{"x"}}, {Op{Start, "x"}, AboutUnits, []string{"x"}},
		{Op{Stop, "x"}, AboutUnits, []string{"x"}}, {Op{Stop, vllm}, AboutUnits | AboutWorkers, []string{vllm}}, {Op{MaskNow, "x"}, AboutUnits, []string{"x"}},
		{Op{UnmaskNow, "x"}, AboutUnits, []string{"x"}},
		{Op{Isolate, "x"}, AboutHost | AboutUnits, []string{"x", "cups.service"}},
		{Op{EndSession, "c2"}, AboutUnits | AboutSessions, []string{"session-c2.scope"}},
		{Op{StopDesktop, "1000"}, AboutSessions, nil}, {Op{StopAudio, "1000"}, AboutSessions, nil}, {Op{StartAudio, "1000"}, AboutSessions, nil},
		{Op{Drain, "x"}, AboutUnits | AboutInference, []string{"x"}}, {Op{AwaitReady, "x"}, AboutUnits | AboutInference, []string{"x"}},
		{Op{AwaitRelease, "display"}, AboutGPU, nil},
		{Op{SetBudgets, "compute"}, AboutBudgets, nil},
	}
	for _, r := range rows {
		q := Needs(r.op, plan, testPolicy())
		if q.About != r.about || !slices.Equal(q.Units, r.units) {
			t.Errorf("%s needs %b of %v, want %b of %v", r.op, q.About, q.Units, r.about, r.units)
		}
		if q.Ready != (r.op.Verb == AwaitReady) {
			t.Errorf("%s asks the server for nothing but readiness: %v", r.op, q.Ready)
		}
		if p := Settled(r.op, plan, Facts{}, testPolicy()); r.about != 0 && p.Done {
			t.Errorf("facts that were not read settle %s", r.op)
		}
	}
}

func TestSubjects(t *testing.T) {
	var all Subject
	for s := AboutHost; s <= AboutWorkers; s <<= 1 {
		if SubjectNames[s] == "" {
			t.Errorf("subject %b has no name", s)
		}
		all |= s
	}
	if all != Everything {
		t.Errorf("everything is %b, not %b", Everything, all)
	}
}
