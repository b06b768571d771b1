// Package vm runs tests of packages on a kernel of their own, in a virtual machine,
// where they need devices that a container cannot have: input devices and sound
// cards. It is imported by tests only.
//
// The machine is a Debian kernel and a file system in memory, in which an init of
// ours runs the static test binaries (init/main.go): it is up in a few seconds,
// emulated as it is, and nothing is left of it. The kernel is cached like the root
// of package lab. Nested virtualisation is not used: it is rarely there, and works
// still more rarely.
package vm

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/modewatch/modewatch/integration/lab"
)

//go:embed kernel.sh
var recipe string

// Need skips the test where no machine can be booted, saying why. With
// MODEWATCH_LAB=require in the environment it fails the test instead.
func Need(tb testing.TB) {
	tb.Helper()
	lab.Require(tb, able())
}

func able() error {
	for _, tool := range []string{"qemu-system-x86_64", "apt-get", "dpkg-deb", "modprobe", "depmod"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("the virtual machine needs %s", tool)
		}
	}
	return nil
}

// Tests are a static test binary and the pattern of those of its tests that run.
type Tests struct{ File, Run string }

// Run boots a machine that runs the tests, given by name, and hands each line of its
// console to heard. It returns when the machine is off, or with an error
// if that is not so before ctx ends.
func Run(ctx context.Context, tests map[string]Tests, heard func(line string)) error {
	dir := os.Getenv("MODEWATCH_VM_CACHE")
	if dir == "" {
		dir = "/var/cache/modewatch-vm"
	}
	kernel, inUse, err := lab.Made(ctx, dir, recipe)
	if err != nil {
		return err
	}
	defer inUse.Close()
	image, err := initramfs(ctx, kernel, tests)
	if err != nil {
		return err
	}
	defer os.Remove(image)
	return boot(ctx, filepath.Join(kernel, "vmlinuz"), image, heard)
}

// boot runs the emulator, which ends with the machine, with ctx, or with us.
func boot(ctx context.Context, kernel, image string, heard func(string)) error {
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "768",
		"-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
		"-kernel", kernel, "-initrd", image, "-append", "console=ttyS0 quiet loglevel=1 mitigations=off panic=-1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = time.Second
	console, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	var complaints strings.Builder
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start the emulator: %w", err)
	}
	whole := read(console, heard)
	switch err := cmd.Wait(); {
	case ctx.Err() != nil:
		return fmt.Errorf("the machine was not off in time: %w", ctx.Err())
	case err != nil:
		return fmt.Errorf("the emulator failed: %w\n%s", err, complaints.String())
	case !whole:
		return errors.New("the machine went off before it had run all")
	}
	return nil
}

// read hands on the console's lines, and tells whether init came to its end.
func read(console io.Reader, heard func(string)) (whole bool) {
	for lines := bufio.NewScanner(console); lines.Scan(); {
		line := strings.TrimRight(lines.Text(), "\r")
		whole = whole || line == "init: all was run"
		heard(line)
	}
	return whole
}
