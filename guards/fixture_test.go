package guards

import (
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// testPolicy is a one-GPU host with one AI unit and one display manager.
func testPolicy() fsm.Policy {
	return fsm.Policy{
		Units: fsm.Units{
			Own:     []string{"modewatch.service", "mode-controller@*.service"},
			Desktop: "desktop.target", Compute: "compute.target",
			StudioPolicy: "studio-local-policy.service", AudioPriority: "audio-priority.service",
			AI:        map[fsm.Mode][]string{fsm.Compute: {"vllm@compute.service"}},
			Starters:  []string{"display-manager.service"},
			Protected: []string{"ssh.service", "k3s*.service"},
		},
		Load:      fsm.LoadPolicy{CPUSome: 40},
		Memory:    fsm.MemoryPolicy{Floor: 2 << 30},
		Inference: fsm.InferencePolicy{URL: map[string]string{"vllm@compute.service": "http://127.0.0.1:8000"}, Ready: true, OnTimeout: fsm.DrainStop},
	}
}

func loaded(name, active string) fsm.Unit {
	return fsm.Unit{Name: name, Load: "loaded", Active: active}
}

// onDesktop is a quiet desktop: alice's sway in session c2, started by a
// display manager that is up.
func onDesktop() fsm.Facts {
	units := map[string]fsm.Unit{
		"desktop.target":              {Name: "desktop.target", Load: "loaded", Active: "active", CanIsolate: true},
		"compute.target":              {Name: "compute.target", Load: "loaded", Active: "inactive", CanIsolate: true},
		"studio-local-policy.service": loaded("studio-local-policy.service", "inactive"),
		"audio-priority.service":      loaded("audio-priority.service", "inactive"),
		"vllm@compute.service":        loaded("vllm@compute.service", "inactive"),
		"display-manager.service":     loaded("display-manager.service", "active"),
	}
	alice := fsm.Session{ID: "c2", User: "alice", UID: 1000, Class: "user", Type: "wayland", State: "active", Service: "gdm-password", Graphical: true, Why: "it is of type wayland"}
	return fsm.Facts{
		Host:   ok(fsm.Host{Manager: "running"}),
		Units:  ok(units),
		Logins: ok(fsm.Logins{Sessions: []fsm.Session{alice}, Users: []fsm.User{{UID: 1000, Name: "alice", Manager: true}}}),
		StopSets: ok(map[string]fsm.StopSet{
			"compute.target": {Target: "compute.target", Stops: []fsm.StopUnit{{Name: "graphical.target", Origin: "dependency"}}},
			"desktop.target": {Target: "desktop.target", Stops: []fsm.StopUnit{{Name: "compute.target", Origin: "enabled"}}},
		}),
		Audio:      ok(fsm.Audio{Looked: []string{"processes", "/dev/snd"}}),
		GPU:        ok(fsm.GPU{Present: []string{"/dev/dri/card0"}, Holders: []fsm.GPUHolder{{PID: 900, UID: 1000, Comm: "sway", Node: "/dev/dri/card0", Display: true, Unit: "session-c2.scope", Session: "c2"}}}),
		Load:       ok(fsm.Load{CPUSome: 3}),
		Memory:     ok(fsm.Memory{Available: 8 << 30}),
		Jobs:       ok([]fsm.UserJob(nil)),
		Inference:  ok([]fsm.Inference(nil)),
		Placement:  ok(fsm.Placement{Studio: "local"}),
		Inhibitors: ok([]fsm.Inhibitor(nil)), Holds: ok([]fsm.Hold(nil)),
		Site: ok([]fsm.SiteVerdict(nil)),
	}
}

// inCompute is a headless host whose vLLM serves nobody just now.
func inCompute() fsm.Facts {
	f := onDesktop()
	f.Logins.Value.Sessions = nil
	f.GPU.Value.Holders = []fsm.GPUHolder{{PID: 70, UID: 990, Comm: "python3", Node: "/dev/dri/card0", Display: true, Unit: "vllm@compute.service"}}
	set := f.Units.Value
	set["desktop.target"] = fsm.Unit{Name: "desktop.target", Load: "loaded", Active: "inactive", CanIsolate: true}
	set["compute.target"] = fsm.Unit{Name: "compute.target", Load: "loaded", Active: "active", CanIsolate: true}
	set["display-manager.service"] = fsm.Unit{Name: "display-manager.service", Load: "masked", Active: "inactive"}
	set["vllm@compute.service"] = fsm.Unit{Name: "vllm@compute.service", Load: "loaded", Active: "active", Memory: 4 << 30}
	f.Inference = ok([]fsm.Inference{{Unit: "vllm@compute.service", Ready: true, Known: true}})
	return f
}

func ok[T any](v T) fsm.Reading[T] { return fsm.Reading[T]{OK: true, Value: v} }

func broken[T any]() fsm.Reading[T] { return fsm.Reading[T]{Cause: "the probe broke"} }

// input is a wish of a person on a host, with the plan that fsm makes for it.
func input(t *testing.T, f fsm.Facts, p fsm.Policy, to fsm.Mode) Input {
	t.Helper()
	o := fsm.Classify(f, p)
	plan, err := fsm.PlanFor(o, to, f, p)
	if err != nil {
		t.Fatal(err)
	}
	return Input{Facts: f, Policy: p, Plan: plan, Observation: o,
		Wish: fsm.Wish{ID: "w1", Mode: to, Reason: fsm.ByRequest, At: time.Unix(1, 0)}}
}

// before returns the input as it is right before the first step with the verb.
func (in Input) before(t *testing.T, v fsm.Verb) Input {
	t.Helper()
	for _, s := range in.Plan.Steps {
		if s.Verb == v {
			in.Before = &s
			return in
		}
	}
	t.Fatalf("no step %s in %v", v, in.Plan.Steps)
	return in
}
