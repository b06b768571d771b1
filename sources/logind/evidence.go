package logind

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/modewatch/modewatch/fsm"
)

// evidence marks the sessions that are graphical and says why (D3): by their
// type, or because the user runs a compositor or holds a DRM card node, as who
// starts Hyprland from a console does. A compositor that the user's own manager
// runs is laid to the user's newest session.
func (l *Logind) evidence(sessions []fsm.Session) error {
	looked := map[int]bool{}
	for i := range sessions {
		s := &sessions[i]
		if t := s.Type; t == "wayland" || t == "x11" || t == "mir" {
			s.Graphical, s.Why = true, "type "+t
		}
	}
	for _, s := range sessions {
		if s.Class != "user" || s.Graphical || looked[s.UID] {
			continue // processes can only show that another session is graphical as well
		}
		looked[s.UID] = true
		if err := l.lookAt(s.UID, sessions); err != nil {
			return fmt.Errorf("cannot look at the processes of %s: %w", s.User, err)
		}
	}
	return nil
}

// lookAt looks for compositors among the processes of one user's slice.
func (l *Logind) lookAt(uid int, sessions []fsm.Session) error {
	pids, err := l.procs.ofUser(uid)
	if err != nil {
		return err
	}
	for _, p := range pids {
		why, err := l.procs.graphical(p.pid, l.policy)
		if err != nil {
			return err
		}
		if why == "" {
			continue
		}
		if s := owner(sessions, uid, p.scope); s != nil && !s.Graphical {
			s.Graphical, s.Why = true, why
		}
	}
	return nil
}

// owner returns the session that a process of a user belongs to: that of its
// scope, else one of the user's that is graphical already, else the newest.
func owner(sessions []fsm.Session, uid int, scope string) *fsm.Session {
	var newest *fsm.Session
	for i := range sessions {
		s := &sessions[i]
		switch {
		case s.UID != uid || s.Class != "user":
			continue
		case s.Scope == scope:
			return s
		case s.Graphical && (newest == nil || !newest.Graphical), newest == nil,
			s.Graphical == newest.Graphical && s.Since.After(newest.Since):
			newest = s
		}
	}
	return newest
}

// procs reads processes from /proc and the cgroup tree.
type procs struct{ root, cgroups string }

// cgroupRoot is where the unified hierarchy is mounted.
func cgroupRoot() string {
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		return "/sys/fs/cgroup"
	}
	return "/sys/fs/cgroup/unified"
}

type proc struct {
	pid   int
	scope string // the session scope it is in, or ""
}

// ofUser lists the processes below a user's slice.
func (p procs) ofUser(uid int) ([]proc, error) {
	slice := filepath.Join(p.cgroups, "user.slice", fmt.Sprintf("user-%d.slice", uid))
	var out []proc
	err := filepath.WalkDir(slice, func(dir string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it went while we walked
		}
		if err != nil || !d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if err != nil {
			if gone(err) || errors.Is(err, syscall.EOPNOTSUPP) {
				return nil
			}
			return err
		}
		for _, f := range bytes.Fields(data) {
			if pid, err := strconv.Atoi(string(f)); err == nil && pid > 0 {
				out = append(out, proc{pid, scopeOf(dir)})
			}
		}
		return nil
	})
	return out, err
}

func scopeOf(dir string) string {
	for part := range strings.SplitSeq(dir, "/") {
		if strings.HasPrefix(part, "session-") && strings.HasSuffix(part, ".scope") {
			return part
		}
	}
	return ""
}

// graphical says why a process makes its session graphical, or "".
func (p procs) graphical(pid int, policy fsm.Policy) (string, error) {
	dir := filepath.Join(p.root, strconv.Itoa(pid))
	comm, err := os.ReadFile(filepath.Join(dir, "comm"))
	if err != nil {
		return "", vanished(err)
	}
	name := strings.TrimSpace(string(comm))
	if exe, err := os.Readlink(filepath.Join(dir, "exe")); err == nil {
		name = filepath.Base(strings.TrimSuffix(exe, " (deleted)"))
	}
	if slices.Contains(policy.Sessions.Compositors, name) || slices.Contains(policy.Sessions.Compositors, strings.TrimSpace(string(comm))) {
		return fmt.Sprintf("%s (PID %d) runs", name, pid), nil
	}
	node, err := p.card(dir, policy.GPU.Display)
	if err != nil || node == "" {
		return "", err
	}
	return fmt.Sprintf("%s (PID %d) holds %s", name, pid, node), nil
}

// card returns the DRM card node of the display GPU that a process holds.
func (p procs) card(dir string, patterns []string) (string, error) {
	fds, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		return "", vanished(err)
	}
	for _, fd := range fds {
		to, err := os.Readlink(filepath.Join(dir, "fd", fd.Name()))
		if err != nil || !strings.HasPrefix(to, "/dev/dri/card") {
			continue
		}
		for _, pattern := range patterns {
			if ok, _ := path.Match(pattern, to); ok {
				return to, nil
			}
		}
	}
	return "", nil
}

// vanished drops the error of a process that ended while it was looked at.
func vanished(err error) error {
	if gone(err) {
		return nil
	}
	return err
}

func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) || errors.Is(err, syscall.ENODEV)
}
