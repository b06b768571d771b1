package debian

import (
	"slices"
	"strings"
	"testing"

	"github.com/modewatch/modewatch/fsm"
)

// seat is a machine with modewatch on it, where alice is logged in on the first
// console whenever that is free, and sway is on the card.
type seat struct{ *guest }

// Alice's login shell on the console, when it execs sway itself, and when it leaves
// that to her service manager and waits.
const (
	execsSway = `exec sway --config /etc/sway.conf`
	hasItRun  = `systemctl --user import-environment XDG_SESSION_ID XDG_SEAT XDG_VTNR WLR_RENDERER
exec systemctl --user start --wait sway.service`
)

// atTheSeat are the files by which sway comes up. It tells /run/up when it does.
func atTheSeat(shell string) map[string]string {
	return map[string]string{
		onTheConsole:                autologin,
		"/home/alice/.bash_profile": "export WLR_RENDERER=pixman\n[ \"$(tty)\" = /dev/tty1 ] || return\n" + shell + "\n",
		"/opt/burn":                 burn,
		"/etc/sway.conf":            "swaybg_command -\nxwayland disable\nexec echo up >/run/up\n",
		"/etc/systemd/user/sway.service": "[Unit]\nBindsTo=graphical-session.target\nBefore=graphical-session.target\n" +
			"[Service]\nType=exec\nExecStart=/usr/bin/sway --config /etc/sway.conf\nSlice=session.slice\n",
	}
}

// newSeat boots a machine with nobody logged in yet.
func newSeat(t *testing.T, config string, files map[string]string) *seat {
	t.Helper()
	s := &seat{newGuest(t, config, files)}
	s.sh("mkfifo -m 0666 /run/up")
	return s
}

// swayIsUp waits until sway says so, and wants it to be master of the card.
func (s *seat) swayIsUp() {
	s.t.Helper()
	s.sh("read -r said </run/up") // ends when sway opens the other end
	if got := s.clients(); !got["sway"] {
		s.t.Fatalf("sway is not master of the card: %v", got)
	}
}

// clients are the names of the processes that the kernel has for clients of the card,
// and whether each is its master: a table of the driver, which modewatch does not ask.
func (s *seat) clients() map[string]bool {
	s.t.Helper()
	found := map[string]bool{}
	for _, line := range strings.Split(s.sh("cat /sys/kernel/debug/dri/0/clients"), "\n")[1:] {
		if f := strings.Fields(line); len(f) > 3 {
			found[f[0]] = found[f[0]] || f[3] == "y"
		}
	}
	return found
}

// isHeadless wants compute and nobody at the card, and that nothing brings a login on
// the first console back, as it is called by its name or as logind does when somebody
// looks at a free console.
func (s *seat) isHeadless() {
	s.t.Helper()
	if got := s.clients(); len(got) > 0 {
		s.t.Errorf("the card has clients: %v", got)
	}
	s.mode(0, "guard", "check_gpu_display_released")
	s.sh("! systemctl start getty@tty1.service && ! systemctl start autovt@tty1.service")
	if got := s.sh("systemctl is-active compute.target vllm@compute.service getty@tty1.service || true"); got != "active\nactive\ninactive" {
		s.t.Errorf("compute, the model server and the console are\n%s", got)
	}
	if got := s.sh("loginctl list-sessions --no-legend | grep -v manager || true; pgrep -x sway || true"); got != "" {
		s.t.Errorf("somebody is logged in:\n%s", got)
	}
}

// holds wants the guard to name a holder of the card.
func (s *seat) holds(who, unit string) {
	s.t.Helper()
	r := s.mode(11, "guard", "check_gpu_display_released")
	for _, part := range []string{who + " (PID ", unit, "holds /dev/dri/card0"} {
		if !strings.Contains(r.Stdout, part) {
			s.t.Errorf("the guard does not say %q: %s", part, r.Stdout)
		}
	}
}

// A login on the console execs sway, in the session's own scope. In each mode the kernel
// keeps that mode's budgets, and the daemon to its devices in all.
func TestASwayOfTheConsole(t *testing.T) {
	s := newSeat(t, budgets, atTheSeat(execsSway))
	s.sh("systemctl restart getty@tty1.service")
	s.swayIsUp()
	s.holds("sway", "session-1.scope")
	s.keepsDevices()
	s.mode(0, "request", "compute")
	s.isHeadless()
	s.keepsBudgets(fsm.Compute)
	s.mode(0, "request", "desktop")
	s.swayIsUp()
	s.keepsBudgets(fsm.Desktop)
}

// A login on the console has alice's service manager run sway. It is no part of the
// session, nor is what else she runs there, and what does not end when it is told to
// keeps compute away, and is told.
func TestASwayOfTheUserManager(t *testing.T) {
	s := newSeat(t, "", atTheSeat(hasItRun))
	s.sh("systemctl restart getty@tty1.service")
	s.swayIsUp()
	s.holds("sway", "user@1000.service")
	s.sh(`runuser -u alice -- env XDG_RUNTIME_DIR=/run/user/1000 systemd-run --user --quiet --unit=render -p TimeoutStopSec=infinity \
			sh -c 'trap "" TERM HUP; exec 9<>/dev/dri/card0; echo held >/run/up; exec sleep infinity'
		read -r said </run/up`)
	r := s.mode(44, "request", "compute")
	const held = "sleep (PID "
	if !strings.Contains(r.Stdout+r.Stderr, held) {
		t.Errorf("it says %s%s", r.Stdout, r.Stderr)
	}
	a := s.last()
	i := slices.IndexFunc(a.Steps, func(st fsm.StepResult) bool { return st.Op.Verb == fsm.AwaitRelease })
	if i < 0 || a.Steps[i].Result != "timeout" || !strings.Contains(a.Steps[i].Cause, held) || a.Outcome != fsm.Recovered || a.Final != fsm.Desktop {
		t.Errorf("the record is %+v", a)
	}
	if got := s.sh("systemctl show -P ActiveEnterTimestampMonotonic compute.target vllm@compute.service"); strings.Trim(got, "0\n") != "" {
		t.Errorf("compute and the model server were started at %q", got)
	}
	if got := s.clients(); got["sleep"] || len(got) == 0 {
		t.Errorf("the card's clients are %v", got)
	}
	s.sh("pkill -KILL -x sleep")
	s.swayIsUp() // the login waited for the end of alice's service manager
	s.mode(0, "request", "compute")
	s.isHeadless()
	s.mode(0, "request", "desktop")
	s.swayIsUp()
}
