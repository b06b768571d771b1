package integration

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/modewatch/modewatch/fsm"
)

// kind is a unit that an isolate may meet: how it comes up and what is told of it
// on the way into compute, and on the way back to the desktop.
type kind struct {
	seed
	back    string // as origin, of an isolate to desktop.target
	once    bool   // it cannot be up on the way back
	mayStay bool   // told, yet it may stay: see its comment
}

// back are the origins of the seeds on the way back, where they are others.
var back = map[string]string{"wanted.service": "", "stays.service": "enabled", "kept.service": "socket", "kept.socket": "dependency"}

const (
	spared    = "[Unit]\nIgnoreOnIsolate=yes\n"
	inCompute = "[Install]\nWantedBy=compute.target\n"
)

// kinds are those that the seeds lack.
var kinds = []kind{
	// Of each kind of run: one that is over, one that has not begun, one that waits to begin again.
	{seed: seed{unit: "flag.service", origin: "hand", text: "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=true\n"}, back: "hand"},
	{seed: seed{unit: "long.service", origin: "hand", text: "[Service]\nType=oneshot\nExecStart=sleep infinity\n",
		start: "systemctl start --no-block long.service; until systemctl show -P SubState long.service | grep -q start; do sleep 0.02; done"}, back: "hand"},
	{seed: seed{unit: "flaps.service", origin: "hand", text: "[Service]\nRestart=always\nRestartSec=1h\nExecStart=false\n",
		start: "systemctl start flaps.service; until systemctl show -P SubState flaps.service | grep -q auto-restart; do sleep 0.02; done"}, back: "hand"},
	{seed: seed{unit: "copy@1.service", origin: "hand", start: "systemctl start copy@1.service"}, back: "hand"},
	// (It never takes its name, so that the bus would not call it a second time.)
	{seed: seed{unit: "called.service", origin: "bus", text: "[Service]\nType=exec\nBusName=org.modewatch.Called\nExecStart=sleep infinity\n",
		start: "busctl call --expect-reply=no org.modewatch.Called / org.modewatch.Called Come; until systemctl is-active -q called.service; do sleep 0.02; done"}, once: true},
	// A trigger that is spared keeps what it has triggered.
	{seed: seed{unit: "guarded.service", text: sleeps, start: "systemctl start guarded.path; touch /run/guarded; until systemctl is-active -q guarded.service; do sleep 0.02; done"}},
	{seed: seed{unit: "guarded.path", text: spared + "[Path]\nPathExists=/run/guarded\n"}},
	// What the target wants goes all the same with what it is a part of.
	{seed: seed{unit: "torn.service", origin: "enabled", text: "[Unit]\nPartOf=byhand.service\n" + sleeps + inCompute}, back: "enabled"},
	// A spared unit goes with what it requires to be up.
	{seed: seed{unit: "needed.service", origin: "hand", text: sleeps}, back: "hand"},
	{seed: seed{unit: "needy.service", origin: "hand", text: spared + "Requisite=needed.service\nAfter=needed.service\n" + sleeps}, back: "hand"},
	// What is only required to be up stays, but what it wants itself does not.
	{seed: seed{unit: "deeper.service", origin: "dependency", text: sleeps, start: "systemctl start deep.service"}, back: "dependency"},
	{seed: seed{unit: "deep.service", text: "[Unit]\nWants=deeper.service\n" + sleeps}, back: "hand"},
	{seed: seed{unit: "looks.service", text: "[Unit]\nRequisite=deep.service\nAfter=deep.service\n" + sleeps + inCompute}, back: "enabled"},
	// A spared unit goes once nothing needs it any more.
	{seed: seed{unit: "thrifty.service", origin: "dependency", text: spared + "StopWhenUnneeded=yes\n" + sleeps, start: "systemctl start needs.service"}, back: "dependency"},
	{seed: seed{unit: "needs.service", origin: "hand", text: "[Unit]\nWants=thrifty.service\n" + sleeps}, back: "hand"},
	// A spared unit goes if it conflicts with what is started, even if that then has a condition that fails.
	{seed: seed{unit: "foe.service", origin: "hand", text: spared + "Conflicts=compute.target\n" + sleeps}, once: true},
	{seed: seed{unit: "victim.service", origin: "hand", text: spared + sleeps}},
	// A unit whose file is bad pulls in nothing: bad.service wants this one.
	{seed: seed{unit: "dangling.service", origin: "hand", text: sleeps}, back: "hand"},
	// What the target wants goes if it requires what has been masked since.
	{seed: seed{unit: "orphan.service", origin: "enabled", text: "[Unit]\nRequires=lost.service\n" + sleeps + inCompute,
		start: "systemctl unmask lost.service; systemctl start orphan.service"}, back: "enabled"},
	{seed: seed{unit: "lost.service", origin: "dependency", start: "systemctl mask lost.service"}, back: "dependency"},
	// What a spared unit upholds is stopped, and started again.
	{seed: seed{unit: "sparing.service", text: spared + "Upholds=again.service\n" + sleeps}},
	{seed: seed{unit: "again.service", origin: "dependency", text: sleeps, start: "until systemctl is-active -q again.service; do sleep 0.02; done"}, back: "dependency"},
	// Whether an isolate follows PropagatesStopTo= depends on the version of systemd: 257 does not.
	{seed: seed{unit: "leader.service", origin: "hand", text: "[Unit]\nPropagatesStopTo=follower.service\n" + sleeps}, back: "hand"},
	{seed: seed{unit: "follower.service", origin: "hand", text: spared + sleeps}, back: "hand", mayStay: true},
}

// allKinds are the seeds and what they lack.
func allKinds() []kind {
	var all []kind
	for _, s := range seeds {
		k := kind{seed: s, back: s.origin}
		if other, has := back[s.unit]; has {
			k.back = other
		}
		all = append(all, k)
	}
	return append(all, kinds...)
}

// kindFiles are the files of all kinds, and of what they deal with.
func kindFiles(all []kind) map[string]string {
	units := map[string]string{
		"copy@.service":  sleeps,
		"attack.service": "[Unit]\nConflicts=victim.service\nConditionPathExists=/nowhere\n" + sleeps + inCompute,
		"bad.service":    "[Unit]\nWants=dangling.service\n[Service]\nUser=root\n" + inCompute,
	}
	for _, k := range all {
		if k.text != "" {
			units[k.unit] = k.text
		}
	}
	files := inSystem(units)
	files["/usr/lib/systemd/system/lost.service"] = sleeps // where it can be masked
	files["/usr/share/dbus-1/system-services/org.modewatch.Called.service"] = "[D-BUS Service]\nName=org.modewatch.Called\nExec=/bin/false\nUser=root\nSystemdService=called.service\n"
	files["/usr/share/dbus-1/system.d/org.modewatch.Called.conf"] = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><policy context="default"><allow send_destination="org.modewatch.Called"/></policy></busconfig>
`
	return files
}

// With a unit of every kind up, each way stops what was told, and nothing else.
// (Nobody is logged in here: a user's manager ends by itself seconds after the
// session, at a time of its own choice.)
func TestTheStopSetOfEveryKindBothWays(t *testing.T) {
	t.Parallel()
	all := allKinds()
	d := newDesk(t, setup{files: kindFiles(all), login: "none"})
	d.rests(fsm.AtDesktop)
	d.Must(t, "systemctl", "enable", "attack.service", "bad.service", "torn.service", "looks.service", "orphan.service")
	for _, m := range []fsm.Mode{fsm.Compute, fsm.Desktop} {
		t.Run("to "+string(m), func(t *testing.T) {
			if m == fsm.Desktop {
				all = slices.DeleteFunc(all, func(k kind) bool { return k.once })
				for i := range all {
					all[i].origin = all[i].back
				}
			}
			here := *d
			here.t = t
			here.comeUp(all)
			here.stopsAsTold(m, all)
		})
	}
}

// comeUp brings up all kinds, and wants them to be up in the end.
func (d *desk) comeUp(all []kind) {
	d.t.Helper()
	d.Must(d.t, "systemctl", "start", "base.service", "byhand.service", "needed.service", "deep.service")
	up := d.up()
	for _, k := range all {
		if k.unit == "lost.service" || up[k.unit] == "" {
			d.bring(k.seed)
		}
	}
	up = d.up()
	for _, k := range all {
		if up[k.unit] == "" {
			d.t.Fatalf("%s is not up\n%s", k.unit, d.Must(d.t, "sh", "-c", "systemctl status --no-pager "+k.unit+"; true"))
		}
	}
}

// stopsAsTold isolates a mode's target and compares.
func (d *desk) stopsAsTold(m fsm.Mode, all []kind) {
	d.t.Helper()
	told, before, after := d.isolated(m)
	mayStay := map[string]bool{}
	for _, k := range all {
		mayStay[k.unit] = k.mayStay
		if got := told[k.unit]; got != k.origin {
			d.t.Errorf("%s is told to be of %q, want %q", k.unit, got, k.origin)
		}
	}
	for _, unit := range slices.Sorted(maps.Keys(before)) {
		stopped := after[unit] != before[unit]
		if stopped && told[unit] == "" {
			d.t.Errorf("%s was stopped, and nobody had told", unit)
		}
		if !stopped && told[unit] != "" && !mayStay[unit] {
			d.t.Errorf("%s was not stopped, as had been told", unit)
		}
	}
	for unit := range told {
		if before[unit] == "" {
			d.t.Errorf("%s was told to be stopped, and was not up", unit)
		}
	}
}

// foretold is the stop set that dry-run tells: the origins by unit.
func (d *desk) foretold(m fsm.Mode) map[string]string {
	d.t.Helper()
	var doc struct {
		StopSet fsm.StopSet `json:"stop_set"`
	}
	r := d.mode("dry-run", string(m), "--json") // its exit tells of guards, which refuse here
	if err := json.Unmarshal([]byte(r.Stdout), &doc); err != nil {
		d.t.Fatalf("%v: %s%s", err, r.Stdout, r.Stderr)
	}
	if !strings.HasPrefix(doc.StopSet.Target, string(m)) {
		d.t.Fatalf("dry-run %s tells of %q", m, doc.StopSet.Target)
	}
	told := map[string]string{}
	for _, u := range doc.StopSet.Stops {
		told[u.Name] = u.Origin
	}
	return told
}
