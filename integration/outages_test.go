package integration

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/integration/lab"
)

// Services that everything stands on go away and come back in mid-attempt.
func TestTheManagerIsExecutedAgainMidway(t *testing.T) {
	for _, verb := range []string{"daemon-reexec", "daemon-reload"} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, setup{sway: lab.Sway{Stubborn: true}, enable: []string{"lingers.service"}, files: inSystem(map[string]string{
				"mode-prepare-compute.service": waitingHook, "lingers.service": lingers(3)})})
			d.rests(fsm.AtDesktop)
			end := d.asked(fsm.Compute)
			d.doing(fsm.Run)
			d.Must(t, "systemctl", verb)
			d.goOn()
			d.doing(fsm.EndSession)
			d.Must(t, "systemctl", verb)
			d.doing(fsm.Isolate)
			d.Must(t, "systemctl", verb)
			d.came(end, fsm.Reached, 0)
			d.sees(fsm.Compute)
			d.want(0, "request", "desktop")
			d.sees(fsm.Desktop)
		})
	}
}

func TestLogindIsRestartedMidway(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{sway: lab.Sway{Stubborn: true}, files: inSystem(map[string]string{"mode-prepare-compute.service": waitingHook})})
	d.rests(fsm.AtDesktop)
	end := d.asked(fsm.Compute)
	d.doing(fsm.Run)
	d.Must(t, "systemctl", "restart", "systemd-logind.service")
	d.goOn()
	d.doing(fsm.EndSession)
	d.eventually("the session to be closing", func() bool { s := d.graphical(); return len(s) == 1 && s[0].State == "closing" })
	d.Must(t, "systemctl", "kill", "--signal=KILL", "systemd-logind.service")
	d.came(end, fsm.Reached, 0)
	d.sees(fsm.Compute)
}

// A logind that hangs from the hook on: nothing can be told any more, so nothing is
// ended, and the record does not claim to know the mode.
func TestLogindHangsMidway(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{files: inSystem(map[string]string{"mode-prepare-compute.service": waitingHook})})
	d.rests(fsm.AtDesktop)
	d.atRest()
	before := d.picture()
	end := d.asked(fsm.Compute)
	d.doing(fsm.Run)
	d.Must(t, "systemctl", "kill", "--signal=STOP", "systemd-logind.service")
	d.goOn()
	r := end()
	a := d.last()
	d.Must(t, "systemctl", "kill", "--signal=CONT", "systemd-logind.service")
	if r.Code != fsm.ExitDegraded || a.Outcome != fsm.Failed || a.Final != fsm.Unknown || a.Halt != fsm.HaltGuard {
		t.Errorf("exit %d, %s in %s by %s: %s", r.Code, a.Outcome, a.Final, a.Halt, a.Cause)
	}
	d.told(a)
	d.rests(fsm.AtDesktop) // as soon as it can be observed again
	d.unharmed(before)
}

// The bus dies in the middle, and comes back as it does on a real host: dbus by its
// socket, logind only when somebody restarts it.
func TestTheBusDiesMidway(t *testing.T) {
	for name, dies := range map[string][2]string{
		"killed":  {"systemctl kill --signal=KILL dbus.service", "true"},
		"stopped": {"systemctl stop dbus.socket dbus.service", "systemctl start dbus.socket dbus.service"},
	} {
		for _, at := range []fsm.Verb{fsm.Run, fsm.EndSession, fsm.Isolate} {
			if name == "killed" && at == fsm.Run || name == "stopped" && at == fsm.EndSession {
				continue // four of the six are enough
			}
			t.Run(name+" at "+string(at), func(t *testing.T) {
				t.Parallel()
				// (A logind is only restarted once no session's scope is stopping.)
				d := newDesk(t, setup{edit: []string{`isolate = "20s"`, `isolate = "6s"`}, sway: lab.Sway{Stubborn: at == fsm.EndSession}, enable: []string{"lingers.service"}, files: inSystem(map[string]string{
					"mode-prepare-compute.service": waitingHook, "lingers.service": lingers(3)})})
				d.rests(fsm.AtDesktop)
				end := d.asked(fsm.Compute)
				d.doing(fsm.Run)
				if at != fsm.Run {
					d.goOn()
					d.doing(at)
				}
				d.Must(t, "sh", "-c", dies[0])
				d.goOn()
				r := end()
				a := d.last()
				t.Logf("%s (%d) in %s after %s: %s", a.Outcome, a.Exit, a.Final, a.Ended.Sub(a.Begun), a.Cause)
				d.Must(t, "sh", "-c", dies[1]+"; rm -f /run/go; systemctl kill --signal=KILL "+d.alice.Scope+" 2>/dev/null; systemctl restart --no-block systemd-logind.service")
				if r.Code != a.Exit || a.Success || a.Exit == 0 {
					t.Errorf("exit %d, the record says %s (%d)", r.Code, a.Outcome, a.Exit)
				}
				d.told(a)
				d.rested()
				d.Must(t, "sh", "-c", "systemctl start --no-block mode-prepare-compute.service; sleep 0.2; touch /run/go")
				d.settleIn(fsm.Compute)
			})
		}
	}
}

// rested waits until no attempt runs and the observed mode is known.
func (d *desk) rested() {
	d.t.Helper()
	d.eventually("a known mode", func() bool {
		s := d.snapshot()
		return s.Attempt == nil && s.Observation.Mode != fsm.Unknown
	})
}

// settleIn wants a mode to be reachable.
func (d *desk) settleIn(m fsm.Mode) {
	d.t.Helper()
	end := d.asked(m)
	d.eventually("the hook or the end", func() bool {
		a := d.snapshot().Attempt
		if a != nil && a.Op.Verb == fsm.Run {
			d.goOn()
		}
		return a != nil && a.Op.Verb != fsm.Run && a.Step > 0 || d.last().Success
	})
	d.came(end, fsm.Reached, 0)
	d.sees(m)
}

// A journal that hangs costs nobody a transition, nor its story.
func TestTheJournalHangsMidway(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{})
	d.rests(fsm.AtDesktop)
	journald := d.pid("systemd-journald.service")
	signal := func(s syscall.Signal) { d.Must(t, "kill", fmt.Sprintf("-%d", s), journald) }
	signal(syscall.SIGSTOP)
	r := d.mode("request", "compute")
	signal(syscall.SIGCONT)
	if r.Code != 0 {
		t.Fatalf("exit %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	d.sees(fsm.Compute)
	d.told(d.last())
}

// No step runs without a write-ahead record: the disk is full.
func TestTheDiskIsFull(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{})
	d.rests(fsm.AtDesktop)
	d.atRest()
	before := d.picture()
	d.Must(t, "sh", "-c", "mount -t tmpfs -o size=64k tmpfs /var/lib/mode-controller && ! dd if=/dev/zero of=/var/lib/mode-controller/full bs=1k 2>/dev/null")
	r := d.mode("request", "compute")
	a := d.last()
	if r.Code != fsm.ExitRecovered || a.Outcome != fsm.Recovered || len(a.Steps) != 0 || !strings.Contains(a.Cause, "no space left on device") {
		t.Errorf("exit %d, %s after %d steps: %s", r.Code, a.Outcome, len(a.Steps), a.Cause)
	}
	d.rests(fsm.AtDesktop)
	d.unharmed(before)
	d.Must(t, "rm", "/var/lib/mode-controller/full")
	d.want(0, "request", "compute")
	if len(d.recorded(a.ID)) != 1 {
		t.Errorf("the history has not caught up:\n%s", ids(d.recorded("")))
	}
}
