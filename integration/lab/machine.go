package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Options says what a machine is made of, over the common root.
type Options struct {
	// Install are directories laid over the root one after another, such as a
	// DESTDIR that make install filled, or what Standins returned. Files keep
	// their modes; directories are 0755, and root owns all of it.
	Install []string
	// Files maps absolute paths to content, written after Install with mode 0644,
	// or 0755 where the content begins with "#!".
	Files map[string]string
	// Enable are units to enable by systemctl before the first boot.
	Enable []string
	// Binds are given to nspawn's --bind: HOSTPATH[:PATH[:OPTIONS]].
	Binds []string
	// Degraded accepts a boot in which units failed.
	Degraded bool
}

// Machine is one container. Its methods may be used by several goroutines, but for
// Reboot, Crash and Stop.
type Machine struct {
	// Name is the container's name on the host.
	Name string

	trees   cgroups
	keeper  *keeper
	options Options
	leader  int
	ended   chan struct{} // closed when nspawn has ended
	ending  error         // how it ended, once closed
}

// Boot starts a machine for one test and waits until it is up. It skips or fails the
// test as Need does, and fails it where the machine does not come up clean or cannot
// be removed. The machine ends with the test.
func Boot(tb testing.TB, o Options) *Machine {
	tb.Helper()
	Need(tb)
	m, err := Start(context.Background(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			m.report(tb)
		}
		if err := m.Stop(); err != nil {
			tb.Error(err)
		}
	})
	return m
}

// Start is Boot outside a test. The caller stops the machine; a caller that dies
// without doing so leaves nothing behind all the same.
func Start(ctx context.Context, o Options) (*Machine, error) {
	if err := sweep(); err != nil {
		return nil, err
	}
	m, err := prepare(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := m.boot(ctx); err != nil {
		return nil, errors.Join(err, m.Stop())
	}
	return m, nil
}

// prepare makes a machine's disk.
func prepare(ctx context.Context, o Options) (*Machine, error) {
	trees, err := hierarchies()
	if err != nil {
		return nil, err
	}
	root, inUse, err := theCache().use(ctx)
	if err != nil {
		return nil, err
	}
	defer inUse.Close()
	name, err := newName()
	if err != nil {
		return nil, err
	}
	k, err := keep(name, root, inUse, trees)
	if err != nil {
		return nil, err
	}
	m := &Machine{Name: name, trees: trees, keeper: k, options: o}
	if err := m.furnish(ctx); err != nil {
		return nil, errors.Join(err, m.Stop())
	}
	return m, nil
}

// Stop ends the machine at once, as by pulling the plug, and removes it from the host.
// A second call does nothing.
func (m *Machine) Stop() error {
	err := m.keeper.free()
	if m.ended != nil && err == nil {
		<-m.ended // killed by the keeper
	}
	return err
}

// Reboot shuts the system down in the ordinary way and boots it again on the same
// disk. What was in /run and /tmp is gone, and the boot id is a new one.
func (m *Machine) Reboot(ctx context.Context) error {
	if err := m.shutdown(ctx); err != nil {
		return err
	}
	return m.boot(ctx)
}

// Crash kills everything in the machine at once and boots it again on the same disk.
func (m *Machine) Crash(ctx context.Context) error {
	if err := m.kill(ctx); err != nil {
		return err
	}
	return m.boot(ctx)
}

// LeaderPID is the host's pid of the machine's PID 1. It changes with each boot.
func (m *Machine) LeaderPID() int { return m.leader }

// dir is the machine's directory on the host.
func (m *Machine) dir() string { return filepath.Join(home, m.Name) }

// cgroup is the machine's own cgroup in the v2 tree, or one below it.
func (m *Machine) cgroup(below ...string) string {
	return filepath.Join(append([]string{m.trees.one, m.Name}, below...)...)
}

// report shows the end of a failed test's machine, and saves its whole journal where
// MODEWATCH_LAB_LOGS says.
func (m *Machine) report(tb testing.TB) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	r, err := m.Run(ctx, "journalctl", "--no-pager", "-o", "short-monotonic", "-n", "80")
	tb.Logf("end of the journal of %s (%v):\n%s", m.Name, err, r.Stdout)
	dir := os.Getenv("MODEWATCH_LAB_LOGS")
	if dir == "" {
		return
	}
	r, err = m.Run(ctx, "journalctl", "--no-pager", "-o", "export")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s.%s.journal", fileName(tb.Name()), m.Name)), []byte(r.Stdout), 0o644)
	}
	if err != nil {
		tb.Logf("cannot save the journal: %v", err)
	}
}

func fileName(test string) string {
	name := []rune(test)
	for i, c := range name {
		if c == '/' || c == ' ' {
			name[i] = '_'
		}
	}
	return string(name)
}
