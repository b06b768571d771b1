package lab

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
)

// Card is the stand-in for the first GPU's display node: a plain file of that name,
// as no container has the device. Who holds it is seen in /proc/PID/fd alike.
const Card = "/dev/dri/card0"

// Sway says how a graphical session differs from the ordinary one, in which sway
// draws to no screen, inside of a logind session on seat0, and holds Card open.
type Sway struct {
	// Nodes are held open instead of Card; made as plain files where missing.
	Nodes []string
	// NoGPU leaves every node alone.
	NoGPU bool
	// Stubborn adds a process to the session that ignores TERM, HUP and INT, and
	// holds the nodes too. Only SIGKILL ends it.
	Stubborn bool
}

// StartSway logs a user in to a session of type wayland, by lab-sway@USER.service,
// and returns when sway answers. The service ends with the session.
func (m *Machine) StartSway(ctx context.Context, user string, o Sway) (Session, error) {
	return m.login(ctx, "lab-sway@"+user+".service", user, "wayland", o)
}

// StartSwayFromTTY logs a user in to a session of type tty, by lab-tty@USER.service,
// in which the login shell starts sway: what logind knows says nothing of graphics.
func (m *Machine) StartSwayFromTTY(ctx context.Context, user string, o Sway) (Session, error) {
	return m.login(ctx, "lab-tty@"+user+".service", user, "tty", o)
}

//go:embed display-manager.service
var displayManager string

// StartDisplayManager makes lab-dm.service the host's display-manager.service and
// starts it: it logs the user in to a session of type wayland, and in again one
// second after each end of that session. Its unit file is where a package's would be.
func (m *Machine) StartDisplayManager(ctx context.Context, user string, o Sway) (Session, error) {
	const unit = "lab-dm.service"
	if err := m.WriteFile("/usr/lib/systemd/system/"+unit, strings.ReplaceAll(displayManager, "USER", user)); err != nil {
		return Session{}, err
	}
	if err := m.systemctl(ctx, "enable", "--quiet", unit); err != nil {
		return Session{}, err
	}
	return m.login(ctx, unit, user, "wayland", o)
}

// login starts a stand-in login and waits until it is whole.
func (m *Machine) login(ctx context.Context, unit, user, kind string, o Sway) (Session, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	nodes := o.Nodes
	if len(nodes) == 0 && !o.NoGPU {
		nodes = []string{Card}
	}
	for _, node := range nodes {
		if err := m.MakeNode(ctx, node); err != nil {
			return Session{}, err
		}
	}
	env := "LAB_NODES=\"" + strings.Join(nodes, " ") + "\"\n"
	if o.Stubborn {
		env += "LAB_STUBBORN=1\n"
	}
	if err := m.WriteFile("/run/lab/sway-"+user+".env", env); err != nil {
		return Session{}, err
	}
	before, err := m.Sessions(ctx)
	if err != nil {
		return Session{}, err
	}
	if err := m.StartUnit(ctx, unit); err != nil {
		return Session{}, err
	}
	return m.awaitLogin(ctx, user, kind, before)
}

// awaitLogin waits for a session that was not there before, and for sway in it.
func (m *Machine) awaitLogin(ctx context.Context, user, kind string, before []Session) (Session, error) {
	known := map[string]bool{}
	for _, s := range before {
		known[s.ID] = true
	}
	var found Session
	err := WaitFor(ctx, fmt.Sprintf("a new %s session of %s with sway in it", kind, user), func() bool {
		sessions, err := m.Sessions(ctx)
		if err != nil {
			return false
		}
		for _, s := range sessions {
			if s.User == user && s.Type == kind && s.Class == "user" && !known[s.ID] {
				found = s
				return m.swayAnswers(ctx, s)
			}
		}
		return false
	})
	return found, err
}

// swayAnswers asks the sway in a session for its version, over its own socket.
func (m *Machine) swayAnswers(ctx context.Context, s Session) bool {
	const ask = `for pid in $(cat "/sys/fs/cgroup/user.slice/user-$1.slice/$2/cgroup.procs"); do
	[ "$(cat /proc/$pid/comm)" = sway ] || continue
	exec swaymsg -q -s "/run/user/$1/sway-ipc.$1.$pid.sock" -t get_version
done
exit 1`
	r, err := m.Run(ctx, "sh", "-c", ask, "sh", fmt.Sprint(s.UID), s.Scope)
	return err == nil && r.Code == 0
}

// MakeNode makes a plain file that stands for a device node and that all may open.
func (m *Machine) MakeNode(ctx context.Context, node string) error {
	const make = `[ -e "$1" ] || { mkdir -p "${1%/*}" && : >"$1" && chmod 0666 "$1"; }`
	r, err := m.Run(ctx, "sh", "-c", make, "sh", node)
	if err == nil && r.Code != 0 {
		err = fmt.Errorf("cannot make the node %s: %s", node, strings.TrimSpace(r.Stderr))
	}
	return err
}

// Holders are the pids, as in the machine, of the processes that have a path open.
func (m *Machine) Holders(ctx context.Context, path string) ([]int, error) {
	r, err := m.Run(ctx, "find", "/proc", "-maxdepth", "3", "-path", "/proc/[0-9]*/fd/*", "-lname", path, "-printf", "%h\\n")
	if err != nil {
		return nil, err
	}
	var pids []int
	seen := map[int]bool{}
	for line := range strings.Lines(r.Stdout) {
		var pid int
		if _, err := fmt.Sscanf(line, "/proc/%d/fd", &pid); err != nil {
			return nil, fmt.Errorf("cannot read %q: %w", line, err)
		}
		if !seen[pid] {
			seen[pid], pids = true, append(pids, pid)
		}
	}
	return pids, nil
}
