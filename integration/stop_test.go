package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// An ordinary stop in mid-attempt walks back what can be walked back (section 4).
func TestAStopInMidAttempt(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{files: inSystem(map[string]string{
		"mode-prepare-compute.service": "[Service]\nType=oneshot\nExecStart=sleep 5\n"})})
	d.rests(fsm.AtDesktop)
	d.echo(fsm.Compute)
	d.doing(fsm.Run)
	began := time.Now()
	d.Must(t, "systemctl", "stop", "modewatch.service")
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("the stop took %s", took)
	}
	if a := d.last(); a.Outcome != fsm.Interrupted || a.Final != fsm.Desktop {
		t.Errorf("it ended %s in %s", a.Outcome, a.Final)
	}
	d.settledIn(fsm.Desktop)
}

// settledIn wants the observed mode, now and a second later.
func (d *desk) settledIn(m fsm.Mode) {
	d.t.Helper()
	for range 2 {
		if got := strings.TrimSpace(d.mode("current").Stdout); got != string(m) {
			d.t.Fatalf("current is %s, want %s\n%s", got, m, d.story())
		}
		time.Sleep(500 * time.Millisecond)
	}
}
