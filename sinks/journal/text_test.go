package journal

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/modewatch/modewatch/fsm"
)

var update = flag.Bool("update", false, "rewrite testdata/story.txt")

var at = time.Date(2026, 11, 22, 12, 3, 4, 0, time.UTC)

func wish(m fsm.Mode, why fsm.Reason, by fsm.Caller) fsm.Wish {
	return fsm.Wish{ID: "w1", Mode: m, Reason: why, By: by, At: at}
}

var (
	asked   = wish(fsm.Compute, fsm.ByRequest, fsm.Caller{UID: 1000, PID: 812, Session: "3"})
	byFile  = wish(fsm.Compute, fsm.ByFile, fsm.NoCaller)
	session = fsm.Op{Verb: fsm.EndSession, Arg: "2"}
	isolate = fsm.Op{Verb: fsm.Isolate, Arg: "compute.target"}
	refused = fsm.Verdict{Guard: "check_audio_idle", Code: 10, Reason: "reaper (PID 812) is running", Detail: "configured process", Hard: true}
)

func edge(on fsm.Event, from, to fsm.State, cause string, w fsm.Wish) fsm.Edge {
	return fsm.Edge{Row: fsm.Row{On: on, From: from, To: to}, At: at, Attempt: "a1", Wish: w, Cause: cause}
}

func end(out fsm.Outcome, final fsm.Mode, cause string, degraded ...fsm.Deviation) fsm.AttemptEnded {
	return fsm.AttemptEnded{Attempt: fsm.Attempt{ID: "a1", Wish: asked, Kind: fsm.Transition, From: fsm.Desktop, To: fsm.Compute, Final: final,
		Outcome: out, Cause: cause, Begun: at, Ended: at.Add(4230 * time.Millisecond), Degraded: degraded}}
}

func stepEnd(op fsm.Op, undo bool, result, cause string, took time.Duration) fsm.StepEnded {
	return fsm.StepEnded{Attempt: "a1", N: 3, Of: 7, Result: fsm.StepResult{Op: op, Undo: undo, Result: result, Cause: cause, Began: at, Ended: at.Add(took)}}
}

func plan(kind fsm.Kind, ops ...fsm.Op) fsm.Plan {
	p := fsm.Plan{Kind: kind, From: fsm.Desktop, To: fsm.Compute}
	for _, op := range ops {
		p.Steps = append(p.Steps, fsm.Step{Op: op})
	}
	return p
}

// story is one record of every kind and shape.
var story = []fsm.Record{
	edge(fsm.AdoptMode(fsm.Desktop), fsm.Boot, fsm.AtDesktop, "compute.target is not active", fsm.Wish{}),
	edge(fsm.Begin, fsm.AtDesktop, fsm.Transitioning, "", asked),
	edge(fsm.Begin, fsm.AtDesktop, fsm.Transitioning, "", byFile),
	edge(fsm.Begin, fsm.AtDesktop, fsm.Transitioning, "", wish(fsm.Desktop, fsm.ByBoot, fsm.NoCaller)),
	edge(fsm.Begin, fsm.AtDesktop, fsm.Transitioning, "", wish(fsm.Compute, fsm.ByIdle, fsm.NoCaller)),
	edge(fsm.Begin, fsm.AtDesktop, fsm.Transitioning, "", wish(fsm.Desktop, fsm.ByReturn, fsm.NoCaller)),
	edge(fsm.Begin, fsm.AtDesktop, fsm.Transitioning, "", wish(fsm.Compute, fsm.ByDrift, fsm.NoCaller)),
	edge(fsm.Begin, fsm.AtDesktop, fsm.Transitioning, "", wish(fsm.Compute, fsm.ByRetry, fsm.NoCaller)),
	edge(fsm.Begin, fsm.AtDesktop, fsm.Transitioning, "", wish(fsm.Desktop, fsm.ByRecovery, fsm.Caller{UID: 0, Unit: "cron.service"})),
	edge(fsm.ReachedMode(fsm.Compute), fsm.Transitioning, fsm.AtCompute, "", asked),
	edge(fsm.Fail, fsm.Transitioning, fsm.FailedTransition, "isolate compute.target: timeout", asked),
	edge(fsm.RecoveredMode(fsm.Desktop), fsm.FailedTransition, fsm.AtDesktop, "isolate compute.target: timeout", asked),
	edge(fsm.DriftedTo(fsm.Compute), fsm.AtDesktop, fsm.AtCompute, "changed by hand: compute.target is active", fsm.Wish{}),
	fsm.AttemptBegun{ID: "a1", Wish: asked, Plan: plan(fsm.Transition, session, isolate), At: at},
	fsm.AttemptBegun{ID: "a1", Wish: asked, Plan: plan(fsm.Transition), At: at},
	fsm.AttemptBegun{ID: "a1", Wish: asked, Plan: fsm.Plan{Kind: fsm.Transition, From: fsm.Compute, To: fsm.Compute}, At: at},
	fsm.AttemptBegun{ID: "a1", Wish: byFile, Plan: plan(fsm.Repair, isolate), At: at},
	fsm.AttemptBegun{ID: "a1", Wish: byFile, Plan: plan(fsm.Normalise, isolate), At: at},
	fsm.AttemptBegun{ID: "a1", Wish: byFile, Plan: plan(fsm.WalkBack, isolate), At: at},
	fsm.StepBegan{Attempt: "a1", N: 3, Of: 7, Step: fsm.Step{Op: session}, At: at},
	fsm.StepBegan{Attempt: "a1", N: 3, Of: 7, Step: fsm.Step{Op: isolate}, Undo: true, At: at},
	stepEnd(session, false, "done", "", 420*time.Millisecond),
	stepEnd(isolate, false, "timeout", "still waiting for compute.target", 30*time.Second),
	stepEnd(isolate, true, "done", "", 12*time.Millisecond),
	stepEnd(fsm.Op{Verb: fsm.AwaitRelease, Arg: "display"}, false, "interrupted", "", 75*time.Second),
	fsm.Refusal{Attempt: "a1", Verdict: refused, At: at},
	fsm.Refusal{Attempt: "a1", Verdict: fsm.Verdict{Guard: "check_cpu_load_safe", Code: 22, Reason: "cannot read /proc/pressure/cpu"}, At: at},
	end(fsm.Reached, fsm.Compute, ""),
	end(fsm.Reached, fsm.Compute, "", fsm.Deviation{What: "gpu-absent:1"}),
	end(fsm.Noop, fsm.Compute, ""),
	end(fsm.Blocked, fsm.Desktop, "check_audio_idle (10): reaper (PID 812) is running"),
	end(fsm.Cancelled, fsm.Desktop, "cancelled on request"),
	end(fsm.Superseded, fsm.Desktop, "another wish came"),
	end(fsm.Recovered, fsm.Desktop, "isolate compute.target: timeout"),
	end(fsm.Degraded, fsm.Compute, "", fsm.Deviation{What: "vllm-inactive"}, fsm.Deviation{What: "session-in-compute"}),
	end(fsm.Failed, fsm.Unknown, "reboot needed: PID 812 in D state holds GPU 0"),
	end(fsm.Interrupted, fsm.Unknown, "the controller ended at step 3 of 7"),
	fsm.Note{What: fsm.NoteBadWish, Text: `"dekstop" is no mode`, At: at},
	fsm.Note{What: fsm.NoteGate, Text: "would have started a transition to compute", At: at, Wish: &byFile},
	fsm.Note{What: fsm.NoteUnreadable, Text: "cannot read units: the bus is away", At: at},
	fsm.Note{What: fsm.NoteDegraded, Text: "vllm-inactive: vllm@compute.service is failed", At: at},
	fsm.Note{What: fsm.NoteTable, Text: "cannot fire fail in state boot", At: at},
	fsm.Note{What: fsm.NoteConfig, Text: "the configuration was read again", At: at},
	fsm.Note{What: fsm.NoteConfig, Text: "cannot take the new configuration: line 3", At: at},
	fsm.Note{What: fsm.NoteSource, Text: "logind is back", At: at},
}

// The golden file holds for every record its level, its sentence and its
// fields, so that a change of either is seen.
func TestGoldenStory(t *testing.T) {
	var b strings.Builder
	for _, r := range story {
		e := Describe(r)
		b.WriteString(e.Level.String() + " " + e.Text + "\n")
		for _, f := range e.Fields {
			b.WriteString("    " + f.Name + "=" + f.Value + "\n")
		}
	}
	const golden = "testdata/story.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the story differs from %s (rewrite it with -update):\n%s", golden, b.String())
	}
}

func TestSentencesAreOneSafeLine(t *testing.T) {
	hostile := "ev\x1b[2Jil\n\rMAINPID=1\x00\xff\u202e"
	for _, r := range []fsm.Record{
		fsm.Refusal{Verdict: fsm.Verdict{Guard: "check_audio_idle", Code: 10, Reason: hostile}},
		fsm.Note{What: fsm.NoteBadWish, Text: hostile},
		stepEnd(fsm.Op{Verb: fsm.Start, Arg: hostile}, false, "failed", hostile, 0),
		end(fsm.Blocked, fsm.Desktop, hostile),
	} {
		text := Text(r)
		if strings.ContainsAny(text, "\x1b\n\r\x00\u202e") || !utf8.ValidString(text) || !strings.Contains(text, "il  MAINPID=1") {
			t.Errorf("%q", text)
		}
	}
}

func TestEveryRecordHasItsIDTimeAndTheCataloguesFields(t *testing.T) {
	fields := map[MessageID]string{}
	for _, kind := range kinds {
		for _, id := range kind.ids {
			fields[id] = kind.fields
		}
	}
	seen := map[MessageID]bool{}
	for _, r := range story {
		e := Describe(r)
		seen[e.ID] = true
		if e.ID == "" || e.At.IsZero() || e.Text == "" {
			t.Errorf("%T has id %q, time %v, text %q", r, e.ID, e.At, e.Text)
		}
		has := map[string]int{}
		for _, f := range e.Fields {
			has[f.Name]++
			if f.Value == "" || has[f.Name] > 1 {
				t.Errorf("%s: %s is empty or doubled", e.Text, f.Name)
			}
		}
		for _, name := range strings.Fields(fields[e.ID]) {
			if has[name] == 0 {
				t.Errorf("%s: no %s, which the catalogue uses", e.Text, name)
			}
		}
	}
	for id := range fields {
		if !seen[id] {
			t.Errorf("the story has no record with %s", id)
		}
	}
}

func TestTook(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0.000 s", 42 * time.Millisecond: "0.042 s", 99700 * time.Microsecond: "0.10 s", 999 * time.Millisecond: "1.0 s",
		9960 * time.Millisecond: "10 s", 59600 * time.Millisecond: "1 min 0 s", 603 * time.Second: "10 min 3 s",
	} {
		if got := Took(d); got != want {
			t.Errorf("%v is told as %q, want %q", d, got, want)
		}
	}
}
