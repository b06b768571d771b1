package integration

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/modewatch/modewatch/fsm"
)

// seed is one unit of each kind that an isolate may meet.
type seed struct {
	unit   string
	origin string // "" where an isolate to compute.target leaves it alone
	text   string // of its file
	start  string // shell that brings it up; "" for systemctl start
}

// knock connects to a socket.
const knock = `perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Peer => shift) or die'`

const sleeps = "[Service]\nExecStart=sleep infinity\n"

var seeds = []seed{
	{unit: "byhand.service", origin: "hand", text: sleeps},
	{unit: "base.service", origin: "dependency", text: sleeps}, // of bound.service
	{unit: "wanted.service", origin: "enabled", text: sleeps + "[Install]\nWantedBy=graphical.target\n", start: "systemctl enable --now wanted.service"},
	{unit: "adhoc.service", origin: "transient", start: "systemd-run --quiet --unit=adhoc sleep infinity"},
	{unit: "nightly.service", origin: "timer", text: sleeps, start: "systemctl start nightly.timer; until systemctl is-active -q nightly.service; do sleep 0.02; done"},
	{unit: "nightly.timer", origin: "dependency", text: "[Timer]\nOnActiveSec=10ms\nAccuracySec=1ms\n"},
	{unit: "echo.service", origin: "socket", text: sleeps, start: "systemctl start echo.socket; " + knock + " /run/echo.sock; until systemctl is-active -q echo.service; do sleep 0.02; done"},
	{unit: "echo.socket", origin: "dependency", text: "[Socket]\nListenStream=/run/echo.sock\n"},
	{unit: "spool.service", origin: "path", text: sleeps, start: "systemctl start spool.path; touch /run/spool; until systemctl is-active -q spool.service; do sleep 0.02; done"},
	{unit: "spool.path", origin: "dependency", text: "[Path]\nPathExists=/run/spool\n"},
	{unit: "systemd-localed.service", origin: "bus", start: "busctl get-property org.freedesktop.locale1 /org/freedesktop/locale1 org.freedesktop.locale1 Locale"},
	{unit: "part.service", origin: "hand", text: "[Unit]\nPartOf=byhand.service\n" + sleeps},
	{unit: "bound.service", origin: "hand", text: "[Unit]\nBindsTo=base.service\nAfter=base.service\n" + sleeps},
	{unit: "upheld.service", origin: "dependency", text: sleeps, start: "systemctl start upholder.service; until systemctl is-active -q upheld.service; do sleep 0.02; done"},
	{unit: "upholder.service", origin: "hand", text: "[Unit]\nUpholds=upheld.service\n" + sleeps},
	{unit: "loose.scope", start: "systemd-run --quiet --scope --unit=loose sleep infinity </dev/null >/dev/null 2>&1 & until systemctl is-active -q loose.scope; do sleep 0.02; done"},
	{unit: "spared.service", text: "[Unit]\nIgnoreOnIsolate=yes\n" + sleeps},
	// What a spared unit is bound to goes, and takes it along all the same.
	{unit: "tied.service", origin: "hand", text: "[Unit]\nIgnoreOnIsolate=yes\nPartOf=byhand.service\n" + sleeps},
	{unit: "stays.service", text: sleeps + "[Install]\nWantedBy=compute.target\n", start: "systemctl enable --now stays.service"},
	// A trigger that stays keeps what it has triggered.
	{unit: "kept.service", text: sleeps, start: "systemctl enable --now kept.socket; " + knock + " /run/kept.sock; until systemctl is-active -q kept.service; do sleep 0.02; done"},
	{unit: "kept.socket", text: "[Socket]\nListenStream=/run/kept.sock\n[Install]\nWantedBy=compute.target\n"},
	{unit: "user@1001.service", start: "loginctl enable-linger bob; until systemctl is-active -q user@1001.service; do sleep 0.02; done"},
}

// The stop set that is told before an isolate is what the isolate then stops.
func TestThePredictedStopSetIsTheRealOne(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	for _, s := range seeds {
		if s.text != "" {
			files["/etc/systemd/system/"+s.unit] = s.text
		}
	}
	d := newDesk(t, setup{files: files})
	d.rests(fsm.AtDesktop)
	for _, s := range seeds {
		d.bring(s)
		if !d.Active(t.Context(), s.unit) {
			t.Fatalf("%s does not run\n%s", s.unit, d.Must(t, "systemctl", "status", "--no-pager", s.unit))
		}
	}
	origins := d.isolates(fsm.Compute)
	for _, s := range seeds {
		if got := origins[s.unit]; got != s.origin {
			t.Errorf("%s is said to be of %q, want %q", s.unit, got, s.origin)
		}
	}
	d.Must(t, "systemctl", "start", "byhand.service", "upholder.service", "wanted.service")
	back := d.isolates(fsm.Desktop)
	for _, unit := range []string{"byhand.service", "upholder.service", "stays.service", "kept.socket", "compute.target"} {
		if back[unit] == "" {
			t.Errorf("on the way back %s stays", unit)
		}
	}
}

// bring brings a seed up.
func (d *desk) bring(s seed) {
	d.t.Helper()
	start := s.start
	if start == "" {
		start = "systemctl start " + s.unit
	}
	d.Must(d.t, "timeout", "20", "bash", "-c", start)
}

// isolated isolates a mode's target. It returns what had been told of it, and what
// was up before and is after.
func (d *desk) isolated(m fsm.Mode) (told, before, after map[string]string) {
	d.t.Helper()
	told, before = d.foretold(m), d.up()
	d.Must(d.t, "systemctl", "isolate", string(m)+".target")
	d.eventually("the end of all jobs", func() bool { return strings.TrimSpace(d.Must(d.t, "systemctl", "list-jobs", "--no-legend")) == "" })
	return told, before, d.up()
}

// isolates compares what isolating a mode's target stops with what was told of it
// right before, and returns the told origins by unit.
func (d *desk) isolates(m fsm.Mode) map[string]string {
	d.t.Helper()
	origins, before, after := d.isolated(m)
	told, real := slices.Sorted(maps.Keys(origins)), []string{}
	for unit, life := range before {
		// The scope of alice's session is not stopped: it has lost its leader, a
		// process of the service that has logged her in.
		if after[unit] != life && unit != d.alice.Scope {
			real = append(real, unit)
		}
	}
	slices.Sort(real)
	if len(told) < 3 || !slices.Equal(told, real) {
		d.t.Errorf("isolating for %s stopped, and nobody had told: %v\ntold, and not stopped: %v\ntold: %v", m,
			only(real, func(u string) bool { return !slices.Contains(told, u) }), only(told, func(u string) bool { return !slices.Contains(real, u) }), told)
	}
	return origins
}

// up are the units that are up, each with what changes when it is stopped and
// started again.
func (d *desk) up() map[string]string {
	d.t.Helper()
	list := d.Must(d.t, "sh", "-c", "systemctl list-units --plain --no-legend --state=active,reloading,activating,deactivating | awk '{print $1}'")
	shown, err := d.ShowAll(d.t.Context(), strings.Fields(list), "Id", "ActiveState", "InvocationID")
	d.must(err)
	out := map[string]string{}
	for _, u := range shown {
		if state := u["ActiveState"]; state != "inactive" && state != "failed" {
			out[u["Id"]] = "up since " + u["InvocationID"]
		}
	}
	return out
}
