package main

import (
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/engine"
)

// The values that the golden pages are made from.

var (
	alice      = fsm.Caller{UID: 1000, PID: 812, Session: "2", Unit: "session-2.scope"}
	wishHere   = fsm.Wish{ID: "w1", Mode: fsm.Compute, Reason: fsm.ByRequest, By: alice, At: noon.Add(-10 * time.Second)}
	atDesk     = fsm.Observation{Mode: fsm.Desktop, Evidence: []string{"desktop.target is active", "session 2 of alice is graphical: type wayland"}}
	inCompute  = fsm.Observation{Mode: fsm.Compute, Evidence: []string{"compute.target is active", "no graphical user session"}}
	audioBlock = fsm.Verdict{Guard: "check_audio_idle", Code: 10, Hard: true, Reason: "audio is in use by reaper (PID 811, uid 1000): configured process"}
	loadBlock  = fsm.Verdict{Guard: "check_cpu_load_safe", Code: 12, Reason: "tasks waited for a CPU in 73.0 % of the last ten seconds"}
	gpuUnclear = fsm.Verdict{Guard: "check_gpu_display_released", Code: 21, Hard: true, Reason: "cannot read who holds the display GPU: permission denied"}
	reachable  = fsm.Verdict{Guard: "check_target_reachable", OK: true, Hard: true, Reason: "compute can be reached"}
)

// ended returns an attempt from desktop to compute that ended in a way.
func attempted(out fsm.Outcome, final fsm.Mode, cause string) fsm.Attempt {
	return fsm.Attempt{Schema: fsm.Schema, ID: "a1", Wish: wishHere, Kind: fsm.Transition, From: fsm.Desktop, To: fsm.Compute, Final: final,
		Outcome: out, Success: out == fsm.Reached, Cause: cause, Begun: noon.Add(-9 * time.Second), Ended: noon.Add(-2 * time.Second),
		Exit: fsm.ExitCode(out, 10, false)}
}

// takenBack is an attempt of two steps, the second of which failed.
func takenBack() fsm.Attempt {
	a := attempted(fsm.Recovered, fsm.Desktop, "run mode-prepare-compute.service: exit status 1")
	at := a.Begun
	add := func(op fsm.Op, undo bool, result string, d time.Duration) {
		a.Steps = append(a.Steps, fsm.StepResult{Op: op, Undo: undo, Result: result, Began: at, Ended: at.Add(d)})
		at = at.Add(d)
	}
	add(fsm.Op{Verb: fsm.Stop, Arg: "audio-priority.service"}, false, "done", 40*time.Millisecond)
	add(fsm.Op{Verb: fsm.Run, Arg: "mode-prepare-compute.service"}, false, "failed", 1500*time.Millisecond)
	add(fsm.Op{Verb: fsm.Start, Arg: "audio-priority.service"}, true, "done", 120*time.Millisecond)
	return a
}

// stopping is an attempt that waits for a session to end.
func stopping() fsm.Running {
	return fsm.Running{ID: "a1", Wish: wishHere, Kind: fsm.Transition, From: fsm.Desktop, To: fsm.Compute, Doing: "step", Step: 3, Steps: 8,
		Op: fsm.Op{Verb: fsm.EndSession, Arg: "2"}, Await: "session 2 of alice to end, it is closing",
		Since: noon.Add(-3 * time.Second), Until: noon.Add(17 * time.Second), Phase: fsm.After, Begun: noon.Add(-9 * time.Second)}
}

func resting(o fsm.Observation) fsm.Snapshot {
	return fsm.Snapshot{Schema: fsm.Schema, At: noon, PID: 640, Boot: "b", State: fsm.Resting(o.Mode), Since: noon.Add(-3 * time.Hour), Observation: o}
}

// wanting is a snapshot with the wish for compute.
func wanting(s fsm.Snapshot) fsm.Snapshot {
	s.Wish = &wishHere
	return s
}

func after(s fsm.Snapshot, a fsm.Attempt) fsm.Snapshot {
	s.Last = &a
	return s
}

func moving(s fsm.Snapshot, r fsm.Running) fsm.Snapshot {
	s.State, s.Attempt, s.Since = fsm.Transitioning, &r, r.Begun
	return s
}

// toCompute is the preview of a desk that is asked to become headless.
func toCompute(verdicts ...fsm.Verdict) engine.Preview {
	step := func(v fsm.Verb, arg string, d time.Duration, undo fsm.Op, final bool) fsm.Step {
		return fsm.Step{Op: fsm.Op{Verb: v, Arg: arg}, Deadline: d, Undo: undo, Final: final, Yields: final}
	}
	no := fsm.Op{}
	plan := fsm.Plan{Kind: fsm.Transition, From: fsm.Desktop, To: fsm.Compute, Ends: []string{"2"}, Stops: []string{"backup.service", "cups.service", "notes.service"}, Steps: []fsm.Step{
		step(fsm.Run, "mode-prepare-compute.service", time.Minute, no, false),
		step(fsm.MaskNow, "greetd.service", 90*time.Second, fsm.Op{Verb: fsm.UnmaskNow, Arg: "greetd.service"}, false),
		step(fsm.StopDesktop, "1000", 90*time.Second, no, true),
		step(fsm.EndSession, "2", 20*time.Second, no, true),
		step(fsm.StopAudio, "1000", 15*time.Second, fsm.Op{Verb: fsm.StartAudio, Arg: "1000"}, false),
		step(fsm.AwaitRelease, "display", 30*time.Second, no, false),
		step(fsm.Isolate, "compute.target", time.Minute, fsm.Op{Verb: fsm.Isolate, Arg: "desktop.target"}, false),
		step(fsm.SetBudgets, "compute", 5*time.Second, fsm.Op{Verb: fsm.SetBudgets, Arg: "desktop"}, false),
		step(fsm.Start, "vllm@compute.service", 90*time.Second, fsm.Op{Verb: fsm.Stop, Arg: "vllm@compute.service"}, false),
		step(fsm.AwaitReady, "vllm@compute.service", 10*time.Minute, no, false),
	}}
	set := fsm.StopSet{Target: "compute.target", Stops: []fsm.StopUnit{
		{Name: "backup.service", Description: "Nightly backup", Origin: "timer", PID: 900},
		{Name: "cups.service", Description: "CUPS Scheduler", Origin: "enabled"},
		{Name: "notes.service", Origin: "hand"},
	}}
	facts := fsm.Facts{
		Logins:   fsm.Read(fsm.Logins{Sessions: []fsm.Session{{ID: "2", User: "alice", UID: 1000, Graphical: true}}, Users: []fsm.User{{UID: 1000, Name: "alice"}}}, nil),
		StopSets: fsm.Read(map[string]fsm.StopSet{"compute.target": set}, nil),
	}
	pre := engine.Preview{Observation: atDesk, Plan: plan, Verdicts: append([]fsm.Verdict{reachable}, verdicts...), Facts: facts}
	for _, v := range verdicts {
		if pre.Exit == 0 {
			pre.Exit = v.Code
		}
	}
	return pre
}
