package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/integration/lab"
)

// broken is a host on which the way to compute goes wrong, and what is to come
// of it.
type broken struct {
	name  string
	setup setup
	// before is shell that is run in the machine before the wish, and beside it
	// where it ends in "&".
	before string
	out    []fsm.Outcome // any of them, where more than one is right
	exits  []int
	cause  string // what the record must say
	ends   fsm.Mode
}

func program(lines string) map[string]string {
	return map[string]string{"/usr/local/bin/vllm-program": "#!/bin/sh\n" + lines + "\n"}
}

func dropin(unit, text string) map[string]string {
	return map[string]string{"/etc/systemd/system/" + unit + ".d/50-broken.conf": text}
}

// when runs shell beside the attempt as soon as it is at a verb.
func when(verb fsm.Verb, shell string) string {
	return fmt.Sprintf(`(while ! grep -q '"doing":"step","step":[0-9]*,"steps":[0-9]*,"op":{"verb":"%s"' /run/mode-controller/state.json; do sleep 0.02; done; %s) >/tmp/when.log 2>&1 &`, verb, shell)
}

const slowReady = "exec /usr/local/bin/vllm -listen 127.0.0.1:8000 -control /run/vllm.control -ready-after 3s"

// slow takes seconds to stop when desktop is left.
var slow = map[string]string{"/etc/systemd/system/slow.service": "[Service]\nExecStart=/bin/sh -c \"trap '' TERM; while :; do sleep 1; done\"\n" +
	"TimeoutStopSec=6\n[Install]\nWantedBy=graphical.target\n"}

var breakages = []broken{
	{name: "the unit fails at once", setup: setup{files: program("exit 1")},
		// systemd tries again by itself, so that it may be the deadline that ends it.
		out: []fsm.Outcome{fsm.Recovered}, exits: []int{40, 44}, cause: "vllm@compute.service", ends: fsm.Desktop},
	{name: "the model is never ready", setup: setup{edit: []string{`ready = "20s"`, `ready = "2s"`},
		files: program("exec /usr/local/bin/vllm -listen 127.0.0.1:8000 -control /run/vllm.control -ready-after 1h")},
		out: []fsm.Outcome{fsm.Recovered}, exits: []int{44}, cause: "/health", ends: fsm.Desktop},
	{name: "the unit is masked", before: "systemctl mask -q vllm@compute.service",
		out: []fsm.Outcome{fsm.Blocked}, exits: []int{18}, cause: "vllm@compute.service", ends: fsm.Desktop},
	{name: "a dependency fails", setup: setup{files: dropin("vllm@compute.service", "[Unit]\nRequires=nope.service\nAfter=nope.service\n")},
		out: []fsm.Outcome{fsm.Recovered}, exits: []int{40}, cause: "vllm@compute.service", ends: fsm.Desktop},
	{name: "the hook fails", setup: setup{files: map[string]string{
		"/etc/systemd/system/mode-prepare-compute.service": "[Service]\nType=oneshot\nExecStart=false\n"}},
		out: []fsm.Outcome{fsm.Recovered}, exits: []int{40}, cause: "mode-prepare-compute.service", ends: fsm.Desktop},
	{name: "a unit hangs in stopping", setup: setup{edit: []string{`isolate = "20s"`, `isolate = "2s"`}, files: slow, enable: []string{"slow.service"}},
		out: []fsm.Outcome{fsm.Recovered, fsm.Degraded, fsm.Failed}, exits: []int{44, 41}, cause: "slow.service", ends: ""},
	{name: "a session that ignores TERM", setup: setup{sway: lab.Sway{Stubborn: true}},
		out: []fsm.Outcome{fsm.Reached}, exits: []int{0}, ends: fsm.Compute},
	{name: "a session that comes back", before: when(fsm.EndSession, "while [ -e /run/systemd/sessions/c1 ]; do sleep 0.01; done; systemctl start lab-sway@bob.service"),
		setup: setup{files: map[string]string{"/run/lab/sway-bob.env": "LAB_NODES=/dev/dri/card0\n"}},
		out:   []fsm.Outcome{fsm.Degraded, fsm.Failed, fsm.Recovered}, exits: []int{40, 41, 44}, cause: "", ends: ""},
	{name: "undo is refused", setup: setup{files: program("sleep 1; exit 1")}, before: when(fsm.Start, "systemctl mask --runtime -q desktop.target"),
		out: []fsm.Outcome{fsm.Degraded, fsm.Failed}, exits: []int{41}, cause: "vllm@compute.service", ends: ""},
	{name: "systemd is executed again", setup: setup{files: program(slowReady)}, before: when(fsm.AwaitReady, "systemctl daemon-reexec"),
		out: []fsm.Outcome{fsm.Reached}, exits: []int{0}, ends: fsm.Compute},
	{name: "systemd reloads", setup: setup{files: program(slowReady)}, before: when(fsm.AwaitReady, "systemctl daemon-reload"),
		out: []fsm.Outcome{fsm.Reached}, exits: []int{0}, ends: fsm.Compute},
	{name: "the bus goes away", setup: setup{files: program(slowReady)}, before: when(fsm.AwaitReady, "systemctl kill -s KILL dbus.service; sleep 1; systemctl restart systemd-logind"),
		out: []fsm.Outcome{fsm.Reached, fsm.Recovered, fsm.Degraded, fsm.Failed}, exits: []int{0, 40, 41, 44}, ends: ""},
}

func TestWhatGoesWrongIsToldTruthfully(t *testing.T) {
	for _, b := range breakages {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, b.setup)
			d.rests(fsm.AtDesktop)
			if b.before != "" {
				d.Must(t, "sh", "-c", b.before)
			}
			r := d.mode("request", "compute")
			a := d.truth(r)
			t.Logf("ended %s (%d) in %s: %s", a.Outcome, a.Exit, a.Final, a.Cause)
			if !oneOf(a.Outcome, b.out) || !oneOf(r.Code, b.exits) {
				t.Errorf("it ended %s (%d): %s; want %v %v\n%s", a.Outcome, r.Code, a.Cause, b.out, b.exits, d.story())
			}
			if !strings.Contains(a.Cause, b.cause) {
				t.Errorf("the cause is %q, which does not name %q", a.Cause, b.cause)
			}
			if b.ends != "" {
				d.sees(b.ends)
			}
		})
	}
}

func oneOf[T comparable](got T, want []T) bool {
	for _, w := range want {
		if got == w {
			return true
		}
	}
	return false
}

// truth holds what was told of the last attempt against itself and the host:
// exit code, record, journal, and what is observed by another look.
func (d *desk) truth(r lab.Result) fsm.Attempt {
	d.t.Helper()
	a := d.last()
	if a.Exit != r.Code || a.Success != (r.Code == 0) {
		d.t.Errorf("exit %d, but the record says %d, success %v\n%s%s", r.Code, a.Exit, a.Success, r.Stdout, r.Stderr)
	}
	entries, err := d.Journal(d.t.Context(), "-t", "modewatch", "MODEWATCH_ATTEMPT="+a.ID)
	if err != nil {
		d.t.Fatal(err)
	}
	var outcomes []string
	for _, e := range entries {
		if o := e["MODEWATCH_OUTCOME"]; o != "" && e["MODEWATCH_STEP"] == "" {
			outcomes = append(outcomes, o)
		}
	}
	if strings.Join(outcomes, " ") != string(a.Outcome) {
		d.t.Errorf("the journal tells the outcomes %v, the record %s", outcomes, a.Outcome)
	}
	if w := d.snapshot().Wish; w == nil || w.Mode != a.To {
		d.t.Errorf("the wish is %+v, not %s", w, a.To)
	}
	ctx := d.t.Context()
	compute := d.Active(ctx, "compute.target")
	switch a.Final {
	case fsm.Compute:
		if !compute {
			d.t.Error("compute is told, but compute.target is not active")
		}
	case fsm.Desktop:
		sessions, err := d.Sessions(ctx)
		if compute && err == nil && len(sessions) == 0 {
			d.t.Error("desktop is told, but compute.target is active and nobody is there")
		}
	}
	return a
}

// A controller that is killed at a step goes forward past the point of no
// return and back before it; interrupted is told first (D11).
func TestKilledAtAStep(t *testing.T) {
	hook := map[string]string{"/etc/systemd/system/mode-prepare-compute.service": "[Service]\nType=oneshot\nExecStart=sleep 2\n"}
	busyUntilThen := "echo running=2 >/run/vllm.control; echo drain_after=3s >>/run/vllm.control"
	for _, c := range []struct {
		name  string
		setup setup
		from  fsm.Mode
		prep  string
		at    fsm.Verb
		ends  fsm.Mode
		told  string // in the journal, of the outcomes
	}{
		{"the hook", setup{files: hook}, fsm.Desktop, "", fsm.Run, fsm.Desktop, "interrupted "},
		{"the end of the session", setup{sway: lab.Sway{Stubborn: true}}, fsm.Desktop, "", fsm.EndSession, fsm.Compute, "interrupted reached "},
		{"the isolate", setup{files: slow, enable: []string{"slow.service"}}, fsm.Desktop, "", fsm.Isolate, fsm.Compute, "interrupted reached "},
		{"the model's load", setup{files: program(slowReady)}, fsm.Desktop, "", fsm.AwaitReady, fsm.Compute, "interrupted reached "},
		{"the drain", setup{}, fsm.Compute, busyUntilThen, fsm.Drain, fsm.Compute, "interrupted "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, c.setup)
			d.rests(fsm.AtDesktop)
			to := fsm.Compute
			if c.from == fsm.Compute {
				d.want(0, "request", "compute")
				to = fsm.Desktop
			}
			if c.prep != "" {
				d.Must(t, "sh", "-c", c.prep)
			}
			d.Must(t, "sh", "-c", when(c.at, "kill -9 "+d.pid("modewatch.service")+"; touch /tmp/killed"))
			d.echo(to)
			d.eventually("the kill", func() bool { _, err := d.ReadFile("/tmp/killed"); return err == nil })
			d.rests(fsm.Resting(c.ends))
			d.settledIn(c.ends)
			var outcomes []string
			entries, err := d.Journal(t.Context(), "-t", "modewatch")
			for _, e := range entries {
				if e["MODEWATCH_OUTCOME"] != "" && e["MODEWATCH_STEP"] == "" {
					outcomes = append(outcomes, e["MODEWATCH_OUTCOME"])
				}
			}
			if err != nil || !strings.Contains(strings.Join(outcomes, " ")+" ", c.told) {
				t.Errorf("the journal tells %v (%v)\n%s", outcomes, err, d.story())
			}
			if _, err := d.ReadFile("/var/lib/mode-controller/intent.json"); err == nil {
				t.Error("the write-ahead record was left behind")
			}
			if c.ends == fsm.Compute {
				d.sees(fsm.Compute)
			}
		})
	}
}

// An ordinary stop in mid-attempt walks back what can be walked back (section 4).
func TestAStopInMidAttempt(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{files: map[string]string{
		"/etc/systemd/system/mode-prepare-compute.service": "[Service]\nType=oneshot\nExecStart=sleep 5\n"}})
	d.rests(fsm.AtDesktop)
	d.echo(fsm.Compute)
	d.eventually("the hook to run", func() bool { a := d.snapshot().Attempt; return a != nil && a.Op.Verb == fsm.Run })
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
