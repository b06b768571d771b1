package integration

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/integration/lab"
	"github.com/modewatch/modewatch/sinks/history"
	"github.com/modewatch/modewatch/sinks/journal"
)

// told wants the same story of an attempt in the journal, in the history, and on
// the host itself.
func (d *desk) told(a fsm.Attempt) {
	d.t.Helper()
	ends := d.entries(a.ID, func(e lab.Entry) bool { return e["MODEWATCH_EXIT"] != "" })
	if len(ends) != 1 {
		d.t.Fatalf("the journal tells %d ends of attempt %s\n%s", len(ends), a.ID, d.story())
	}
	for field, want := range map[string]string{
		"MODEWATCH_OUTCOME": string(a.Outcome), "MODEWATCH_EXIT": strconv.Itoa(a.Exit), "MODEWATCH_FINAL": string(a.Final),
		"MODEWATCH_FROM": string(a.From), "MODEWATCH_TO": string(a.To), "MESSAGE_ID": string(journal.Outcomes[a.Outcome]),
	} {
		if got := ends[0][field]; got != want {
			d.t.Errorf("the journal tells %s=%s of attempt %s, want %s", field, got, a.ID, want)
		}
	}
	if a.Cause != "" && !strings.Contains(ends[0]["MODEWATCH_CAUSE"], a.Cause) {
		d.t.Errorf("the journal tells the cause %q, the record %q", ends[0]["MODEWATCH_CAUSE"], a.Cause)
	}
	if recorded := d.recorded(a.ID); len(recorded) != 1 || recorded[0].Outcome != a.Outcome || recorded[0].Exit != a.Exit {
		d.t.Errorf("the history tells of attempt %s: %+v", a.ID, recorded)
	}
	if word := strings.TrimSpace(d.mode("desired").Stdout); a.Wish.Reason == fsm.ByRequest && word != string(a.To) {
		d.t.Errorf("the wish is %q after an attempt to %s that ended %s", word, a.To, a.Outcome)
	}
	if got := d.observed(); a.Final != got && a.Final != fsm.Unknown && a.Outcome != fsm.Interrupted {
		d.t.Errorf("the record says that the host is in %s, it is in %s", a.Final, got)
	}
	if d.t.Failed() {
		d.t.Fatalf("%s", d.story())
	}
}

// entries are the journal's entries of an attempt that pick picks; there is at
// least one, or the test fails.
func (d *desk) entries(attempt string, pick func(lab.Entry) bool) []lab.Entry {
	d.t.Helper()
	var out []lab.Entry
	d.eventually("the journal to tell of attempt "+attempt, func() bool {
		all, err := d.Journal(d.t.Context(), "MODEWATCH_ATTEMPT="+attempt)
		out = slices.DeleteFunc(all, func(e lab.Entry) bool { return !pick(e) })
		return err == nil && len(out) > 0
	})
	return out
}

// recorded are the history's lines of an attempt; of all attempts for "".
func (d *desk) recorded(id string) []fsm.Attempt {
	d.t.Helper()
	data, err := d.ReadFile("/var/lib/mode-controller/" + history.Name)
	if err != nil {
		d.t.Fatal(err)
	}
	var out []fsm.Attempt
	for line := range strings.Lines(string(data)) {
		var a fsm.Attempt
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			d.t.Fatalf("a line of the history cannot be read: %v\n%s", err, line)
		}
		if id == "" || a.ID == id {
			out = append(out, a)
		}
	}
	return out
}

// observed is the mode by a look of our own (specification section 23.2).
func (d *desk) observed() fsm.Mode {
	d.t.Helper()
	if d.Active(d.t.Context(), "studio-local-policy.service") {
		return fsm.StudioLocal
	}
	if d.Active(d.t.Context(), "compute.target") && len(d.graphical()) == 0 {
		return fsm.Compute
	}
	return fsm.Desktop
}

// graphical are the users' sessions of type wayland.
func (d *desk) graphical() []lab.Session {
	d.t.Helper()
	sessions, err := d.Sessions(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	return slices.DeleteFunc(sessions, func(s lab.Session) bool { return s.Class != "user" || s.Type != "wayland" })
}

// doing waits until the daemon says that it does a step.
func (d *desk) doing(v fsm.Verb) fsm.Running {
	d.t.Helper()
	var r fsm.Running
	d.eventually("the step "+string(v), func() bool {
		now := d.snapshot()
		if now.Attempt == nil {
			return false
		}
		r = *now.Attempt
		return r.Op.Verb == v && r.Doing == "step"
	})
	return r
}
