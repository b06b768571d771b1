package soak

import (
	"slices"
	"strings"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/sim"
)

const (
	ai      = "vllm@compute.service"
	deskAI  = "vllm@desktop.service"
	starter = "display-manager.service"
)

// variants are the policies that trials run under.
var variants = func() []fsm.Policy {
	make := func(change func(*fsm.Policy)) fsm.Policy {
		p := sim.Policy()
		change(&p)
		return p
	}
	return []fsm.Policy{
		make(func(*fsm.Policy) {}),
		make(func(p *fsm.Policy) { p.StudioToCompute = fsm.StudioViaDesktop }),
		make(func(p *fsm.Policy) { p.Inference.OnTimeout = fsm.DrainBlock; p.Memory.Model = 16 << 30 }),
		make(func(p *fsm.Policy) {
			p.Units.AI = map[fsm.Mode][]string{fsm.Compute: {ai}, fsm.Desktop: {deskAI}}
			p.Inference.URL = map[string]string{ai: "http://127.0.0.1:8000", deskAI: "http://127.0.0.1:8001"}
		}),
		make(func(p *fsm.Policy) { p.Inference.Ready = false; p.Budgets = nil; p.Jobs.Studio = true }),
		make(func(p *fsm.Policy) { p.Overall = 20 * time.Second; p.Gate.DesiredFile = false }),
		make(func(p *fsm.Policy) {
			p.Gate.Background = true
			p.Idle = fsm.IdlePolicy{After: 90 * time.Second, Countdown: 10 * time.Second, OnBlock: fsm.OnBlockRevert, Studio: true,
				MaxGPU: 5, Return: true, Heal: true, Retry: true}
		}),
		make(func(p *fsm.Policy) { p.Force = true }),
	}
}()

// variantNames name them.
var variantNames = []string{"as configured", "studio via desktop", "drain blocks, a large model", "an AI unit of the desktop",
	"no readiness, no budgets, jobs in the studio", "twenty seconds, no file", "by itself", "force"}

// variantWeights weighs them.
var variantWeights = []int{3, 6, 3, 10, 2, 2, 3, 2}

// startWeights weighs the ways in which a host is found by starts, in their order.
var startWeights = []int{30, 20, 8, 14, 14, 4, 4, 6}

// atBoot is the start of a host that has just booted.
const atBoot startID = 7

// starts bring a host to where a trial begins.
var starts = []struct {
	name string
	set  func(*world)
}{
	{"a desk", func(w *world) { w.desk() }},
	{"a desk with a display manager", func(w *world) { w.desk(); w.host.SetUnit(starter, "active") }},
	{"a desk without a user", func(w *world) { w.host.SetUnit(w.policy.Units.Desktop, "active") }},
	{"a studio", func(w *world) { w.desk(); w.studio() }},
	{"compute", func(w *world) { w.compute() }},
	{"a studio with an AI unit", func(w *world) { w.desk(); w.studio(); w.host.SetUnit(ai, "active") }},
	{"both targets and a marker", func(w *world) { w.compute(); w.desk(); w.studio() }},
	{"a boot", func(w *world) {
		w.host.SetUnit(starter, "inactive")
		w.host.Reboot(5 * time.Second)
		w.disk.state = fsm.Boot
	}},
}

func (w *world) desk() {
	w.host.SetUnit(w.policy.Units.Desktop, "active")
	for _, unit := range w.policy.Units.AI[fsm.Desktop] {
		w.host.SetUnit(unit, "active")
	}
	w.host.Login("alice", 1000)
}

func (w *world) studio() {
	w.host.SetUnit(w.policy.Units.StudioPolicy, "active")
	w.host.SetUnit(w.policy.Units.AudioPriority, "active")
}

func (w *world) compute() {
	w.host.SetUnit(w.policy.Units.Compute, "active")
	w.host.SetUnit(ai, "active")
	w.host.Change(func(_ *fsm.Facts, _ *fsm.Logins, units map[string]fsm.Unit) {
		u := units[starter]
		u.Load, u.Runtime, u.Active = "masked", true, "inactive"
		units[starter] = u
	})
}

// event is a change of the world that nobody asked modewatch for.
type event struct {
	name string
	do   func(*world)
}

func facts(f func(*fsm.Facts)) func(*world) {
	return func(w *world) {
		w.host.Change(func(have *fsm.Facts, _ *fsm.Logins, _ map[string]fsm.Unit) { f(have) })
	}
}

func unit(name, active string) func(*world) { return func(w *world) { w.host.SetUnit(name, active) } }

func load(name, load string, runtime bool) func(*world) {
	return func(w *world) {
		w.host.Change(func(_ *fsm.Facts, _ *fsm.Logins, units map[string]fsm.Unit) {
			u := units[name]
			u.Load, u.Runtime = load, runtime
			units[name] = u
		})
	}
}

func requests(n float64) func(*world) {
	return facts(func(f *fsm.Facts) {
		var out []fsm.Inference
		for _, i := range f.Inference.Value {
			i.Running = n
			out = append(out, i)
		}
		f.Inference.Value = out
	})
}

func (w *world) holders(come bool) {
	w.host.Change(func(f *fsm.Facts, _ *fsm.Logins, _ map[string]fsm.Unit) {
		var out []fsm.GPUHolder
		for _, h := range f.GPU.Value.Holders {
			if h.PID != 900 {
				out = append(out, h)
			}
		}
		if come {
			out = append(out, fsm.GPUHolder{PID: 900, UID: 1002, Comm: "blender", Node: "/dev/dri/card0", Display: true, Kind: "compute"})
		}
		f.GPU.Value.Holders = out
	})
}

var events = []event{
	{"audio starts", facts(func(f *fsm.Facts) { f.Audio.Value.Users = []fsm.AudioUse{{PID: 7, Comm: "reaper", How: "plays"}} })},
	{"audio ends", facts(func(f *fsm.Facts) { f.Audio.Value.Users = nil })},
	{"a job starts", facts(func(f *fsm.Facts) { f.Jobs.Value = []fsm.UserJob{{What: "rsync", PID: 8}} })},
	{"an inhibitor", facts(func(f *fsm.Facts) { f.Inhibitors.Value = []fsm.Inhibitor{{What: "idle", Who: "film"}} })},
	{"a hold", facts(func(f *fsm.Facts) { f.Holds.Value = []fsm.Hold{{ID: "h", Why: "rendering"}} })},
	{"a foreign process takes the GPU", func(w *world) { w.holders(true) }},
	{"the foreign process leaves the GPU", func(w *world) { w.holders(false) }},
	{"bob logs in", func(w *world) { w.host.Login("bob", 1001) }},
	{"bob comes by ssh", func(w *world) { w.host.Remote("bob", 1001) }},
	{"alice logs out", func(w *world) { w.host.Logout(1000) }},
	{"alice logs in", func(w *world) { w.host.Login("alice", 1000) }},
	{"the AI unit fails", unit(ai, "failed")},
	{"the AI unit is started by hand", unit(ai, "active")},
	{"the marker is started by hand", unit("studio-local-policy.service", "active")},
	{"the marker is stopped by hand", unit("studio-local-policy.service", "inactive")},
	{"desktop.target is stopped by hand", unit("desktop.target", "inactive")},
	{"desktop.target is started by hand", unit("desktop.target", "active")},
	{"compute.target is started by hand", unit("compute.target", "active")},
	{"the AI unit is masked", load(ai, "masked", false)},
	{"the AI unit is unmasked", load(ai, "loaded", false)},
	{"the studio moves out", facts(func(f *fsm.Facts) { f.Placement.Value.Studio = "external-mac-mini" })},
	{"memory is short", facts(func(f *fsm.Facts) { f.Memory.Value.Available = 1 << 30 })},
	{"the load is high", facts(func(f *fsm.Facts) { f.Load.Value.CPUSome = 90 })},
	{"a switch begins", facts(func(f *fsm.Facts) { f.Host.Value.Switching = "nixos-rebuild.service" })},
	{"requests come", requests(3)},
	{"requests end", requests(0)},
	{"the display manager dies", unit(starter, "failed")},
	{"the display manager is started", unit(starter, "active")},
	{"ssh would not survive an isolate", func(w *world) { w.host.Service("ssh.service", "enabled", false) }},
	{"a service is started by hand", func(w *world) { w.host.Service("borg.service", "hand", false) }},
	{"somebody touches the machine", func(w *world) { w.host.Touch() }},
	{"a site guard refuses", facts(func(f *fsm.Facts) { f.Site.Value = []fsm.SiteVerdict{{Name: "backup", Code: 11, Reason: "no"}} })},
}

// clear ends all that would refuse, and seats alice at a desk.
func (w *world) clear() {
	w.holders(false)
	w.host.Change(func(f *fsm.Facts, l *fsm.Logins, units map[string]fsm.Unit) {
		f.GPU.Value.Holders = slices.DeleteFunc(slices.Clone(f.GPU.Value.Holders), func(h fsm.GPUHolder) bool {
			of := func(s fsm.Session) bool { return h.Unit == fsm.SessionScope(s.ID) }
			return strings.HasPrefix(h.Unit, "session-") && !slices.ContainsFunc(l.Sessions, of) // somebody killed it
		})
		f.Audio.Value.Users, f.Jobs.Value, f.Inhibitors.Value, f.Holds.Value, f.Site.Value = nil, nil, nil, nil, nil
		f.Placement.Value.Studio, f.Memory.Value.Available, f.Load.Value.CPUSome, f.Host.Value.Switching = "local", 64<<30, 0, ""
		if u := units[ai]; u.Load == "masked" {
			u.Load = "loaded"
			units[ai] = u
		}
		delete(units, "borg.service")
	})
	w.host.Service("ssh.service", "enabled", true)
	t := w.truth()
	if trueMode(t, w.policy) != fsm.Compute && len(t.Logins.Value.Graphical()) == 0 {
		w.host.Login("alice", 1000)
	}
}
