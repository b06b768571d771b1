package main

import (
	"errors"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/fsm"
)

func TestSpans(t *testing.T) {
	tests := []struct {
		d          time.Duration
		took, span string
	}{
		{0, "0 ms", "0 s"}, {42 * time.Millisecond, "42 ms", "0 s"}, {1500 * time.Millisecond, "1.5 s", "2 s"},
		{3 * time.Second, "3 s", "3 s"}, {2003 * time.Millisecond, "2 s", "2 s"}, {61 * time.Second, "1 min 1 s", "1 min 1 s"}, {10 * time.Minute, "10 min", "10 min"},
		{time.Hour + time.Second, "1 h", "1 h"}, {50*time.Hour + 10*time.Minute, "2 d 2 h", "2 d 2 h"}, {-time.Second, "0 s", "0 s"},
	}
	for _, test := range tests {
		if a, b := took(test.d), span(test.d); a != test.took || b != test.span {
			t.Errorf("%s: took %q, span %q; want %q, %q", test.d, a, b, test.took, test.span)
		}
	}
}

func TestMoment(t *testing.T) {
	tests := map[string]time.Time{
		"2h": noon.Add(-2 * time.Hour), "3d": noon.AddDate(0, 0, -3), "08:30": noon.Add(-3*time.Hour - 30*time.Minute),
		"2026-03-01": time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), "2026-03-01 10:00": time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC),
		"2026-03-01T10:00:00Z": time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC),
	}
	for text, want := range tests {
		if got, err := moment(text, noon); err != nil || !got.Equal(want) {
			t.Errorf("%q is %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"-2h", "3 d", "-3d", "3dx", "soon", "25:00"} {
		if got, err := moment(text, noon); err == nil {
			t.Errorf("%q is taken as %s", text, got)
		}
	}
}

func TestNearest(t *testing.T) {
	var verbNames []string
	for _, v := range verbs() {
		verbNames = append(verbNames, v.name)
	}
	for typed, want := range map[string]string{
		"stats": "status", "statsu": "status", "stat": "status", "reqeust": "request", "dryrun": "dry-run", "hist": "history",
		"xyzzy": "", "q": "", "": "",
	} {
		if got := nearest(typed, verbNames); got != want {
			t.Errorf("%q is taken for %q; want %q", typed, got, want)
		}
	}
}

// A process may have any name, but it does nothing to a terminal.
func TestTame(t *testing.T) {
	evil := "a\x1b[31mred\x1b]0;title\x07\nnext\u202e\x9b2J"
	want := "a�[31mred�]0;title� next��2J"
	if got := tame(evil, false); got != want {
		t.Errorf("plain: %q; want %q", got, want)
	}
	want = "a\x1b[31mred�]0;title� next��2J"
	if got := tame(evil, true); got != want {
		t.Errorf("painted: %q; want %q", got, want)
	}
	if got := tame("\x1b[999999m \x1b[1;31m \x1b", true); got != "�[999999m �[1;31m �" {
		t.Errorf("escapes that style does not make: %q", got)
	}
	if text := (style{colour: true}).good("x"); tame(text, true) != text {
		t.Errorf("our own paint was taken off: %q", tame(text, true))
	}
}

// The word of section 23.2.
func TestCurrent(t *testing.T) {
	unclean := atDesk
	unclean.Degraded = []fsm.Deviation{{What: "desktop-target-inactive"}}
	failed, blocked := attempted(fsm.Failed, fsm.Desktop, ""), attempted(fsm.Blocked, fsm.Desktop, "")
	s := func(o fsm.Observation, last *fsm.Attempt) fsm.Snapshot {
		return fsm.Snapshot{State: fsm.Resting(o.Mode), Observation: o, Last: last}
	}
	tests := []struct {
		name string
		v    view
		want fsm.State
	}{
		{"at rest", view{Snapshot: s(atDesk, nil), Live: true}, fsm.AtDesktop},
		{"an attempt that passes through no state", view{Snapshot: fsm.Snapshot{State: fsm.AtDesktop, Observation: atDesk, Attempt: &fsm.Running{}}, Live: true}, fsm.Transitioning},
		{"a failure", view{Snapshot: fsm.Snapshot{State: fsm.FailedTransition, Observation: atDesk}, Live: true}, fsm.FailedTransition},
		{"a failure before this controller", view{Snapshot: s(unclean, &failed)}, fsm.FailedTransition},
		{"a failure that is over", view{Snapshot: s(atDesk, &failed)}, fsm.AtDesktop},
		{"a refusal", view{Snapshot: s(unclean, &blocked)}, fsm.AtDesktop},
		{"somebody begins an attempt", view{Snapshot: s(atDesk, nil), Locked: true, Desired: fsm.Compute}, fsm.Transitioning},
		{"somebody has ended one", view{Snapshot: s(atDesk, nil), Locked: true, Desired: fsm.Desktop}, fsm.AtDesktop},
		{"unreadable", view{Snapshot: s(fsm.Observation{Mode: fsm.Unknown}, &failed)}, "unknown"},
	}
	for _, test := range tests {
		if got := test.v.current(); got != test.want {
			t.Errorf("%s: %s; want %s", test.name, got, test.want)
		}
	}
}

func TestBusFaults(t *testing.T) {
	for name, want := range map[string]int{
		"org.freedesktop.DBus.Error.AccessDenied":                     fsm.ExitNotAllowed,
		"org.freedesktop.DBus.Error.InteractiveAuthorizationRequired": fsm.ExitNotAllowed,
		"org.freedesktop.systemd1.NoSuchUnit":                         exitError,
		"org.freedesktop.systemd1.UnitMasked":                         exitError,
	} {
		f := fault{code: exitError}
		errors.As(busFault("start", "x.service", godbus.Error{Name: name}), &f)
		if f.code != want {
			t.Errorf("%s exits with %d; want %d", name, f.code, want)
		}
	}
}

func TestBuildOf(t *testing.T) {
	info := &debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: "true"}}}
	info.Main.Version = "v1.2.3"
	if b := buildOf(info, true); b.Version != "v1.2.3" || b.Commit != "0123456789ab" || !b.Modified {
		t.Errorf("%+v", b)
	}
	if b := buildOf(nil, false); b.Version != "unknown" || b.Commit != "" {
		t.Errorf("without build information: %+v", b)
	}
}

// The table of verbs holds together.
func TestVerbs(t *testing.T) {
	seen := map[string]bool{}
	for _, v := range verbs() {
		if seen[v.name] || v.summary == "" || v.flags == nil || v.min > v.max || (v.max > 0) != (v.args != "") {
			t.Errorf("verb %q is not whole: %+v", v.name, v)
		}
		seen[v.name] = true
	}
	var contract []string
	for _, v := range listedVerbs(true) {
		contract = append(contract, v.name)
	}
	if want := []string{"status", "request", "reconcile", "current", "desired", "explain", "dry-run", "force"}; !slices.Equal(contract, want) {
		t.Errorf("the contract of section 20 is %v; want %v", contract, want)
	}
}
