package integration

import (
	"strings"
	"testing"

	"github.com/modewatch/modewatch/fsm"
)

// What doctor says of a host that is installed as it should be, and of one that is not.
func TestDoctor(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{login: "dm"})
	d.rests(fsm.AtDesktop)
	d.Must(t, "journalctl", "--update-catalog")
	healthy := d.want(0, "doctor").Stdout
	for _, line := range []string{"ok    configuration", "ok    desktop", "ok    compute", "ok    what must survive", "ok    daemon", "ok    bus", "ok    polkit",
		"ok    logind", "ok    group modewatch: bob", "ok    desired", "ok    catalogue", "ok    disk"} {
		if !strings.Contains(healthy, line) {
			t.Errorf("of a healthy host is not said %q:\n%s", line, healthy)
		}
	}
	if r := d.within("modewatch", "doctor"); strings.Contains(r.Stdout, "fail  ") || !strings.Contains(r.Stdout, "ok    bus") {
		t.Errorf("to alice it says:\n%s%s", r.Stdout, r.Stderr)
	}
	d.Must(t, "sh", "-c", `printf '\n[units]\nsession_starters = []\n' >>/etc/modewatch/config.toml`)
	d.Must(t, "systemctl", "mask", "--runtime", "compute.target")
	d.Must(t, "chmod", "666", "/run/mode-controller/desired")
	d.Must(t, "rm", "/usr/share/polkit-1/actions/org.modewatch1.policy")
	d.Must(t, "groupdel", "modewatch")
	d.Must(t, "systemctl", "restart", "polkit.service")
	broken := d.want(1, "doctor").Stdout
	for _, line := range []string{"fail  compute", "fail  session starters: lab-dm.service runs", "warn  what must survive", "fail  polkit", "fail  group modewatch", "→ "} {
		if !strings.Contains(broken, line) {
			t.Errorf("of a broken host is not said %q:\n%s", line, broken)
		}
	}
	d.Must(t, "sh", "-c", "echo '[triggers' >>/etc/modewatch/config.toml")
	if r := d.want(1, "doctor"); !strings.Contains(r.Stdout, "fail  configuration") {
		t.Errorf("of a broken configuration it says:\n%s", r.Stdout)
	}
}
