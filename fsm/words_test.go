package fsm

import (
	"errors"
	"testing"
)

func TestParseMode(t *testing.T) {
	for _, m := range Modes {
		if got, ok := ParseMode(string(m)); !ok || got != m {
			t.Errorf("ParseMode(%s) = %s, %v", m, got, ok)
		}
	}
	for _, word := range []string{"", "unknown", "Desktop", "desktop\n", "transitioning", "boot"} {
		if got, ok := ParseMode(word); ok || got != Unknown {
			t.Errorf("ParseMode(%q) = %s, %v", word, got, ok)
		}
	}
}

func TestRestingStates(t *testing.T) {
	for _, s := range States {
		m, rests := s.Mode()
		if rests != (s == AtDesktop || s == AtStudioLocal || s == AtCompute) || rests && Resting(m) != s {
			t.Errorf("%s rests in %s: %v", s, m, rests)
		}
	}
}

// TestExitCode holds D6.
func TestExitCode(t *testing.T) {
	rows := []struct {
		out   Outcome
		block int
		late  bool
		want  int
	}{
		{Reached, 0, false, 0}, {Noop, 0, false, 0},
		{Blocked, 11, false, 11}, {Blocked, 28, false, 28}, {Blocked, 10, true, 10},
		{Cancelled, 0, false, 42}, {Superseded, 0, false, 42},
		{Recovered, 0, false, 40}, {Recovered, 0, true, 44},
		{Degraded, 0, false, 41}, {Failed, 0, false, 41}, {Failed, 0, true, 44},
	}
	for _, r := range rows {
		if got := ExitCode(r.out, r.block, r.late); got != r.want {
			t.Errorf("ExitCode(%s, %d, %v) = %d, want %d", r.out, r.block, r.late, got, r.want)
		}
	}
	for _, o := range Outcomes {
		for _, late := range []bool{false, true} {
			if zero := ExitCode(o, 15, late) == 0; zero != (o == Reached || o == Noop) {
				t.Errorf("%s (timed out %v) exits with %d", o, late, ExitCode(o, 15, late))
			}
		}
	}
}

// TestAutomatic holds which reasons are background triggers, and so also the
// gate (D5).
func TestAutomaticAndGate(t *testing.T) {
	rows := map[Reason]bool{
		ByRequest: false, ByFile: false, ByBoot: false, ByRecovery: false,
		ByIdle: true, ByReturn: true, ByDrift: true, ByRetry: true,
	}
	for r, automatic := range rows {
		if r.Automatic() != automatic {
			t.Errorf("%s is automatic: %v", r, r.Automatic())
		}
		for _, background := range []bool{false, true} {
			for _, file := range []bool{false, true} {
				ok, why := Gate{Background: background, DesiredFile: file}.Admit(r)
				want := (!automatic || background) && (r != ByFile || file)
				if ok != want || ok != (why == "") {
					t.Errorf("%s with background %v, desired_file %v: %v (%q), want %v", r, background, file, ok, why, want)
				}
			}
		}
	}
}

// The input devices are opened for a background trigger, or because somebody
// asked for it (D5).
func TestWatchesInput(t *testing.T) {
	for _, r := range []struct{ background, watch, want bool }{{false, false, false}, {true, false, true}, {false, true, true}, {true, true, true}} {
		p := Policy{Gate: Gate{Background: r.background}, Idle: IdlePolicy{Watch: r.watch}}
		if got := p.WatchesInput(); got != r.want {
			t.Errorf("%+v: %v", r, got)
		}
	}
}

func TestReading(t *testing.T) {
	if r := Read(7, nil); !r.OK || r.Value != 7 {
		t.Errorf("got %+v", r)
	}
	if r := Read(7, errors.New("no bus")); r.OK || r.Value != 0 || r.Why() != "no bus" {
		t.Errorf("a failed reading is %+v", r)
	}
	if why := (Reading[int]{}).Why(); why == "" {
		t.Error("the zero reading does not say why")
	}
}

func TestMemoryNeed(t *testing.T) {
	p := MemoryPolicy{Model: 20 << 30, Floor: 2 << 30}
	if got, want := p.Need(Compute), uint64(23<<30); got != want {
		t.Errorf("needs %d, want %d: model × 1.1 + 1 GiB", got, want)
	}
	if got := p.Need(Desktop); got != 2<<30 {
		t.Errorf("desktop needs %d", got)
	}
	if got := (MemoryPolicy{Floor: 2 << 30}).Need(Compute); got != 2<<30 {
		t.Errorf("without a model size compute needs %d", got)
	}
}

func TestUnits(t *testing.T) {
	u := testPolicy().Units
	u.AI = map[Mode][]string{Desktop: {"a", "b"}, Compute: {"b", "c"}}
	if got := u.AIUnits(); len(got) != 3 || got[0] != "a" || got[1] != "b" || got[2] != "c" {
		t.Errorf("AI units are %v", got)
	}
	want := map[string]bool{"desktop.target": true, "audio-priority.service": true, "c": true, "mode-prepare-compute.service": true, "display-manager.service": true}
	for _, name := range u.Watched() {
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("not watched: %v", want)
	}
	for m, target := range map[Mode]string{Desktop: "desktop.target", StudioLocal: "desktop.target", Compute: "compute.target"} {
		if got := u.Target(m); got != target {
			t.Errorf("the target of %s is %s", m, got)
		}
	}
}

func TestAttemptServes(t *testing.T) {
	a := Attempt{Wish: Wish{ID: "w1"}, Joined: []string{"w2"}}
	for id, want := range map[string]bool{"w1": true, "w2": true, "w3": false} {
		if a.Serves(id) != want {
			t.Errorf("it serves %s: %v", id, !want)
		}
	}
}

func TestCallerText(t *testing.T) {
	for want, c := range map[string]Caller{
		"":                            NoCaller,
		"uid 0":                       {},
		"uid 1000 (PID 8, session 3)": {UID: 1000, PID: 8, Session: "3", Unit: "session-3.scope"},
		"uid 0 (cron.service)":        {Unit: "cron.service"},
		"(PID 8)":                     {UID: -1, PID: 8},
	} {
		if got := c.String(); got != want {
			t.Errorf("%+v is %q, want %q", c, got, want)
		}
		if want != "" {
			want = " by " + want
		}
		if got := c.By(); got != want {
			t.Errorf("by %+v is %q, want %q", c, got, want)
		}
	}
}
