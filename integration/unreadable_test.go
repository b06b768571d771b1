package integration

import (
	"slices"
	"strings"
	"testing"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/integration/lab"
)

// Thresholds are exceeded by configuration, and by load.
func TestThresholdsThatRefuse(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{})
	d.rests(fsm.AtDesktop)
	d.atRest()
	// More to do than there are CPUs, below a slice that gives way to all else.
	d.Must(t, "systemd-run", "--quiet", "--unit=busy", "--property=CPUWeight=1", "--property=IgnoreOnIsolate=yes",
		"sh", "-c", "for i in 1 2 3 4 5 6; do while :; do :; done & done; wait")
	for _, c := range []struct {
		reason
		pairs []string
		more  string
	}{
		{reason{name: "the CPUs are busy", guard: "check_cpu_load_safe", code: 12, cure: stopped("busy.service")}, []string{"max_pressure = 100", "max_pressure = 1"}, ""},
		{reason{name: "the model is larger than the memory", guard: "check_memory_headroom", code: 14, cure: func(*desk) {}}, nil, "\n[guards.memory_headroom]\nmodel = \"900000GiB\"\n"},
		{reason{name: "less is free than has to be", guard: "check_memory_headroom", code: 14, cure: func(*desk) {}}, nil, "\n[guards.memory_headroom]\nfloor = \"900000GiB\"\n"},
	} {
		c.arise = func(d *desk) string {
			d.configure(c.more, c.pairs...)
			d.eventually(c.name, func() bool { return d.mode("guard", c.guard, "--to", "compute").Code == c.code })
			return map[int]string{12: "waited for a CPU", 14: "of memory is missing for compute"}[c.code]
		}
		cure := c.cure
		c.cure = func(d *desk) { cure(d); d.configure("") }
		d.refuses(c.reason)
	}
}

func TestNobodyIsThere(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{login: "none"})
	d.rests(fsm.AtDesktop)
	d.refuses(reason{name: "nobody is there", to: fsm.StudioLocal, guard: "check_graphical_session_present", code: 16,
		arise: func(*desk) string { return "no user has a graphical session" },
		cure: func(d *desk) {
			var err error
			d.alice, err = d.StartSway(t.Context(), "alice", lab.Sway{})
			d.must(err)
			d.eventually("alice to be seen", func() bool { return len(d.snapshot().Observation.Degraded) == 0 })
		}})
	if got := d.mode("guard", "check_graphical_session_absent", "--json"); got.Code != 17 || !strings.Contains(got.Stdout, "of alice") {
		t.Errorf("exit %d\n%s", got.Code, got.Stdout)
	}
}

// What cannot be told blocks: the host itself cannot be read.
func TestAHostThatCannotBeRead(t *testing.T) {
	for _, r := range []reason{
		{name: "logind hangs", guard: "check_target_reachable", code: 28, arise: sh("systemctl kill --signal=STOP systemd-logind.service", "sessions"), cure: cured("systemctl kill --signal=CONT systemd-logind.service")},
		{name: "logind is gone", guard: "check_target_reachable", code: 28, arise: sh("systemctl mask --runtime --now systemd-logind.service", "sessions"), cure: cured("systemctl unmask --runtime systemd-logind.service; systemctl start systemd-logind.service"), forgets: true},
		{name: "the bus is gone", guard: "check_target_reachable", code: 28, arise: sh("systemctl stop dbus.socket dbus.service", "system bus"), cure: cured("systemctl start dbus.socket dbus.service; systemctl restart --no-block systemd-logind.service")},
		{name: "the processes of others cannot be looked into", guard: "check_audio_idle", code: 20, arise: func(d *desk) string {
			d.must(d.WriteFile("/etc/systemd/system/modewatch.service.d/99-blind.conf", "[Service]\nCapabilityBoundingSet=\nCapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_CHOWN\n"))
			d.Must(d.t, "sh", "-c", "systemctl daemon-reload; systemctl restart modewatch.service")
			d.rests(fsm.AtDesktop)
			return "cannot"
		}, cure: cured("rm /etc/systemd/system/modewatch.service.d/99-blind.conf; systemctl daemon-reload; systemctl restart modewatch.service")},
	} {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, setup{})
			d.rests(fsm.AtDesktop)
			d.atRest()
			before := d.picture()
			culprit := r.arise(d)
			got := d.mode("request", "compute")
			a := d.last()
			if got.Code != r.code || a.Outcome != fsm.Blocked || a.Exit != r.code || len(a.Steps) != 0 {
				t.Errorf("exit %d; %s (%d) after %d steps: %s", got.Code, a.Outcome, a.Exit, len(a.Steps), a.Cause)
			}
			if v := d.verdict(a, r.guard, r.code); !strings.Contains(v.Reason, culprit) {
				t.Errorf("%q does not name %q", v.Reason, culprit)
			}
			r.cure(d)
			d.rests(fsm.AtDesktop)
			d.told(a)
			d.unharmedBut(before, "unit systemd-logind.service", "unit dbus.", "unit modewatch.service", "session") // a logind that was stopped forgets them
			if !r.forgets {
				d.want(0, "why", "compute")
			}
		})
	}
}

// unharmedBut is unharmed, but for what the test itself has stopped.
func (d *desk) unharmedBut(before []string, prefixes ...string) {
	d.t.Helper()
	d.unharmed(only(before, func(line string) bool {
		return !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(line, p) })
	}))
}
