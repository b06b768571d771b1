package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// tour visits every ordered pair of modes once, from desktop back to desktop.
// Alice has to be at her desk for desktop → studio-local.
var tour = []fsm.Mode{fsm.StudioLocal, fsm.Desktop, fsm.Compute, fsm.StudioLocal, fsm.Compute, fsm.Desktop}

// ways are the ways to wish of specification sections 8 and 20-22.
var ways = map[string]func(*desk, fsm.Mode){
	"echo": func(d *desk, m fsm.Mode) {
		since := d.now()
		d.echo(m)
		if a := d.ended(m, since); a.Outcome != fsm.Reached || a.Wish.Reason != fsm.ByFile {
			d.t.Fatalf("the wish for %s by file ended %s by %s: %s\n%s", m, a.Outcome, a.Wish.Reason, a.Cause, d.story())
		}
	},
	"request": func(d *desk, m fsm.Mode) { d.want(0, "request", string(m)) },
	"unit": func(d *desk, m fsm.Mode) {
		d.Must(d.t, "systemctl", "start", "mode-controller@"+string(m)+".service")
	},
}

func TestSixTransitions(t *testing.T) {
	for name, way := range ways {
		for _, daemon := range []bool{true, false} {
			if name == "echo" && !daemon {
				continue // nobody watches the file then
			}
			t.Run(fmt.Sprintf("by %s, daemon %v", name, daemon), func(t *testing.T) {
				t.Parallel()
				d := newDesk(t, setup{noDaemon: !daemon})
				if daemon {
					d.rests(fsm.AtDesktop)
				}
				for _, m := range tour {
					way(d, m)
					d.sees(m)
				}
			})
		}
	}
}

// sees checks the host itself, not what modewatch says of it.
func (d *desk) sees(m fsm.Mode) {
	d.t.Helper()
	ctx := d.t.Context()
	want := map[string]bool{
		"desktop.target": m != fsm.Compute, "compute.target": m == fsm.Compute,
		"studio-local-policy.service": m == fsm.StudioLocal, "audio-priority.service": m == fsm.StudioLocal,
		"vllm@compute.service": m == fsm.Compute,
		"k3s.service":          true, "ssh.service": true, "dbus.service": true, "systemd-logind.service": true,
	}
	for unit, up := range want {
		if d.Active(ctx, unit) != up {
			d.t.Errorf("in %s: %s active is %v, want %v", m, unit, !up, up)
		}
	}
	sessions, err := d.Sessions(ctx)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, s := range sessions {
		if m == fsm.Compute && s.Class == "user" && s.Type == "wayland" {
			d.t.Errorf("in compute: session %s of %s is %s", s.ID, s.User, s.State)
		}
	}
	if got := strings.TrimSpace(d.mode("current").Stdout); got != string(m) {
		d.t.Errorf("modewatch current says %s, want %s", got, m)
	}
	if d.t.Failed() {
		d.t.Fatalf("%s", d.story())
	}
}

// now is the time by the machine's clock, which is the host's.
func (d *desk) now() time.Time { return time.Now() }

func TestFirstInstallOnALiveDesktop(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{noDaemon: true})
	ctx := t.Context()
	before := d.Must(t, "systemctl", "list-units", "--state=active", "--plain", "--no-legend", "--type=service,scope,socket")
	d.Must(t, "systemctl", "enable", "--now", "modewatch.service")
	d.rests(fsm.AtDesktop)
	d.eventually("desktop.target to be up", func() bool { return d.Active(ctx, "desktop.target") })
	after := d.Must(t, "systemctl", "list-units", "--state=active", "--plain", "--no-legend", "--type=service,scope,socket")
	for line := range strings.Lines(before) {
		unit := strings.Fields(line)[0]
		if !strings.Contains(after, unit+" ") {
			t.Errorf("%s was stopped by the first start", unit)
		}
	}
	if holders, err := d.Holders(ctx, "/dev/dri/card0"); err != nil || len(holders) == 0 {
		t.Errorf("nobody holds the card any more (%v)", err)
	}
	if got := strings.TrimSpace(d.mode("desired").Stdout); got != "desktop" {
		t.Errorf("the wish of the boot is %q", got)
	}
}

func TestWhatMustSurviveAnIsolate(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{})
	d.rests(fsm.AtDesktop)
	units := []string{"modewatch.service", "k3s.service", "ssh.service", "dbus.service", "systemd-logind.service"}
	was := map[string]string{}
	for _, u := range units {
		was[u] = d.pid(u)
	}
	for _, m := range []fsm.Mode{fsm.Compute, fsm.Desktop} {
		d.want(0, "request", string(m))
		for _, u := range units {
			if now := d.pid(u); now != was[u] || now == "0" {
				t.Errorf("after %s: %s has PID %s, had %s", m, u, now, was[u])
			}
		}
		began := time.Now()
		d.eventually("polkit to answer", func() bool {
			r, err := d.Run(t.Context(), "pkcheck", "--action-id", "org.freedesktop.login1.power-off", "--process", "1")
			return err == nil && r.Code == 0
		})
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("polkit answered after %s", took)
		}
	}
}

func TestTheDisplayManagerStaysDownAndComesBack(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{login: "dm"})
	d.rests(fsm.AtDesktop)
	d.want(0, "request", "compute")
	d.sees(fsm.Compute)
	time.Sleep(2 * time.Second) // its autologin comes one second after a session's end
	d.sees(fsm.Compute)
	d.want(0, "request", "desktop")
	d.eventually("alice to be logged in again", func() bool {
		sessions, err := d.Sessions(t.Context())
		for _, s := range sessions {
			if s.Type == "wayland" && s.User == "alice" {
				return err == nil
			}
		}
		return false
	})
}

func TestACompositorStartedFromATTY(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{login: "tty"})
	d.rests(fsm.AtDesktop)
	d.eventually("the compositor in the evidence", func() bool { return strings.Contains(d.want(0, "status").Stdout, "sway (PID ") })
	d.want(0, "request", "compute")
	d.sees(fsm.Compute)
}
