package guards

import (
	"math"
	"strings"
	"testing"

	"github.com/modewatch/modewatch/fsm"
)

// row is one case of a guard: a host that would pass, and what is changed.
type row struct {
	name   string
	host   func() fsm.Facts
	to     fsm.Mode
	change func(*Input)
	before fsm.Verb // judged before the first such step, else at plan time
	code   int
	says   string // what the reason names
}

func judged(t *testing.T, g Guard, r row) fsm.Verdict {
	t.Helper()
	in := input(t, r.host(), testPolicy(), r.to)
	if r.before != "" {
		in = in.before(t, r.before)
	}
	if r.change != nil {
		r.change(&in)
	}
	return g.Check(in)
}

func run(t *testing.T, name string, rows []row) {
	t.Helper()
	g, found := ByName(name)
	if !found {
		t.Fatalf("no guard %s", name)
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			v := judged(t, g, r)
			if v.Code != r.code || v.OK != (r.code == 0) || v.Guard != name || v.Hard != g.Hard(Input{Policy: testPolicy()}) {
				t.Errorf("got %+v, want code %d of %s", v, r.code, name)
			}
			if !strings.Contains(v.Reason+" | "+v.Detail, r.says) {
				t.Errorf("%q (%q) does not name %q", v.Reason, v.Detail, r.says)
			}
			if v.Reason == "" {
				t.Error("a verdict without a reason")
			}
		})
	}
}

func TestHolds(t *testing.T) {
	held := func(in *Input) {
		in.Facts.Holds.Value = []fsm.Hold{{Why: "rendering", By: fsm.Caller{UID: 1000, PID: 42, Session: "c1"}}, {Why: "guests", By: fsm.Caller{UID: 0}}}
	}
	run(t, "check_holds", []row{
		{"nobody", onDesktop, fsm.Compute, nil, "", 0, "nobody holds"},
		{"two", onDesktop, fsm.Compute, held, "", 13, "rendering, held by uid 1000 (PID 42, session c1) | 2 in all"},
		{"in compute", inCompute, fsm.Desktop, held, "", 13, "rendering"},
		{"unreadable", onDesktop, fsm.StudioLocal, func(in *Input) { in.Facts.Holds = broken[[]fsm.Hold]() }, "", 23, "the probe broke"},
	})
}

func TestAudioIdle(t *testing.T) {
	run(t, "check_audio_idle", []row{
		{"nobody", onDesktop, fsm.Compute, nil, "", 0, "/dev/snd"},
		{"reaper", onDesktop, fsm.Compute, func(in *Input) {
			in.Facts.Audio.Value.Users = []fsm.AudioUse{{PID: 42, UID: 1000, Comm: "reaper", How: "configured process"}, {PID: 43, Comm: "jackd", How: "holds /dev/snd/pcmC0D0p"}}
		}, "", 10, "reaper (PID 42, uid 1000): configured process | 2 in all: reaper (PID 42, uid 1000): configured process; jackd (PID 43, uid 0): holds /dev/snd/pcmC0D0p; looked at: processes, /dev/snd"},
		{"unreadable", onDesktop, fsm.Compute, func(in *Input) { in.Facts.Audio = broken[fsm.Audio]() }, "", 20, "the probe broke"},
		{"looked at nothing", onDesktop, fsm.Compute, func(in *Input) { in.Facts.Audio.Value.Looked = nil }, "", 20, "looked at nothing"},
	})
}

func TestCPULoadSafe(t *testing.T) {
	load := func(v float64) func(*Input) { return func(in *Input) { in.Facts.Load.Value.CPUSome = v } }
	run(t, "check_cpu_load_safe", []row{
		{"quiet", onDesktop, fsm.Compute, nil, "", 0, "3.0 %"},
		{"idle", onDesktop, fsm.Compute, load(0), "", 0, "0.0 %"},
		{"at the threshold", onDesktop, fsm.Compute, load(40), "", 0, "40.0 %"},
		{"above it", onDesktop, fsm.Compute, load(40.1), "", 12, "40.1 %"},
		{"not a number", onDesktop, fsm.Compute, load(math.NaN()), "", 22, "NaN"},
		{"negative", onDesktop, fsm.Compute, load(-1), "", 22, "-1"},
		{"unreadable", onDesktop, fsm.Compute, func(in *Input) { in.Facts.Load = broken[fsm.Load]() }, "", 22, "the probe broke"},
	})
}

func TestSessionGuards(t *testing.T) {
	noLogind := func(in *Input) { in.Facts.Logins = broken[fsm.Logins]() }
	gone := func(in *Input) { in.Facts.Logins.Value.Sessions = nil }
	greeter := func(in *Input) { in.Facts.Logins.Value.Sessions[0].Class = "greeter" }
	text := func(in *Input) { in.Facts.Logins.Value.Sessions[0].Graphical = false }
	run(t, "check_graphical_session_absent", []row{
		{"gone", onDesktop, fsm.Compute, gone, fsm.Isolate, 0, "no user"},
		{"a text session", onDesktop, fsm.Compute, text, fsm.Isolate, 0, "1 sessions"},
		{"a greeter", onDesktop, fsm.Compute, greeter, fsm.Isolate, 0, "no user"},
		{"there", onDesktop, fsm.Compute, nil, fsm.Isolate, 17, "session c2 of alice (gdm-password): it is of type wayland"},
		{"unreadable", onDesktop, fsm.Compute, noLogind, fsm.Isolate, 27, "the probe broke"},
	})
	run(t, "check_graphical_session_present", []row{
		{"there", onDesktop, fsm.StudioLocal, nil, "", 0, "session c2 of alice"},
		{"nobody", onDesktop, fsm.StudioLocal, gone, "", 16, "log in first"},
		{"only a greeter", onDesktop, fsm.StudioLocal, greeter, "", 16, "no user has a graphical session"},
		{"unreadable", onDesktop, fsm.StudioLocal, noLogind, "", 26, "the probe broke"},
	})
}

func TestStudioLocal(t *testing.T) {
	placed := func(where string) func(*Input) { return func(in *Input) { in.Facts.Placement.Value.Studio = where } }
	run(t, "check_studio_capability_local", []row{
		{"here", onDesktop, fsm.StudioLocal, nil, "", 0, "on this host"},
		{"elsewhere", onDesktop, fsm.StudioLocal, placed("external-mac-mini"), "", 19, "external-mac-mini"},
		{"not named", onDesktop, fsm.StudioLocal, placed(""), "", 29, "does not name"},
		{"unreadable", onDesktop, fsm.StudioLocal, func(in *Input) { in.Facts.Placement = broken[fsm.Placement]() }, "", 29, "the probe broke"},
	})
}

func TestMemoryHeadroom(t *testing.T) {
	only := func(n uint64) func(*Input) { return func(in *Input) { in.Facts.Memory.Value.Available = n } }
	both := func(fs ...func(*Input)) func(*Input) {
		return func(in *Input) {
			for _, f := range fs {
				f(in)
			}
		}
	}
	scope := func(in *Input) {
		in.Facts.Units.Value["session-c2.scope"] = fsm.Unit{Name: "session-c2.scope", Load: "loaded", Active: "active", Memory: 900 << 20}
	}
	manager := func(in *Input) {
		in.Facts.Units.Value["user@1000.service"] = fsm.Unit{Name: "user@1000.service", Load: "loaded", Active: "active", Memory: 200 << 20}
	}
	linger := func(in *Input) { in.Facts.Logins.Value.Users[0].Linger = true }
	run(t, "check_memory_headroom", []row{
		{"enough", onDesktop, fsm.Compute, nil, "", 0, "8.0 GiB available"},
		{"just enough", onDesktop, fsm.Compute, only(2 << 30), "", 0, "2.0 GiB available"},
		{"just enough, and no more to be asked", onDesktop, fsm.Compute, both(only(2<<30), func(in *Input) { in.Facts.Units = broken[map[string]fsm.Unit]() }), "", 0, ""},
		{"just enough with the session's", onDesktop, fsm.Compute, both(only(2<<30-900<<20), scope), "", 0, "900 MiB of units"},
		{"too little", onDesktop, fsm.Compute, only(1 << 30), "", 14, "1.0 GiB of memory is missing for compute"},
		{"with the session's", onDesktop, fsm.Compute, both(only(1<<30), scope), "", 14, "124 MiB of memory is missing"},
		{"with the user manager's", onDesktop, fsm.Compute, both(only(1<<30), scope, manager), "", 0, "1.1 GiB of units"},
		{"of a lingering user", onDesktop, fsm.Compute, both(only(1<<30), scope, manager, linger), "", 14, "124 MiB"},
		{"after the session ended", onDesktop, fsm.Compute, both(only(1<<30), manager), fsm.Isolate, 14, "824 MiB"},
		{"with vLLM's", inCompute, fsm.Desktop, only(1 << 30), "", 0, "4.0 GiB of units"},
		{"units unreadable", inCompute, fsm.Desktop, both(only(1<<30), func(in *Input) { in.Facts.Units = broken[map[string]fsm.Unit]() }), "", 24, "the probe broke"},
		{"unreadable", onDesktop, fsm.Compute, func(in *Input) { in.Facts.Memory = broken[fsm.Memory]() }, "", 24, "the probe broke"},
	})
}

func TestMemoryIsHardWithAModel(t *testing.T) {
	p := testPolicy()
	p.Memory.Model = 20 << 30
	in := input(t, onDesktop(), p, fsm.Compute)
	v := memoryHeadroom.Check(in)
	if !v.Hard || v.Code != 14 || !strings.Contains(v.Reason, "15.0 GiB of memory is missing") {
		t.Errorf("got %+v, want a hard block: 20 GiB × 1.1 + 1 GiB - 8 GiB", v)
	}
}

func TestUserJobsSafe(t *testing.T) {
	job := func(j fsm.UserJob) func(*Input) {
		return func(in *Input) { in.Facts.Jobs.Value = append(in.Facts.Jobs.Value, j) }
	}
	stopUnit := func(name, origin string) func(*Input) {
		return func(in *Input) {
			set := in.Facts.StopSets.Value["compute.target"]
			set.Stops = append(set.Stops, fsm.StopUnit{Name: name, Origin: origin})
			in.Facts.StopSets.Value["compute.target"] = set
		}
	}
	lock := func(what string) func(*Input) {
		return func(in *Input) {
			in.Facts.Inhibitors.Value = []fsm.Inhibitor{{What: what, Who: "packagekitd", Why: "updating", PID: 7}}
		}
	}
	allow := func(in *Input) { in.Policy.Jobs.Allow = []string{"rsync", "backup.service"} }
	run(t, "check_user_jobs_safe", []row{
		{"none", onDesktop, fsm.Compute, nil, "", 0, "no user job"},
		{"rsync", onDesktop, fsm.Compute, job(fsm.UserJob{What: "rsync", PID: 5, UID: 1000, Session: "c2", Unit: "session-c2.scope"}), "", 13, "rsync (PID 5, uid 1000, session-c2.scope, session c2)"},
		{"rsync allowed", onDesktop, fsm.Compute, func(in *Input) { allow(in); job(fsm.UserJob{What: "rsync", PID: 5})(in) }, "", 0, ""},
		{"unit allowed", onDesktop, fsm.Compute, func(in *Input) {
			allow(in)
			job(fsm.UserJob{What: "borg", Unit: "backup.service"})(in)
			stopUnit("backup.service", "timer")(in)
		}, "", 0, ""},
		{"by hand", onDesktop, fsm.Compute, stopUnit("render.service", "hand"), "", 13, "render.service (started by hand)"},
		{"systemd-run", onDesktop, fsm.Compute, stopUnit("run-u7.service", "transient"), "", 13, "run-u7.service (a transient unit)"},
		{"by a timer", onDesktop, fsm.Compute, stopUnit("backup.service", "timer"), "", 13, "backup.service (started by a timer)"},
		{"activated by the bus", onDesktop, fsm.Compute, stopUnit("polkit.service", "bus"), "", 0, ""},
		{"what we started", onDesktop, fsm.Compute, func(in *Input) {
			for _, name := range []string{"vllm@compute.service", "audio-priority.service", "mode-observe.service", "modewatch.service", "display-manager.service"} {
				stopUnit(name, "hand")(in)
			}
		}, "", 0, ""},
		{"not stopped on the way to studio", onDesktop, fsm.StudioLocal, stopUnit("render.service", "hand"), "", 0, ""},
		{"shutdown inhibited", onDesktop, fsm.Compute, lock("sleep:shutdown"), "", 13, "packagekitd (PID 7, uid 0) inhibits sleep:shutdown: updating"},
		{"idle inhibited", onDesktop, fsm.Compute, lock("idle"), "", 13, "inhibits idle"},
		{"lid inhibited", onDesktop, fsm.Compute, lock("handle-lid-switch"), "", 0, ""},
		{"jobs unreadable", onDesktop, fsm.Compute, func(in *Input) { in.Facts.Jobs = broken[[]fsm.UserJob]() }, "", 23, "the probe broke"},
		{"inhibitors unreadable", onDesktop, fsm.Compute, func(in *Input) { in.Facts.Inhibitors = broken[[]fsm.Inhibitor]() }, "", 23, "the probe broke"},
		{"stop set unreadable", onDesktop, fsm.Compute, func(in *Input) { in.Facts.StopSets = broken[map[string]fsm.StopSet]() }, "", 23, "the probe broke"},
		{"stop set missing", onDesktop, fsm.Compute, func(in *Input) { in.Facts.StopSets.Value = nil }, "", 23, "not looked at"},
	})
}
