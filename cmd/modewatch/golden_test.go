package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/guards"
	"github.com/modewatch/modewatch/internal/config"
	"github.com/modewatch/modewatch/internal/engine"
)

// pages collects pages under headings into one golden text.
type pages struct{ b strings.Builder }

func (g *pages) add(title string, label int, write func(*page)) {
	p := &page{label: label}
	write(p)
	fmt.Fprintf(&g.b, "# %s\n\n%s\n", title, p.b.String())
}

func TestGoldenStatus(t *testing.T) {
	var g pages
	add := func(title string, v view, blocking ...fsm.Verdict) {
		o := overviewOf(v, noon)
		o.Blocking = append(o.Blocking, blocking...)
		g.add(title, 12, func(p *page) { p.overview(o, noon) })
	}
	live := func(s fsm.Snapshot) view { return view{Snapshot: s, Live: true} }
	blocked := attempted(fsm.Blocked, fsm.Desktop, "check_audio_idle (10): audio is in use")
	blocked.Verdicts = []fsm.Verdict{reachable, audioBlock}
	failed := attempted(fsm.Failed, fsm.Desktop, "isolate compute.target: cannot isolate: unit is masked")
	met := resting(inCompute)
	met.Observation.Degraded = []fsm.Deviation{{What: "vllm-inactive", Evidence: "vllm@compute.service is failed"}}

	add("at rest, no wish", live(resting(atDesk)))
	add("at rest, the wish is met but something deviates", live(after(wanting(met), attempted(fsm.Reached, fsm.Compute, ""))))
	add("a guard has blocked the wish and does so still", live(after(wanting(resting(atDesk)), blocked)), audioBlock, loadBlock)
	add("a guard has blocked the wish, nothing is in the way now", live(after(wanting(resting(atDesk)), blocked)))
	add("an attempt is under way", live(moving(wanting(resting(atDesk)), stopping())))
	add("an attempt is judged, and may be taken back", live(moving(wanting(resting(atDesk)), fsm.Running{From: fsm.Desktop, To: fsm.Compute,
		Doing: "observing", Await: "a first look at the host", Since: noon, Begun: noon, Phase: fsm.Before})))
	s := after(wanting(resting(atDesk)), failed)
	s.State = fsm.FailedTransition
	s.Observation.Degraded = []fsm.Deviation{{What: "desktop-target-inactive", Evidence: "desktop.target is inactive"}}
	add("an attempt failed", live(s))
	add("an attempt was taken back", live(after(wanting(resting(atDesk)), takenBack())))
	add("no controller", view{Snapshot: resting(atDesk), Desired: fsm.Desktop})
	add("the host cannot be read", view{Snapshot: fsm.Snapshot{Observation: fsm.Observation{Mode: fsm.Unknown, Evidence: []string{"cannot read units: no bus"}}}})
	add("mode-controller@ makes an attempt", view{Snapshot: moving(wanting(resting(atDesk)), stopping()), Live: true, Once: true})
	golden(t, "status", g.b.String())
}

func TestGoldenPreview(t *testing.T) {
	var g pages
	show := func(title string, pre engine.Preview) {
		g.add("dry-run: "+title, 0, func(p *page) { p.preview(fsm.Compute, pre) })
		g.add("why: "+title, 0, func(p *page) { p.why(fsm.Compute, pre, guards.Blocking(pre.Verdicts)) })
	}
	show("nothing is in the way", toCompute())
	show("blocked", toCompute(audioBlock, loadBlock, gpuUnclear))
	show("already there", engine.Preview{Observation: inCompute})
	unread := toCompute()
	unread.Facts.StopSets = fsm.Reading[map[string]fsm.StopSet]{Cause: "the bus is gone"}
	show("the stop set cannot be read", unread)
	v := guards.CannotTellMode("cannot read units: no bus")
	show("the host cannot be read", engine.Preview{Observation: fsm.Observation{Mode: fsm.Unknown}, Verdicts: []fsm.Verdict{v}, Exit: v.Code})
	golden(t, "preview", g.b.String())
}

func TestGoldenExplain(t *testing.T) {
	var g pages
	cfg := config.Default()
	for _, m := range fsm.Modes {
		x := explain(m, cfg.Policy)
		x.live(cfg, desk())
		g.add(string(m), 13, func(p *page) { p.explained(x) })
	}
	x := explain(fsm.Compute, cfg.Policy)
	x.StopSet.Value = toCompute().Facts.StopSets.Value["compute.target"]
	x.StopSet.OK = true
	g.add("compute, with a stop set and an unreadable placement", 13, func(p *page) { p.explained(x) })
	golden(t, "explain", g.b.String())
}

func TestGoldenEnds(t *testing.T) {
	var g pages
	for _, out := range fsm.Outcomes {
		a := attempted(out, fsm.Desktop, "step 5: the reason")
		if out == fsm.Reached || out == fsm.Noop {
			a.Final, a.Cause = fsm.Compute, ""
		}
		if out == fsm.Blocked {
			a.Verdicts = []fsm.Verdict{reachable, audioBlock, gpuUnclear}
		}
		g.add(string(out), 0, func(p *page) { p.end(a) })
	}
	a := attempted(fsm.Degraded, fsm.Desktop, "start vllm@compute.service: it failed")
	a.Steps = []fsm.StepResult{{Op: fsm.Op{Verb: fsm.UnmaskNow, Arg: "greetd.service"}, Undo: true, Result: "failed", Cause: "the bus is gone"}}
	a.Degraded = []fsm.Deviation{{What: "desktop-target-inactive", Evidence: "desktop.target is inactive"}}
	g.add("degraded, an undo failed", 0, func(p *page) { p.end(a) })
	f := attempted(fsm.Reached, fsm.Compute, "")
	f.Verdicts, f.Bypassed = []fsm.Verdict{loadBlock}, []string{"check_cpu_load_safe"}
	g.add("forced", 0, func(p *page) { p.end(f) })
	golden(t, "ends", g.b.String())
}

func TestGoldenHistory(t *testing.T) {
	var g pages
	blocked := attempted(fsm.Blocked, fsm.Desktop, "check_audio_idle (10): audio is in use by reaper (PID 811, uid 1000)")
	blocked.Ended = noon.AddDate(0, 0, -1)
	blocked.Begun = blocked.Ended.Add(-40 * time.Millisecond)
	byFile := attempted(fsm.Reached, fsm.Compute, "")
	byFile.Wish.Reason, byFile.Wish.By = fsm.ByFile, fsm.NoCaller
	byFile.Begun = byFile.Ended.Add(-3 * time.Minute)
	g.add("some", 0, func(p *page) {
		p.history([]fsm.Attempt{blocked, attempted(fsm.Recovered, fsm.Desktop, "isolate compute.target: it is masked"), byFile}, noon)
	})
	g.add("none", 0, func(p *page) { p.history(nil, noon) })
	golden(t, "history", g.b.String())
}

func TestGoldenGuards(t *testing.T) {
	var g pages
	cfg := config.Default()
	cfg.GuardsDir = "/nonexistent"
	g.add("all", 0, func(p *page) { p.guardList(guardList(cfg)) })
	clear := fsm.Verdict{Guard: "check_audio_idle", OK: true, Reason: "nobody uses audio", Detail: "looked at: processes, PCM device nodes", Hard: true}
	for _, v := range []fsm.Verdict{clear, audioBlock, gpuUnclear} {
		g.add(kindOf(v), 0, func(p *page) { p.verdictLines(v) })
	}
	golden(t, "guards", g.b.String())
}

func TestGoldenObserve(t *testing.T) {
	var g pages
	p := config.Default().Policy
	f := desk().Observe(t.Context(), fsm.Query{About: fsm.Everything, Targets: []string{"compute.target"}})
	f.Units.Value["vllm@compute.service"] = fsm.Unit{Name: "vllm@compute.service", Load: "loaded", Active: "active", Memory: 23 << 30}
	f.Jobs.Value = []fsm.UserJob{{What: "rsync", PID: 77, UID: 1000, Unit: "session-2.scope"}}
	f.Inference.Value = []fsm.Inference{{Unit: "vllm@compute.service", Ready: true, Known: true, Running: 2}}
	f.Workers.Value = []fsm.Worker{{PID: 70, UID: 990, Comm: "vllm", Unit: "vllm@compute.service"}, {PID: 71, UID: 990, Comm: "VLLM::EngineCor", Unit: "vllm@compute.service"},
		{PID: 72, UID: 990, Comm: "python3", Unit: "vllm@compute.service", Outside: "a child of PID 70 in vllm@compute.service", Node: "/dev/nvidia0"}}
	f.Inhibitors.Value = []fsm.Inhibitor{{What: "idle", Who: "mpv", Why: "playing", UID: 1000, PID: 5}}
	f.Site.Value = []fsm.SiteVerdict{{Name: "check_ups", Code: 10, Reason: "on battery"}}
	f.Idle.Value = fsm.Idle{Quiet: 200 * time.Second, Device: "AT keyboard", Devices: 3, Denied: []string{"Yubico YubiKey"}}
	f.Audio = fsm.Reading[fsm.Audio]{Cause: "permission denied"}
	f.Host.Value.Pending = []fsm.Job{{ID: 3, Unit: "x.service", Type: "start", State: "running"}}
	g.add("a desk", 12, func(page *page) { page.facts(observed{Observation: fsm.Classify(f, p), Facts: f}, p) })
	g.add("nothing can be read", 12, func(page *page) { page.facts(observed{Observation: fsm.Classify(fsm.Facts{}, p)}, p) })
	golden(t, "observe", g.b.String())
}

// What a person at a terminal of 64 columns sees, with colours.
func TestGoldenTerminal(t *testing.T) {
	var b strings.Builder
	for _, write := range []func(*page){
		func(p *page) { p.preview(fsm.Compute, toCompute(audioBlock)) },
		func(p *page) {
			p.label = 12
			p.overview(overviewOf(view{Snapshot: moving(wanting(resting(atDesk)), stopping()), Live: true}, noon), noon)
		},
	} {
		p := &page{style: style{colour: true}, columns: 64}
		write(p)
		for line := range strings.Lines(p.b.String()) {
			if n := length(strings.TrimRight(line, "\n")); n > 64 {
				t.Errorf("%d columns: %q", n, line)
			}
		}
		b.WriteString(strings.ReplaceAll(p.b.String(), "\x1b", "ESC") + "\n")
	}
	golden(t, "terminal", b.String())
}

func TestGoldenProgress(t *testing.T) {
	var b strings.Builder
	tell := func(r fsm.Running) {
		fmt.Fprintf(&b, "terminal  %s\nelsewhere %s\n\n", progress(r, noon), stepLine(r))
	}
	tell(fsm.Running{Doing: "observing", Await: "a first look at the host", Since: noon, Begun: noon})
	tell(stopping())
	r := stopping()
	r.Step, r.Op, r.Await = 5, fsm.Op{Verb: fsm.AwaitRelease, Arg: "display"}, "sway (PID 801, uid 1000, session-2.scope) holds /dev/dri/card0"
	tell(r)
	r.Op, r.Await = fsm.Op{Verb: fsm.Isolate, Arg: "compute.target"}, "systemd to take isolate compute.target"
	tell(r)
	r.Doing, r.Await, r.Until = "judging", "the guards before isolate compute.target", time.Time{}
	tell(r)
	r.Doing, r.Op, r.Await, r.Until = "undo", fsm.Op{Verb: fsm.UnmaskNow, Arg: "greetd.service"}, "greetd.service to be unmasked", noon.Add(time.Minute)
	tell(r)
	golden(t, "progress", b.String())
}

func TestGoldenHelp(t *testing.T) {
	var b strings.Builder
	for _, prog := range []string{"modewatch", "mode"} {
		r := newRig(t, desk())
		fmt.Fprintf(&b, "$ %s help\n", prog)
		if code := r.env.command(prog, []string{"help"}); code != 0 {
			t.Errorf("%s help exits with %d", prog, code)
		}
		b.WriteString(r.out.String() + "\n")
	}
	for _, v := range verbs() {
		r := newRig(t, desk())
		fmt.Fprintf(&b, "$ modewatch help %s\n", v.name)
		if code := r.env.command("modewatch", []string{v.name, "--help"}); code != 0 {
			t.Errorf("%s --help exits with %d", v.name, code)
		}
		b.WriteString(r.out.String() + "\n")
	}
	golden(t, "help", b.String())
}
