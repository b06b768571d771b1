package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/integration/lab"
)

const busName = "org.modewatch1"

// property reads one property by busctl, as JSON.
func (d *desk) property(name string) string {
	d.t.Helper()
	out := d.Must(d.t, "busctl", "--json=short", "get-property", busName, "/org/modewatch1", "org.modewatch1.Manager", name)
	var v struct{ Data json.RawMessage }
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		d.t.Fatalf("%s is %s: %v", name, out, err)
	}
	return string(v.Data)
}

// within runs a command in alice's session, as from her terminal.
func (d *desk) within(command ...string) lab.Result {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	r, err := d.RunIn(ctx, d.alice, command...)
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

// from runs a command as a user who has no session here, as by ssh or cron.
func (d *desk) from(user string, command ...string) lab.Result {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	r, err := d.RunAs(ctx, user, command...)
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

// method is a call by busctl.
func method(name string, args ...string) []string {
	return append([]string{"busctl", "call", busName, "/org/modewatch1", "org.modewatch1.Manager", name}, args...)
}

// The clients that people have see a transition on the bus, with either bus.
func TestTheBusTellsATransition(t *testing.T) {
	for _, broker := range []bool{false, true} {
		name := map[bool]string{false: "dbus-daemon", true: "dbus-broker"}[broker]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup{}
			if broker {
				s.enable = []string{"dbus-broker.service"}
			}
			d := newDesk(t, s)
			d.rests(fsm.AtDesktop)
			if got := strings.TrimSpace(d.Must(t, "systemctl", "show", "-P", "Id", "dbus.service")); got != name+".service" && (broker || got != "dbus.service") {
				t.Fatalf("the bus is %s", got)
			}
			for client, shown := range map[string]string{
				"busctl introspect org.modewatch1 /org/modewatch1":                   ".LastTransition",
				"gdbus introspect --system --dest org.modewatch1 -o /org/modewatch1": "Request(in  s mode",
				"busctl tree org.modewatch1":                                         "/org/modewatch1",
			} {
				if out := d.Must(t, strings.Fields(client)...); !strings.Contains(out, shown) {
					t.Errorf("%s does not show %q:\n%s", client, shown, out)
				}
			}
			d.Must(t, "systemd-run", "--unit=watcher", "-p", "IgnoreOnIsolate=yes", "-p", "StandardOutput=file:/run/told",
				"gdbus", "monitor", "--system", "--dest", busName)
			d.eventually("the watcher", func() bool { return strings.Contains(d.Must(t, "sh", "-c", "cat /run/told || true"), "is owned by") })
			d.Must(t, method("Request", "sa{sv}", "compute", "0")...)
			d.rests(fsm.AtCompute)
			told := ""
			d.eventually("the end on the bus", func() bool { told = d.Must(t, "cat", "/run/told"); return strings.Contains(told, "AttemptEnded") })
			at := 0
			for _, want := range []string{`StateChanged ('desktop', 'begin', 'transitioning'`, `'State': <'transitioning'>`, `'Operation': <'`,
				`StateChanged ('transitioning', 'reached-compute', 'compute'`, "AttemptEnded", `'CurrentMode': <'compute'>`} {
				i := strings.Index(told[at:], want)
				if i < 0 {
					t.Fatalf("after byte %d nothing tells %s:\n%s", at, want, told)
				}
				at += i
			}
			for property, want := range map[string]string{"State": `"compute"`, "Mode": `"compute"`, "DesiredMode": `"compute"`, "Attempt": "{}"} {
				if got := d.property(property); got != want {
					t.Errorf("%s is %s, want %s", property, got, want)
				}
			}
			if last := d.property("LastTransition"); !strings.Contains(last, `"Outcome":{"type":"s","data":"reached"}`) {
				t.Errorf("the last transition is %s", last)
			}
			if guards := d.property("Guards"); !strings.Contains(guards, "check_gpu_display_released") {
				t.Errorf("the guards are %s", guards)
			}
			for m, want := range map[string]string{"DryRun": `\"plan\"`, "Explain": `\"target\"`, "Guards": "check_vllm_drainable"} {
				if out := d.Must(t, method(m, "s", "desktop")...); !strings.Contains(out, want) {
					t.Errorf("%s says %.300s", m, out)
				}
			}
			by := d.last().Wish.By
			if by.UID != 0 || by.PID == 0 || d.last().Wish.Reason != fsm.ByRequest {
				t.Errorf("the wish is by %+v", by)
			}
		})
	}
}

// Exactly the right people may command: whoever sits here, the operators and root.
func TestWhoMayCommand(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{})
	d.rests(fsm.AtDesktop)
	d.Must(t, "useradd", "--create-home", "carol")
	check := func(who string, run func(...string) lab.Result, action string, want bool) {
		t.Helper()
		r := run("sh", "-c", fmt.Sprintf("pkcheck --action-id org.modewatch1.%s --process $$", action))
		if (r.Code == 0) != want {
			t.Errorf("pkcheck %s of %s: exit %d\n%s%s", action, who, r.Code, r.Stdout, r.Stderr)
		}
	}
	remote := func(user string) func(...string) lab.Result {
		return func(c ...string) lab.Result { return d.from(user, c...) }
	}
	people := []struct {
		name string
		run  func(...string) lab.Result
		may  string // the actions, by their first letters
	}{
		{"alice, active and local", d.within, "request-desktop request-studio request-compute hold"},
		{"bob, an operator from afar", remote("bob"), "request-desktop request-studio request-compute hold"},
		{"carol, from afar", remote("carol"), ""},
		{"daemon, a user of the system's", remote("daemon"), ""},
		{"root", remote("root"), "request-desktop request-studio request-compute force hold configure"},
	}
	for _, p := range people {
		for _, action := range []string{"request-desktop", "request-studio", "request-compute", "force", "hold", "configure"} {
			check(p.name, p.run, action, strings.Contains(" "+p.may+" ", " "+action+" "))
		}
		r := p.run(method("Request", "sa{sv}", "desktop", "0")...)
		if may := p.may != ""; (r.Code == 0) != may {
			t.Errorf("Request of %s: exit %d\n%s%s", p.name, r.Code, r.Stdout, r.Stderr)
		}
		if r := p.run(method("Request", "sa{sv}", "desktop", "1", "force", "b", "true")...); (r.Code == 0) != (p.name == "root") {
			t.Errorf("a forced Request of %s: exit %d\n%s%s", p.name, r.Code, r.Stdout, r.Stderr)
		}
		if r := p.run("busctl", "get-property", busName, "/org/modewatch1", "org.modewatch1.Manager", "State"); r.Code != 0 {
			t.Errorf("%s may not read: %s", p.name, r.Stderr)
		}
	}
	if r := d.from("carol", "gdbus", "call", "--system", "-d", busName, "-o", "/org/modewatch1", "-m", busName+".Manager.Request", "compute", "{}"); !strings.Contains(r.Stderr, "needs a password") {
		t.Errorf("carol is told: %s", r.Stderr)
	}
	if r := d.from("carol", "modewatch", "request", "compute"); r.Code != fsm.ExitNotAllowed {
		t.Errorf("carol's request: exit %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	if r := d.from("carol", "busctl", "call", busName, "/org/modewatch1", "org.freedesktop.DBus.Properties", "Set", "ssv", "org.modewatch1.Manager", "State", "s", "compute"); r.Code == 0 {
		t.Error("carol set the state")
	}
	// She sits here, and is in no group: the command asks over the bus.
	r := d.within("modewatch", "request", "studio-local")
	if r.Code != 0 {
		t.Fatalf("alice's request: exit %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	a := d.last()
	if a.To != fsm.StudioLocal || a.Wish.By.UID != 1000 || a.Wish.By.PID == 0 || a.Wish.By.Session != d.alice.ID {
		t.Errorf("the wish for %s is by %+v, alice's session is %s", a.To, a.Wish.By, d.alice.ID)
	}
}

// A hold over the bus lasts as long as whoever holds, and outlives the daemon.
func TestAHoldOverTheBus(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{})
	d.rests(fsm.AtDesktop)
	ended := make(chan lab.Result, 1)
	go func() { ended <- d.within("modewatch", "hold", "--why", "guests are here", "--", "sleep", "infinity") }()
	d.eventually("the hold", func() bool { return strings.Contains(d.property("Holds"), "guests are here") })
	if got := d.property("Holds"); !strings.Contains(got, "1000") {
		t.Errorf("held by nobody: %s", got)
	}
	d.want(13, "request", "compute")
	d.Must(t, "systemctl", "kill", "-s", "KILL", "modewatch.service")
	d.want(13, "why", "compute") // nobody serves now, or another
	d.eventually("a successor", func() bool {
		return d.from("root", "busctl", "get-property", busName, "/org/modewatch1", "org.modewatch1.Manager", "State").Code == 0
	})
	d.rests(fsm.AtDesktop)
	d.eventually("the hold of a successor", func() bool { return strings.Contains(d.property("Holds"), "guests are here") })
	d.want(13, "request", "compute")
	d.Must(t, "pkill", "-KILL", "-f", "modewatch hold")
	d.eventually("the end of the hold", func() bool { return d.property("Holds") == "[]" })
	<-ended
	d.want(0, "why", "compute")
}
