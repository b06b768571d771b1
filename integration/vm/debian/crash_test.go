package debian

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/assurance"
)

var reportFile = flag.String("report", "", "write the figures of the crashes to this file")

// waits is a unit that lasts until somebody makes /run/go.
const waits = "sh -c 'until [ -e /run/go ]; do sleep 0.1; done'\n"

// A host that is booted anew in the hook of an attempt, and that loses its power in the
// isolate of the next, tells of both that they were interrupted, does not go on with
// them, and rests in the mode of a boot (D11).
func TestACrashInMidAttempt(t *testing.T) {
	if *reportFile == "" {
		t.Skip("boots an emulated machine twice, which takes minutes: make crash does")
	}
	began := time.Now()
	g := newGuest(t, "", map[string]string{
		"/etc/systemd/system/mode-prepare-compute.service": "[Service]\nType=oneshot\nExecStart=" + waits,
		// The isolate starts it, and so lasts.
		"/etc/systemd/system/late.service":                  "[Service]\nType=oneshot\nExecStart=" + strings.ReplaceAll(waits, "/run/go", "/run/never"),
		"/etc/systemd/system/compute.target.d/50-late.conf": "[Unit]\nWants=late.service\nAfter=late.service\n",
	})
	g.sh("systemctl enable --quiet modewatch.service k3s.service ssh.service")
	g.rests(fsm.AtDesktop)
	if err := g.QMP(t.Context(), "set-action", map[string]string{"reboot": "reset"}, nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at    fsm.Verb
		let   bool // the hook is let go
		crash func()
	}{
		{fsm.Run, false, func() { g.boots(func() { g.sh("systemctl reboot --no-block") }) }},
		{fsm.Isolate, true, func() {
			g.boots(func() {
				if err := g.QMP(t.Context(), "system_reset", nil, nil); err != nil {
					t.Fatal(err)
				}
			})
		}},
	} {
		before := len(g.recorded())
		g.mode(0, "request", "compute", "--detach")
		if c.let {
			g.sh("touch /run/go")
		}
		g.reachesStep(c.at)
		c.crash()
		g.rests(fsm.AtDesktop)
		g.interruptedOnce(before)
		if got := g.sh("systemctl is-active desktop.target compute.target ssh.service dbus.service systemd-logind.service k3s.service modewatch.service || true"); got != "active\ninactive\nactive\nactive\nactive\nactive\nactive" {
			t.Errorf("after a crash at %s the units are\n%s", c.at, got)
		}
	}
	t.Logf("figure: two crashes of the machine in mid-attempt in %v", time.Since(began).Round(time.Second))
	g.reports(began)
}

// reachesStep waits for a step to be under way, as its write-ahead record says.
func (g *guest) reachesStep(v fsm.Verb) {
	g.t.Helper()
	var r fsm.Intent
	g.eventually(fmt.Sprintf("the step %s", v), func() bool {
		got, err := g.Run(g.t.Context(), "cat", "/var/lib/mode-controller/intent.json")
		return err == nil && json.Unmarshal([]byte(got.Stdout), &r) == nil && r.Step > 0 && r.Plan.Steps[r.Step-1].Verb == v
	})
	if v == fsm.Run {
		g.sh("sync") // an ordinary reboot does so as well
	}
}

// boots has something boot the machine, and waits until it is up again.
func (g *guest) boots(crash func()) {
	g.t.Helper()
	const id = "/proc/sys/kernel/random/boot_id"
	was := g.sh("cat " + id)
	crash()
	g.eventually("another boot", func() bool {
		ctx, cancel := context.WithTimeout(g.t.Context(), 20*time.Second) // what was asked of the one before is lost
		defer cancel()
		r, err := g.Run(ctx, "cat", id)
		return err == nil && r.Code == 0 && strings.TrimSpace(r.Stdout) != was
	})
	g.sh("systemctl is-system-running --wait || true; until [ -e /run/mode-controller/state.json ]; do sleep 0.5; done")
}

// interruptedOnce wants the history to tell of one attempt to compute, interrupted,
// and the state to be of the host as it is.
func (g *guest) interruptedOnce(before int) {
	g.t.Helper()
	var found []fsm.Attempt
	for _, a := range g.recorded()[before:] {
		if a.To == fsm.Compute {
			found = append(found, a)
		}
	}
	if len(found) != 1 || found[0].Outcome != fsm.Interrupted {
		g.t.Errorf("the history tells %+v\n%s", found, g.story())
	}
	g.sh("! test -e /var/lib/mode-controller/intent.json")
	g.sh("! find /run/systemd/system /run/systemd/system.control -lname /dev/null 2>/dev/null | grep .")
	if got := g.sh("modewatch current; modewatch desired"); got != "desktop\ndesktop" {
		g.t.Errorf("it tells and wishes %q", got)
	}
}

// recorded are the attempts of the history; none before the first.
func (g *guest) recorded() (out []fsm.Attempt) {
	g.t.Helper()
	for line := range strings.Lines(g.sh("cat /var/lib/mode-controller/history.jsonl 2>/dev/null || true")) {
		var a fsm.Attempt
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			g.t.Fatalf("a line of the history cannot be read: %v\n%s", err, line)
		}
		out = append(out, a)
	}
	return out
}

func (g *guest) reports(began time.Time) {
	g.t.Helper()
	violations := "0"
	if g.t.Failed() {
		violations = "≥ 1"
	}
	err := assurance.Write(*reportFile, assurance.Section{
		Title: "Crashes of a whole machine",
		Text: "A machine with a kernel of its own is booted anew in the hook of the way to compute, and is reset, " +
			"as by a loss of power, in the isolate of the next attempt. It comes back in desktop, tells of both attempts once, that they were interrupted, and leaves no record, mask or link.",
		Command: "make crash", Date: began.Format(time.DateOnly),
		Rows: []assurance.Row{
			{What: "crashes of the machine in mid-attempt", Value: "2", Need: "2"},
			{What: "violations", Value: violations, Need: "0", Unmet: g.t.Failed()},
			{What: "time", Value: time.Since(began).Round(time.Second).String()},
		},
	})
	if err != nil {
		g.t.Error(err)
	}
}
