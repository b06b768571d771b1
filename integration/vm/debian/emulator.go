package debian

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// emulator is a running qemu.
type emulator struct {
	cmd   *exec.Cmd
	qmp   *monitor
	agent *agent
	ended chan struct{} // closed when it has ended
}

// emulate starts qemu with the disk and the saved state in an overlay; state "" boots.
func emulate(ctx context.Context, image, overlay, accel, state string) (*emulator, error) {
	port, portEnd, err := pair()
	if err != nil {
		return nil, err
	}
	talk, talkEnd, err := pair()
	if err != nil {
		return nil, errors.Join(err, port.Close(), portEnd.Close())
	}
	cmd := exec.Command("qemu-system-x86_64", arguments(image, overlay, accel, state)...)
	cmd.ExtraFiles = []*os.File{portEnd, talkEnd} // 3 and 4 there
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	e := &emulator{cmd: cmd, ended: make(chan struct{})}
	err = e.start()
	// Only qemu may hold these, so that its death is the end of what we read.
	if err := errors.Join(err, portEnd.Close(), talkEnd.Close()); err != nil {
		return nil, errors.Join(err, port.Close(), talk.Close())
	}
	e.agent = openAgent(port)
	if e.qmp, err = openMonitor(ctx, talk); err != nil {
		e.kill()
		return nil, err
	}
	return e, nil
}

func arguments(image, overlay, accel, state string) []string {
	cpu := map[string]string{"tcg": "max", "kvm": "host"}[accel]
	if accel == "tcg" {
		accel = "tcg,thread=multi,tb-size=512"
	}
	args := []string{
		"-accel", accel, "-cpu", cpu, "-smp", "2", "-m", "1024",
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-serial", "file:" + overlay + ".console",
		"-kernel", filepath.Join(image, "vmlinuz"), "-initrd", filepath.Join(image, "initrd.img"),
		"-append", "root=/dev/vda rw console=ttyS0 quiet mitigations=off nokaslr selinux=0 apparmor=0 audit=0",
		"-drive", "file=" + overlay + ",format=qcow2,if=none,id=disk", "-device", "virtio-blk-pci,drive=disk",
		"-drive", "file=" + filepath.Join(image, "agent.tar") + ",format=raw,if=none,id=hands,readonly=on",
		"-device", "virtio-blk-pci,drive=hands",
		"-device", "virtio-serial-pci", "-chardev", "socket,id=agent,fd=3",
		"-device", "virtserialport,chardev=agent,name=agent",
		"-chardev", "socket,id=qmp,fd=4", "-mon", "chardev=qmp,mode=control",
		"-device", "virtio-gpu-pci", "-device", "virtio-keyboard-pci", "-device", "virtio-mouse-pci",
	}
	if state != "" {
		args = append(args, "-loadvm", state)
	}
	return args
}

// start starts qemu on a thread that lives as long as it does: Pdeathsig counts the
// thread, not the process, as the parent.
func (e *emulator) start() error {
	var complaints strings.Builder
	e.cmd.Stderr = &complaints
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := e.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		if e.cmd.Wait() != nil && complaints.Len() > 0 {
			fmt.Fprintln(os.Stderr, "qemu:", strings.TrimSpace(complaints.String()))
		}
		close(e.ended)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("cannot start the emulator: %w", err)
	}
	return nil
}

// kill ends qemu at once, and returns when it and what listened to it have ended.
func (e *emulator) kill() {
	select {
	case <-e.ended:
	default:
		_ = unix.Kill(-e.cmd.Process.Pid, unix.SIGKILL)
		<-e.ended
	}
	_ = e.agent.conn.Close()
	<-e.agent.gone
	if e.qmp != nil {
		_ = e.qmp.conn.Close()
	}
}

// pair is two connected sockets, the second for a child.
func pair() (net.Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make a pair of sockets: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	conn, err := net.FileConn(ours)
	_ = ours.Close()
	if err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	return conn, theirs, nil
}

// startTime bounds a boot by emulation on two busy CPUs.
const startTime = 3 * time.Minute
