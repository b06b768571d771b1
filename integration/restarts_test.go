package integration

import (
	"slices"
	"testing"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/integration/lab"
)

// What the daemon listens to is restarted while it rests: it lives on, takes
// nothing for a change that is none, and still notices each that is one.
func TestWhatItListensToIsRestarted(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{})
	d.rests(fsm.AtDesktop)
	pid := d.pid("modewatch.service")
	for _, restart := range []string{
		"systemctl daemon-reload",
		"systemctl daemon-reexec",
		"systemctl restart systemd-logind.service",
		"systemctl kill --signal=KILL dbus.service; until busctl status >/dev/null 2>&1; do sleep 0.05; done; systemctl restart systemd-logind.service",
	} {
		before, edges := len(d.recorded("")), len(d.edges())
		d.Must(t, "sh", "-c", restart)
		d.notices(restart)
		if now := d.pid("modewatch.service"); now != pid {
			t.Fatalf("after %q the daemon is process %s, it was %s\n%s", restart, now, pid, d.story())
		}
		if n := len(d.recorded("")) - before; n != 0 {
			t.Errorf("after %q there were %d attempts\n%s", restart, n, d.story())
		}
		if walked := d.edges()[edges:]; len(walked) != 2 { // to the marker's mode and back
			t.Errorf("after %q it walked %q\n%s", restart, walked, d.story())
		}
	}
	d.want(0, "request", "compute")
	d.sees(fsm.Compute)
}

// notices has a unit and a session come and go, which the daemon has to tell of
// without being asked.
func (d *desk) notices(after string) {
	d.t.Helper()
	absent := func() bool {
		return slices.ContainsFunc(d.snapshot().Observation.Degraded, func(x fsm.Deviation) bool { return x.What == "graphical-session-absent" })
	}
	d.eventually("the session to be there after "+after, func() bool { return d.snapshot().State == fsm.AtDesktop && !absent() })
	d.Must(d.t, "systemctl", "start", "studio-local-policy.service")
	d.eventually("the marker to be noticed after "+after, func() bool { return d.snapshot().State == fsm.AtStudioLocal })
	d.Must(d.t, "systemctl", "stop", "studio-local-policy.service")
	d.eventually("its end to be noticed after "+after, func() bool { return d.snapshot().State == fsm.AtDesktop })
	d.Must(d.t, "systemctl", "stop", "lab-sway@alice.service")
	d.eventually("the session's end to be noticed after "+after, absent)
	var err error
	d.alice, err = d.StartSway(d.t.Context(), "alice", lab.Sway{})
	d.must(err)
	d.eventually("the new session to be noticed after "+after, func() bool { return !absent() })
}
