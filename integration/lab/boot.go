package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// bootTime bounds a boot; an idle host needs a fiftieth of it.
const bootTime = 60 * time.Second

// launch runs in the keeper's mount namespace and already in the machine's v2
// cgroup. It joins the other hierarchies and becomes nspawn.
const launch = `for procs in $LAB_JOIN; do echo $$ >"$procs" || exit; done; unset LAB_JOIN; exec systemd-nspawn "$@"`

// boot starts the container and waits until its manager says that it is running.
func (m *Machine) boot(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bootTime)
	defer cancel()
	socket := filepath.Join(m.dir(), "notify")
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("cannot listen to %s: %w", m.Name, err)
	}
	defer os.Remove(socket)
	defer notify.Close()
	if err := m.launch(socket); err != nil {
		return err
	}
	if err := m.awaitReady(ctx, notify); err != nil {
		return fmt.Errorf("cannot boot %s: %w\n%s", m.Name, err, m.console())
	}
	return m.awaitRunning(ctx)
}

// launch starts nspawn and closes m.ended at its end.
func (m *Machine) launch(socket string) error {
	console, err := os.OpenFile(filepath.Join(m.dir(), "console.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("cannot keep the console of %s: %w", m.Name, err)
	}
	defer console.Close()
	own, err := os.Open(m.cgroup())
	if err != nil {
		return fmt.Errorf("cannot enter the cgroup of %s: %w", m.Name, err)
	}
	defer own.Close()
	keeper := strconv.Itoa(m.keeper.cmd.Process.Pid)
	args := append([]string{"-t", keeper, "-m", "--", "sh", "-c", launch, "nspawn"}, m.nspawnArgs()...)
	cmd := exec.Command("nsenter", args...)
	cmd.Env = append(os.Environ(), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1", "SYSTEMD_NSPAWN_LOCK=0",
		"NOTIFY_SOCKET="+socket, "LAB_JOIN="+m.join())
	cmd.Stdout, cmd.Stderr = console, console
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, UseCgroupFD: true, CgroupFD: int(own.Fd())}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start the container %s: %w", m.Name, err)
	}
	ended := make(chan struct{})
	m.ended = ended
	go func() {
		m.ending = cmd.Wait()
		close(ended)
	}()
	return nil
}

func (m *Machine) nspawnArgs() []string {
	args := []string{
		"--quiet", "--boot", "--directory=" + filepath.Join(m.dir(), "m", "root"), "--machine=" + m.Name,
		"--hostname=lab", "--register=no", "--keep-unit", "--private-network", "--notify-ready=yes",
		"--console=pipe", "--resolv-conf=off", "--timezone=off", "--link-journal=no",
		"--system-call-filter=fanotify_init fanotify_mark", // hosts let anybody listen in folders, nspawn does not
	}
	for _, bind := range m.options.Binds {
		args = append(args, "--bind="+bind)
	}
	return args
}

// join lists the cgroup.procs files of the hierarchies besides v2.
func (m *Machine) join() string {
	var files []string
	for _, top := range m.trees.all {
		if top != m.trees.one {
			files = append(files, filepath.Join(top, m.Name, "cgroup.procs"))
		}
	}
	return strings.Join(files, " ")
}

// awaitReady reads what nspawn tells its service manager: first the pid of the
// container's PID 1, then, once the system in it is up, that it is ready.
func (m *Machine) awaitReady(ctx context.Context, notify *net.UnixConn) error {
	ended := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { _ = notify.SetReadDeadline(time.Now()) })
	defer stop()
	go func() { ended <- m.readNotify(notify) }()
	select {
	case err := <-ended:
		return errors.Join(err, ctx.Err())
	case <-m.ended:
		return fmt.Errorf("nspawn ended: %w", m.ending)
	}
}

func (m *Machine) readNotify(notify *net.UnixConn) error {
	message := make([]byte, 4096)
	for {
		n, err := notify.Read(message)
		if err != nil {
			return fmt.Errorf("cannot read from nspawn: %w", err)
		}
		for line := range strings.Lines(string(message[:n])) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			switch {
			case key == "X_NSPAWN_LEADER_PID":
				if m.leader, err = strconv.Atoi(value); err != nil {
					return fmt.Errorf("cannot read the leader's pid: %w", err)
				}
			case key == "READY" && value == "1" && m.leader != 0:
				return nil
			}
		}
	}
}

// awaitRunning makes sure that no unit failed.
func (m *Machine) awaitRunning(ctx context.Context) error {
	r, err := m.Run(ctx, "systemctl", "is-system-running", "--wait")
	if err != nil {
		return err
	}
	state := strings.TrimSpace(r.Stdout)
	if state == "running" || state == "degraded" && m.options.Degraded {
		return nil
	}
	failed, err := m.Run(ctx, "systemctl", "--failed", "--no-legend", "--plain")
	return errors.Join(fmt.Errorf("cannot boot %s clean: the system is %s: %s", m.Name, state, failed.Stdout), err)
}

// shutdown asks PID 1 to power off and waits until the container has ended.
func (m *Machine) shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bootTime)
	defer cancel()
	powerOff := syscall.Signal(34 + 4) // SIGRTMIN+4, see systemd(1)
	if err := unix.Kill(m.leader, powerOff); err != nil {
		return fmt.Errorf("cannot shut %s down: %w", m.Name, err)
	}
	return m.awaitEnd(ctx)
}

// kill ends every process of the container in one moment, as a loss of power does:
// all are frozen, and die with their PID 1. (Not by cgroup.kill: kernels of 2025
// kill whatever is then started into that cgroup.)
func (m *Machine) kill(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bootTime)
	defer cancel()
	err := errors.Join(m.freeze(ctx, true), unix.Kill(m.leader, unix.SIGKILL))
	if err == nil {
		err = WaitFor(ctx, "the end of PID 1", func() bool { return dead(m.leader) })
	}
	if err = errors.Join(err, m.freeze(ctx, false)); err != nil {
		return fmt.Errorf("cannot kill %s: %w", m.Name, err)
	}
	return m.awaitEnd(ctx)
}

// freeze halts all processes of the container, or lets them go on.
func (m *Machine) freeze(ctx context.Context, on bool) error {
	word := map[bool]string{true: "1", false: "0"}[on]
	if err := os.WriteFile(m.cgroup("cgroup.freeze"), []byte(word), 0); err != nil {
		return err
	}
	return WaitFor(ctx, "the freezer", func() bool {
		events, err := os.ReadFile(m.cgroup("cgroup.events"))
		return err == nil && strings.Contains(string(events), "frozen "+word)
	})
}

// dead tells whether a process has ended, whether it is reaped yet or not.
func dead(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "Z") || strings.HasPrefix(rest, "X")
}

// awaitEnd waits for nspawn and for the last process of the container.
func (m *Machine) awaitEnd(ctx context.Context) error {
	m.leader = 0
	select {
	case <-m.ended:
	case <-ctx.Done():
		return fmt.Errorf("cannot see %s end: %w\n%s", m.Name, ctx.Err(), m.console())
	}
	err := WaitFor(ctx, "the last process of "+m.Name+" to end", func() bool {
		events, err := os.ReadFile(m.cgroup("cgroup.events"))
		return err == nil && strings.Contains(string(events), "populated 0")
	})
	// Where /run is on a disk, nspawn does not dare to remove this.
	if gone := os.Remove("/run/systemd/nspawn/propagate/" + m.Name); !errors.Is(gone, os.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}

// console is the end of what the system printed while it booted.
func (m *Machine) console() string {
	text, err := os.ReadFile(filepath.Join(m.dir(), "console.log"))
	if err != nil {
		return err.Error()
	}
	return tail(string(text), 30)
}
