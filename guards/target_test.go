package guards

import (
	"testing"

	"github.com/modewatch/modewatch/fsm"
)

func TestTargetReachable(t *testing.T) {
	manager := func(state string) func(*Input) { return func(in *Input) { in.Facts.Host.Value.Manager = state } }
	load := func(unit, state string) func(*Input) {
		return func(in *Input) { u := in.Facts.Units.Value[unit]; u.Load = state; in.Facts.Units.Value[unit] = u }
	}
	victim := func(name string) func(*Input) {
		return func(in *Input) {
			in.Facts.StopSets.Value["compute.target"] = fsm.StopSet{Target: "compute.target", Stops: []fsm.StopUnit{{Name: "cups.service"}, {Name: name}}}
		}
	}
	step := func(s fsm.Step) func(*Input) {
		return func(in *Input) { in.Plan.Steps = append([]fsm.Step{s}, in.Plan.Steps...) }
	}
	run(t, "check_target_reachable", []row{
		{"a plan into compute", onDesktop, fsm.Compute, nil, "", 0, "compute.target, vllm@compute.service"},
		{"a plan out of it", inCompute, fsm.Desktop, nil, "", 0, "desktop can be reached"},
		{"a degraded manager", onDesktop, fsm.Compute, manager("degraded"), "", 0, ""},
		{"a starting manager", onDesktop, fsm.Compute, func(in *Input) {
			manager("starting")(in)
			in.Facts.Host.Value.Pending = []fsm.Job{{Unit: "multi-user.target", Type: "start"}}
		}, "", 18, "1 jobs are pending: start of multi-user.target"},
		{"a stopping manager", onDesktop, fsm.Compute, manager("stopping"), "", 18, "shutting down"},
		{"a shutdown ahead", onDesktop, fsm.Compute, func(in *Input) { in.Facts.Host.Value.ShuttingDown = true }, "", 18, "shutting down"},
		{"rescue mode", onDesktop, fsm.Compute, manager("maintenance"), "", 18, "rescue"},
		{"an unknown word", onDesktop, fsm.Compute, manager("offline"), "", 28, `"offline"`},
		{"no word", onDesktop, fsm.Compute, manager(""), "", 28, `""`},
		{"a NixOS switch", onDesktop, fsm.Compute, func(in *Input) { in.Facts.Host.Value.Switching = "nixos-rebuild-switch-to-configuration.service" }, "", 18, "wait for nixos-rebuild"},
		{"the manager is unreadable", onDesktop, fsm.Compute, func(in *Input) { in.Facts.Host = broken[fsm.Host]() }, "", 28, "the probe broke"},
		{"the units are unreadable", onDesktop, fsm.Compute, func(in *Input) { in.Facts.Units = broken[map[string]fsm.Unit]() }, "", 28, "the probe broke"},

		{"a masked unit", onDesktop, fsm.Compute, load("vllm@compute.service", "masked"), "", 18, "systemctl unmask vllm@compute.service"},
		{"a missing unit", onDesktop, fsm.Compute, load("vllm@compute.service", "not-found"), "", 18, "vllm@compute.service does not exist"},
		{"a broken unit", onDesktop, fsm.Compute, load("vllm@compute.service", "bad-setting"), "", 18, "systemctl status vllm@compute.service"},
		{"a unit not looked at", onDesktop, fsm.Compute, load("vllm@compute.service", ""), "", 28, "vllm@compute.service"},
		{"a missing overlay", onDesktop, fsm.StudioLocal, load("audio-priority.service", "not-found"), "", 18, "audio-priority.service"},
		{"a missing optional hook", onDesktop, fsm.Compute, func(in *Input) {
			step(fsm.Step{Op: fsm.Op{Verb: fsm.Run, Arg: "mode-prepare-compute.service"}, Optional: true})(in)
			load("mode-prepare-compute.service", "not-found")(in)
		}, "", 0, ""},
		{"one that the plan unmasks", onDesktop, fsm.Compute, func(in *Input) {
			step(fsm.Step{Op: fsm.Op{Verb: fsm.UnmaskNow, Arg: "vllm@compute.service"}})(in)
			load("vllm@compute.service", "masked")(in)
		}, "", 0, ""},
		{"another that the plan unmasks", onDesktop, fsm.Compute, func(in *Input) {
			step(fsm.Step{Op: fsm.Op{Verb: fsm.UnmaskNow, Arg: "getty@tty1.service"}})(in)
			load("vllm@compute.service", "masked")(in)
		}, "", 18, "is masked"},
		{"one that the plan masks", onDesktop, fsm.Compute, func(in *Input) {
			step(fsm.Step{Op: fsm.Op{Verb: fsm.MaskNow, Arg: "vllm@compute.service"}})(in)
			load("vllm@compute.service", "masked")(in)
		}, "", 18, "is masked"},
		{"before the first step", onDesktop, fsm.Compute, nil, fsm.MaskNow, 0, "compute can be reached | to be started: compute.target, vllm@compute.service"},
		{"unmasked only after its start", onDesktop, fsm.Compute, func(in *Input) {
			in.Plan.Steps = append(in.Plan.Steps, fsm.Step{Op: fsm.Op{Verb: fsm.UnmaskNow, Arg: "vllm@compute.service"}})
			load("vllm@compute.service", "masked")(in)
		}, "", 18, "is masked"},
		{"a target that cannot be isolated", onDesktop, fsm.Compute, func(in *Input) {
			in.Facts.Units.Value["compute.target"] = loaded("compute.target", "inactive")
		}, "", 18, "AllowIsolate"},

		{"ssh would die", onDesktop, fsm.Compute, victim("ssh.service"), "", 18, "isolating compute.target would stop ssh.service"},
		{"a protected pattern", onDesktop, fsm.Compute, victim("k3s-agent.service"), "", 18, "k3s-agent.service"},
		{"our own unit", onDesktop, fsm.Compute, victim("mode-controller@compute.service"), "", 18, "mode-controller@compute.service"},
		{"others may die", onDesktop, fsm.Compute, victim("cron.service"), "", 0, ""},
		{"the stop set is unreadable", onDesktop, fsm.Compute, func(in *Input) { in.Facts.StopSets = broken[map[string]fsm.StopSet]() }, "", 28, "the probe broke"},
		{"the stop set is missing", onDesktop, fsm.Compute, func(in *Input) { delete(in.Facts.StopSets.Value, "compute.target") }, "", 28, "not looked at"},
		{"after the isolate the stop set matters no more", onDesktop, fsm.Compute, func(in *Input) {
			in.Facts.StopSets = broken[map[string]fsm.StopSet]()
		}, fsm.Start, 0, "vllm@compute.service"},
		{"taking an isolate back", onDesktop, fsm.Compute, func(in *Input) {
			in.Before = &fsm.Step{Op: fsm.Op{Verb: fsm.Isolate, Arg: "desktop.target"}, Yields: true}
		}, "", 0, "desktop can be reached"},
		{"taking it back would stop ssh", onDesktop, fsm.Compute, func(in *Input) {
			in.Before = &fsm.Step{Op: fsm.Op{Verb: fsm.Isolate, Arg: "desktop.target"}, Yields: true}
			in.Facts.StopSets.Value["desktop.target"] = fsm.StopSet{Target: "desktop.target", Stops: []fsm.StopUnit{{Name: "ssh.service"}}}
		}, "", 18, "isolating desktop.target would stop ssh.service"},
	})
}
