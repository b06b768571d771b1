package config

import (
	"slices"
	"strings"

	"github.com/modewatch/modewatch/fsm"
)

// used turns what is written into what is used. It is given only what check
// found no fault with.
func used(r raw) Config {
	return Config{
		Policy:    policy(r),
		Normalise: r.Boot.Normalise,
		RunDir:    r.Paths.Run, LibDir: r.Paths.Lib,
		GuardsDir: r.Guards.SiteDir, GuardTimeout: r.Guards.SiteTimeout,
		PlacementFile: r.Paths.Placement,
		NVML:          NVML{Off: r.GPUs.NVML == nvmlOff, Library: r.GPUs.NVMLLibrary, Timeout: r.GPUs.NVMLTimeout},
		LogLevel:      r.LogLevel,
		History:       History{Max: r.History.Max},
	}
}

func policy(r raw) fsm.Policy {
	g := r.Guards
	return fsm.Policy{
		Units:     units(r),
		Deadlines: deadlines(r),
		Gate:      fsm.Gate{Background: r.Triggers.Background, DesiredFile: r.Triggers.DesiredFile},
		Sessions:  fsm.SessionPolicy{Compositors: r.Sessions.Compositors},
		GPU:       fsm.GPUPolicy{Planned: r.GPUs.Planned, Display: r.GPUs.Display, AI: r.GPUs.AI, Infra: r.GPUs.Infra},
		Audio: fsm.AudioPolicy{Processes: g.Audio.Processes, Nodes: g.Audio.Nodes, Ignore: g.Audio.Ignore,
			Servers: g.Audio.Servers, Program: g.Audio.PWDump, Allow: g.Audio.Allow, Deny: g.Audio.Deny,
			LowLatency: g.Audio.LowLatency, Debounce: g.Audio.Debounce},
		Load:      fsm.LoadPolicy{CPUSome: g.CPULoad.MaxPressure},
		Memory:    fsm.MemoryPolicy{Model: uint64(g.Memory.Model), Floor: uint64(g.Memory.Floor)},
		Jobs:      fsm.JobPolicy{Processes: g.Jobs.Processes, Allow: g.Jobs.Allow, Studio: g.Jobs.Studio},
		Inference: fsm.InferencePolicy{URL: urls(r.VLLM), Ready: r.VLLM.RequireReady, OnTimeout: r.VLLM.Drain.OnTimeout},
		Idle:      idle(r.Triggers),
		Budgets: map[fsm.Mode][]fsm.Budget{
			fsm.Desktop: budgets(r.Slices.Desktop), fsm.StudioLocal: budgets(r.Slices.StudioLocal), fsm.Compute: budgets(r.Slices.Compute),
		},
		StudioToCompute: r.Transitions.StudioToCompute,
		Force:           r.Force.Enabled,
		Overall:         r.Transitions.Overall,
	}
}

func units(r raw) fsm.Units {
	u := r.Units
	prepare := map[fsm.Mode]string{}
	for m, name := range u.Prepare.byMode() {
		if name != "" {
			prepare[m] = name
		}
	}
	return fsm.Units{
		Own: u.Own, Desktop: u.Desktop, Compute: u.Compute, StudioPolicy: u.StudioPolicy, AudioPriority: u.AudioPriority,
		Graphical: u.Graphical, AI: r.VLLM.Units.byMode(), Starters: u.Starters, Prepare: prepare, Protected: u.Protected,
		Audio: u.Audio, Switch: u.Switch,
	}
}

func deadlines(r raw) fsm.Deadlines {
	d := r.Transitions.Deadlines
	return fsm.Deadlines{
		Start: d.Start, Stop: d.Stop, Isolate: d.Isolate, SessionTerm: d.SessionTerm, SessionKill: d.SessionKill,
		GPURelease: d.GPURelease, Ready: r.VLLM.Ready, Drain: r.VLLM.Drain.Deadline, Audio: d.Audio, Prepare: d.Prepare,
		Budgets: d.Budgets, Observe: d.Observe,
	}
}

func (m modesOfOne) byMode() map[fsm.Mode]string {
	return map[fsm.Mode]string{fsm.Desktop: m.Desktop, fsm.StudioLocal: m.StudioLocal, fsm.Compute: m.Compute}
}

func (m modesOfMany) byMode() map[fsm.Mode][]string {
	return map[fsm.Mode][]string{fsm.Desktop: m.Desktop, fsm.StudioLocal: m.StudioLocal, fsm.Compute: m.Compute}
}

func (m modesOfMany) all() []string { return slices.Concat(m.Desktop, m.StudioLocal, m.Compute) }

// urls gives each AI unit its own address, or the common one.
func urls(v rawVLLM) map[string]string {
	out := map[string]string{}
	for _, unit := range v.Units.all() {
		url := v.URL
		if own, ok := v.URLs[unit]; ok {
			url = own
		}
		out[unit] = strings.TrimRight(url, "/")
	}
	return out
}

// slice is one slice's budget with its name as key and as unit.
type slice struct {
	key, unit string
	rawBudget
}

func (b rawBudgets) slices() []slice {
	return []slice{
		{"user", "user.slice", b.User}, {"interactive", "interactive.slice", b.Interactive},
		{"ai", fsm.AISlice, b.AI}, {"platform", "platform.slice", b.Platform},
	}
}

// property is one value of a budget with its key and systemd's name of it.
type property struct {
	key, name string
	value     uint64
}

func (b rawBudget) properties() []property {
	return []property{
		{"cpu_weight", "CPUWeight", uint64(b.CPUWeight)}, {"io_weight", "IOWeight", uint64(b.IOWeight)},
		{"memory_high", "MemoryHigh", uint64(b.MemoryHigh)}, {"memory_max", "MemoryMax", uint64(b.MemoryMax)},
	}
}

func budgets(b rawBudgets) []fsm.Budget {
	var out []fsm.Budget
	for _, s := range b.slices() {
		for _, p := range s.properties() {
			if p.value != 0 {
				out = append(out, fsm.Budget{Slice: s.unit, Property: p.name, Value: p.value})
			}
		}
	}
	return out
}

func idle(t rawTriggers) fsm.IdlePolicy {
	i := t.Idle
	return fsm.IdlePolicy{Watch: i.Watch, Deny: i.Deny, After: i.After, Countdown: i.Countdown, OnBlock: i.OnBlock, MaxGPU: i.MaxGPU, Studio: i.Studio,
		Return: t.Return, Heal: t.Drift, Retry: t.Retry}
}
