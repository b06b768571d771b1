package integration

import (
	"strings"
	"testing"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/integration/lab"
)

// logged are the entries of modewatch that match.
func (d *desk) logged(match ...string) []lab.Entry {
	d.t.Helper()
	all, err := d.Journal(d.t.Context(), append([]string{"-t", "modewatch"}, match...)...)
	d.must(err)
	return all
}

// Whoever reads the journal finds a transition by its fields, and each entry explained.
func TestTheJournalExplains(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{login: "dm"})
	d.Must(t, "journalctl", "--update-catalog")
	d.rests(fsm.AtDesktop)
	d.want(0, "hold", "--why", "a film", "--for", "1h")
	if r := d.mode("request", "compute"); r.Code == 0 {
		t.Fatal("a held host went")
	}
	blocked := d.last()
	d.Must(t, "sh", "-c", "rm /run/mode-controller/holds/*; echo nonsense >/run/mode-controller/desired")
	d.eventually("the refusal of a word", func() bool { return strings.Contains(d.story(), "nonsense") })
	d.want(0, "request", "compute")
	reached := d.last()
	for id, want := range map[string]string{
		blocked.ID: "Attempt blocked on the way to compute", reached.ID: "Attempt reached mode compute",
	} {
		all := d.logged("MODEWATCH_ATTEMPT=" + id)
		if first, last := all[0], all[len(all)-1]; len(all) < 4 || first["MODEWATCH_EVENT"] != "begin" || last["MODEWATCH_OUTCOME"] == "" {
			t.Errorf("attempt %s is told from %v to %v", id, first["MESSAGE"], last["MESSAGE"])
		}
		if text := d.Must(t, "journalctl", "-x", "-t", "modewatch", "MODEWATCH_ATTEMPT="+id); !strings.Contains(text, "Subject: "+want) {
			t.Errorf("journalctl -x does not say %q:\n%s", want, text)
		}
	}
	ends := d.logged("MODEWATCH_TO=compute", "MODEWATCH_OUTCOME=reached")
	if len(ends) != 1 {
		t.Fatalf("%d entries tell that compute was reached\n%s", len(ends), d.story())
	}
	for _, field := range []string{"MESSAGE_ID", "MODEWATCH_ATTEMPT", "MODEWATCH_WISH", "MODEWATCH_REASON", "MODEWATCH_FROM", "PRIORITY"} {
		if ends[0][field] == "" {
			t.Errorf("the entry has no %s: %v", field, ends[0])
		}
	}
	d.explained()
}

// explained wants a text for each kind of entry that was written, with nothing left open
// in it.
func (d *desk) explained() {
	d.t.Helper()
	seen := map[string]bool{}
	for _, e := range d.logged() {
		id := e["MESSAGE_ID"]
		if seen[id] {
			continue
		}
		seen[id] = true
		text := d.Must(d.t, "journalctl", "-x", "-t", "modewatch", "-n", "1", "MESSAGE_ID="+id)
		if id == "" || !strings.Contains(text, "Subject: ") || !strings.Contains(text, "Defined-By: modewatch") || strings.Contains(text, "MODEWATCH_CAUSE") || strings.Contains(text, "@MODEWATCH_") {
			d.t.Errorf("journalctl -x says of %q:\n%s", e["MESSAGE"], text)
		}
	}
	if len(seen) < 8 {
		d.t.Errorf("only %d kinds of entries were seen", len(seen))
	}
}
