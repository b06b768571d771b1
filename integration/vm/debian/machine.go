package debian

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/integration/lab"
	"github.com/modewatch/modewatch/integration/vm/debian/wire"
)

// Options says what a machine has over the common disk.
type Options struct {
	// Install are directories whose files are laid over the machine's, in this order.
	Install []string
	// Files maps absolute paths to content, mode 0644, or 0755 where it begins with "#!".
	Files map[string]string
}

// Machine is one virtual machine. Several goroutines may use it.
type Machine struct{ emulator *emulator }

// Result is how a command ended: 128 + the signal's number if by a signal.
type Result struct {
	Code           int
	Stdout, Stderr string
}

// Need skips the test where no machine can be booted, saying why. With
// MODEWATCH_LAB=require in the environment it fails the test instead.
func Need(tb testing.TB) {
	tb.Helper()
	lab.Need(tb)
	for _, tool := range []string{"qemu-system-x86_64", "qemu-img", "mkfs.ext4"} {
		if _, err := exec.LookPath(tool); err != nil {
			lab.Require(tb, fmt.Errorf("the virtual machine needs %s", tool))
		}
	}
}

// Boot goes on from the saved state, for one test, and ends the machine with it.
func Boot(tb testing.TB, o Options) *Machine {
	tb.Helper()
	Need(tb)
	dir := tb.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute) // the first makes the disk
	defer cancel()
	m, err := restore(ctx, dir)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(m.emulator.kill)
	ctx, cancel = context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := m.furnish(ctx, o); err != nil {
		tb.Fatal(err)
	}
	return m
}

func restore(ctx context.Context, dir string) (*Machine, error) {
	image, inUse, err := image(ctx)
	if err != nil {
		return nil, err
	}
	defer inUse.Close()
	state, accel, err := saved(ctx, image)
	if err != nil {
		return nil, err
	}
	defer state.Close()
	overlay := filepath.Join(dir, "disk.qcow2")
	copying := exec.CommandContext(ctx, "cp", "--reflink=auto", "/proc/self/fd/0", overlay)
	copying.Stdin = state
	if out, err := copying.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cannot copy the saved state: %w\n%s", err, out)
	}
	e, err := emulate(ctx, image, overlay, accel, "up")
	if err != nil {
		return nil, err
	}
	if _, err := e.agent.ask(ctx, wire.Request{Op: wire.Clock, Now: time.Now()}, nil); err != nil {
		e.kill()
		return nil, fmt.Errorf("cannot set the machine's clock: %w", err)
	}
	return &Machine{e}, nil
}

func (m *Machine) furnish(ctx context.Context, o Options) error {
	for _, dir := range o.Install {
		if err := m.install(ctx, dir); err != nil {
			return err
		}
	}
	for path, text := range o.Files {
		mode := fs.FileMode(0o644)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		if err := m.put(ctx, []byte(text), path, mode); err != nil {
			return err
		}
	}
	return nil
}

// install carries a directory over as one archive.
func (m *Machine) install(ctx context.Context, dir string) error {
	const at = "/opt/lab/install.tar"
	archive, err := exec.CommandContext(ctx, "tar", "-C", dir, "--owner=0", "--group=0", "-cf", "-", ".").Output()
	if err != nil {
		return fmt.Errorf("cannot pack %s: %w", dir, err)
	}
	if err := m.put(ctx, archive, at, 0o600); err != nil {
		return err
	}
	r, err := m.Run(ctx, "tar", "-C", "/", "--keep-directory-symlink", "--no-overwrite-dir", "-xf", at)
	if err == nil && r.Code != 0 {
		err = errors.New(r.Stderr)
	}
	if err != nil {
		return fmt.Errorf("cannot install %s: %w", dir, err)
	}
	return nil
}

// Run runs a command as root, as a child of the agent. A command that fails is not an
// error; not being able to run it is, and ctx (30 s where it has no deadline) ending
// before it: then it is killed with its group.
func (m *Machine) Run(ctx context.Context, command ...string) (Result, error) {
	limit := 30 * time.Second
	if end, ok := ctx.Deadline(); ok {
		limit = time.Until(end)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit+5*time.Second)
	defer cancel()
	a, err := m.emulator.agent.ask(ctx, wire.Request{Op: wire.Run, Argv: command, Limit: limit}, nil)
	r := Result{Code: a.Code, Stdout: string(a.body[:a.Out]), Stderr: string(a.body[a.Out:])}
	if err != nil {
		return r, fmt.Errorf("cannot run %q: %w\n%s%s", command, err, r.Stdout, r.Stderr)
	}
	return r, nil
}

// Must is Run for a command that has to succeed. It returns its trimmed output.
func (m *Machine) Must(tb testing.TB, command ...string) string {
	tb.Helper()
	r, err := m.Run(context.Background(), command...)
	if err != nil || r.Code != 0 {
		tb.Fatalf("%q: %v, exit code %d\n%s%s", command, err, r.Code, r.Stdout, r.Stderr)
	}
	return strings.TrimSpace(r.Stdout)
}

// Put copies a file of the host, with its mode, into the machine.
func (m *Machine) Put(ctx context.Context, from, to string) error {
	fi, err := os.Stat(from)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return m.put(ctx, data, to, fi.Mode().Perm())
}

func (m *Machine) put(ctx context.Context, data []byte, to string, mode fs.FileMode) error {
	q := wire.Request{Op: wire.Put, Path: to, Mode: uint32(mode)}
	if _, err := m.emulator.agent.ask(ctx, q, data); err != nil {
		return fmt.Errorf("cannot put %s into the machine: %w", to, err)
	}
	return nil
}

// QMP runs a command of the emulator, and reads what it returns into result unless
// that is nil.
func (m *Machine) QMP(ctx context.Context, command string, args, result any) error {
	return m.emulator.qmp.do(ctx, command, args, result)
}
