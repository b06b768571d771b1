package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Result is how a command ended: 128 + the signal's number if by a signal.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// environment is all that a command in the machine gets.
var environment = []string{
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"HOME=/root", "USER=root", "LOGNAME=root", "LANG=C.UTF-8", "TERM=dumb", "SYSTEMD_PAGER=",
}

// Run runs a command as root in the machine, outside of every session and service. A
// failing command is not an error; not being able to run it, or ctx (or, where that
// has no deadline, 30 s) ending before it, is. Then the command is killed. What the
// command leaves running must not keep its output open.
func (m *Machine) Run(ctx context.Context, command ...string) (Result, error) {
	return m.run(ctx, "init.scope", command)
}

// RunAs is Run as another user, with the environment of that user's session bus but
// outside of that user's sessions.
func (m *Machine) RunAs(ctx context.Context, user string, command ...string) (Result, error) {
	as, err := m.as(user)
	if err != nil {
		return Result{}, err
	}
	return m.Run(ctx, append(as, command...)...)
}

// RunIn is RunAs inside of a session, as from one of its terminals: logind and polkit
// count the command to that session. What it leaves running ends with the session.
func (m *Machine) RunIn(ctx context.Context, s Session, command ...string) (Result, error) {
	as, err := m.as(s.User)
	if err != nil {
		return Result{}, err
	}
	scope := filepath.Join("user.slice", fmt.Sprintf("user-%d.slice", s.UID), s.Scope)
	return m.run(ctx, scope, append(as, command...))
}

// Must is Run for a command that has to succeed; otherwise it fails the test. It
// returns the command's output without white space at its ends.
func (m *Machine) Must(tb testing.TB, command ...string) string {
	tb.Helper()
	r, err := m.Run(context.Background(), command...)
	if err != nil {
		tb.Fatal(err)
	}
	if r.Code != 0 {
		tb.Fatalf("%q: exit code %d\n%s%s", command, r.Code, r.Stdout, r.Stderr)
	}
	return strings.TrimSpace(r.Stdout)
}

// KillPID sends a signal to a process by its pid inside of the machine.
func (m *Machine) KillPID(ctx context.Context, pid int, signal syscall.Signal) error {
	r, err := m.Run(ctx, "kill", "-"+strconv.Itoa(int(signal)), strconv.Itoa(pid))
	if err == nil && r.Code != 0 {
		err = fmt.Errorf("cannot kill process %d: %s", pid, strings.TrimSpace(r.Stderr))
	}
	return err
}

// Command prepares a command as Run does, for the caller to connect and start. When
// ctx ends, it is killed with its process group.
func (m *Machine) Command(ctx context.Context, command ...string) *exec.Cmd {
	args := append([]string{"-t", strconv.Itoa(m.leader), "-a", "--"}, command...)
	cmd := exec.CommandContext(ctx, "nsenter", args...)
	cmd.Env = environment
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

// StartCommand starts a prepared command in the machine's init.scope. Nothing else
// will do: nspawn's own cgroup is outside of what the container can see, and systemd
// and logind look at the cgroup of who calls them.
func (m *Machine) StartCommand(cmd *exec.Cmd) error {
	return m.startIn(cmd, "init.scope")
}

func (m *Machine) startIn(cmd *exec.Cmd, cgroup string) error {
	dir, err := os.Open(m.cgroup("payload", cgroup))
	if err != nil {
		return fmt.Errorf("cannot enter %s: %w", m.Name, err)
	}
	defer dir.Close()
	cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(dir.Fd())
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot run %q: %w", cmd.Args, err)
	}
	return nil
}

func (m *Machine) run(ctx context.Context, cgroup string, command []string) (Result, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	cmd := m.Command(ctx, command...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := m.startIn(cmd, cgroup); err != nil {
		return Result{}, err
	}
	err := cmd.Wait()
	r := Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: exitCode(cmd.ProcessState)}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return r, fmt.Errorf("cannot finish %q: %w\n%s%s", command, ctx.Err(), r.Stdout, r.Stderr)
	case err != nil && !errors.As(err, &exit):
		return r, fmt.Errorf("cannot finish %q: %w", command, err)
	}
	return r, nil
}

func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

// as is the command line that makes the rest of it run as user.
func (m *Machine) as(user string) ([]string, error) {
	uid, err := m.uid(user)
	if err != nil {
		return nil, err
	}
	return []string{
		"setpriv", "--reuid", user, "--regid", user, "--init-groups", "--reset-env",
		"env", "LANG=C.UTF-8", "SYSTEMD_PAGER=",
		fmt.Sprintf("XDG_RUNTIME_DIR=/run/user/%d", uid),
		fmt.Sprintf("DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/%d/bus", uid),
	}, nil
}

func (m *Machine) uid(user string) (int, error) {
	passwd, err := m.ReadFile("/etc/passwd")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(passwd)) {
		if fields := strings.Split(line, ":"); len(fields) > 3 && fields[0] == user {
			return strconv.Atoi(fields[2])
		}
	}
	return 0, fmt.Errorf("cannot find user %s in %s", user, m.Name)
}
