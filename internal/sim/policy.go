package sim

import (
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// Policy is a policy for simulated hosts: one GPU, one AI unit, one display
// manager, an overlay, a hook, short deadlines.
func Policy() fsm.Policy {
	const ai = "vllm@compute.service"
	return fsm.Policy{
		Units: fsm.Units{
			Own: []string{"modewatch.service"}, Desktop: "desktop.target", Compute: "compute.target",
			StudioPolicy: "studio-local-policy.service", AudioPriority: "audio-priority.service",
			Graphical: "graphical-session.target", AI: map[fsm.Mode][]string{fsm.Compute: {ai}},
			Starters: []string{"display-manager.service"}, Protected: []string{"ssh.service", "k3s.service"},
			Prepare: map[fsm.Mode]string{fsm.Compute: "mode-prepare-compute.service"},
			Audio:   []string{"pipewire.socket", "pipewire.service"},
		},
		Deadlines: fsm.Deadlines{Start: 30 * time.Second, Stop: 30 * time.Second, Isolate: 30 * time.Second,
			SessionTerm: 5 * time.Second, SessionKill: 5 * time.Second, GPURelease: 15 * time.Second, Ready: time.Minute,
			Drain: time.Minute, Audio: 5 * time.Second, Prepare: 10 * time.Second, Budgets: 5 * time.Second, Observe: 2 * time.Second},
		Gate:      fsm.Gate{DesiredFile: true},
		Inference: fsm.InferencePolicy{URL: map[string]string{ai: "http://127.0.0.1:8000"}, Ready: true, OnTimeout: fsm.DrainStop},
		Load:      fsm.LoadPolicy{CPUSome: 40}, Memory: fsm.MemoryPolicy{Floor: 2 << 30},
		Budgets: map[fsm.Mode][]fsm.Budget{
			fsm.Desktop:     {{Slice: "ai.slice", Property: "CPUWeight", Value: 50}},
			fsm.StudioLocal: {{Slice: "ai.slice", Property: "CPUWeight", Value: 10}},
			fsm.Compute:     {{Slice: "ai.slice", Property: "CPUWeight", Value: 400}},
		},
		StudioToCompute: fsm.StudioDirect, Overall: 5 * time.Minute,
	}
}
