package integration

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/modewatch/modewatch/fsm"
)

// ours are the units that make install installs, by a name that can be loaded.
var ours = []string{
	"desktop.target", "compute.target", "modewatch.service", "mode-controller@compute.service", "mode-observe.service",
	"mode-guard@check_audio_idle.service", "studio-local-policy.service", "audio-priority.service", "vllm@compute.service",
	"interactive.slice", "ai.slice", "platform.slice",
}

func TestTheInstalledUnitsAreSound(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{login: "none"})
	r, err := d.Run(t.Context(), append([]string{"systemd-analyze", "verify"}, ours...)...)
	if err != nil || r.Code != 0 || r.Stderr != "" {
		t.Errorf("systemd-analyze verify: %v, exit %d\n%s", err, r.Code, r.Stderr)
	}
	overall := regexp.MustCompile(`Overall exposure level for .*: ([0-9.]+)`)
	for _, unit := range []string{"modewatch.service", "mode-controller@compute.service"} {
		out := d.Must(t, "systemd-analyze", "security", "--no-pager", unit)
		m := overall.FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("no figure for %s:\n%s", unit, out)
		}
		exposure, err := strconv.ParseFloat(m[1], 64)
		if err != nil || exposure > 3.0 {
			t.Errorf("%s is exposed by %s, more than 3.0", unit, m[1])
		}
		t.Logf("figure: exposure of %s: %s (at most 3.0)", unit, m[1])
	}
}

func TestAudioPriorityChangesAndUndoes(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{noDaemon: true, files: map[string]string{
		"/etc/systemd/system/plocate-updatedb.timer":   "[Timer]\nOnBootSec=1h\n[Install]\nWantedBy=timers.target\n",
		"/etc/systemd/system/plocate-updatedb.service": "[Service]\nType=oneshot\nExecStart=true\n",
	}, enable: []string{"plocate-updatedb.timer"}})
	look := func() string {
		return fmt.Sprint(d.Show(t.Context(), "user.slice", "CPUWeight"), d.Show(t.Context(), "ai.slice", "CPUWeight"),
			d.Active(t.Context(), "plocate-updatedb.timer"))
	}
	before := look()
	d.Must(t, "systemctl", "start", "desktop.target", "audio-priority.service")
	during := look()
	d.Must(t, "systemctl", "stop", "audio-priority.service")
	after := look()
	if before == during || !strings.Contains(before, "true") || strings.Contains(during, "true") {
		t.Errorf("nothing changed: before %s, during %s", before, during)
	}
	if before != after {
		t.Errorf("not undone: before %s, after %s", before, after)
	}
}

// The contract of sections 20, 23.3 and 24.3 by the installed names.
func TestTheInstalledNames(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{})
	d.rests(fsm.AtDesktop)
	for command, want := range map[string]string{
		"mode current": "desktop", "mode desired": "desktop", "mode status": "desktop", "mode explain compute": "compute.target",
		"/usr/libexec/modewatch/observe-current": "desktop", "/usr/libexec/modewatch/check_audio_idle": `"guard":"check_audio_idle"`,
		"mode dry-run compute": "isolate compute.target",
	} {
		if out := d.Must(t, "sh", "-c", command); !strings.Contains(out, want) {
			t.Errorf("%s says\n%s\nwhich has no %q", command, out, want)
		}
	}
	d.want(31, "force", "compute")
	d.want(30, "request", "comptue")
	for _, ask := range [][]string{{"request", "compute"}, {"hold", "--", "true"}} {
		if r, err := d.RunAs(t.Context(), "alice", append([]string{"modewatch"}, ask...)...); err != nil || r.Code != 32 {
			t.Errorf("%v: alice, who is not in the group, got exit %d (%v)\n%s%s", ask, r.Code, err, r.Stdout, r.Stderr)
		}
	}
	if r, err := d.RunAs(t.Context(), "bob", "modewatch", "request", "compute"); err != nil || r.Code != 0 {
		t.Errorf("bob, who is in the group, got exit %d (%v)\n%s%s", r.Code, err, r.Stdout, r.Stderr)
	}
	if by := d.last().Wish.By; by.UID != 1001 {
		t.Errorf("the wish is recorded as uid %d's, not bob's", by.UID)
	}
}
