// Package bustest runs a real message bus for tests of the sources.
package bustest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// Daemon is a dbus-daemon of the test's own on Socket. It may be started and
// stopped more than once.
type Daemon struct {
	Socket string

	t   testing.TB
	cmd *exec.Cmd
}

const config = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth><servicedir>%s</servicedir>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`

// New returns a bus that does not run yet, in a folder of its own.
func New(t testing.TB) *Daemon {
	t.Helper()
	dir, err := os.MkdirTemp("", "bus") // t.TempDir has signs that an address must escape
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return &Daemon{t: t, Socket: filepath.Join(dir, "bus")}
}

// Start returns once the bus answers. The test is skipped where there is no
// dbus-daemon.
func (d *Daemon) Start() {
	d.t.Helper()
	if _, err := exec.LookPath("dbus-daemon"); err != nil {
		d.t.Skip("SKIP-REASON: dbus-daemon is not installed: ", err)
	}
	dir := filepath.Dir(d.Socket)
	file := filepath.Join(dir, "bus.conf")
	d.Must(os.WriteFile(file, fmt.Appendf(nil, config, d.Socket, dir), 0o600))
	cmd := exec.Command("dbus-daemon", "--nofork", "--print-address", "--config-file="+file)
	ready, err := cmd.StdoutPipe()
	d.Must(err)
	d.Must(cmd.Start())
	d.cmd = cmd
	d.t.Cleanup(d.Stop)
	if _, err := ready.Read(make([]byte, 1)); err != nil {
		d.t.Fatal("the bus does not start: ", err)
	}
}

// Stop kills the bus, if it runs.
func (d *Daemon) Stop() {
	if d.cmd != nil {
		_ = d.cmd.Process.Kill()
		_ = d.cmd.Wait() // killed
		_ = os.Remove(d.Socket)
		d.cmd = nil
	}
}

// Runs tells whether the bus was started and not stopped.
func (d *Daemon) Runs() bool { return d.cmd != nil }

// Stranger is a connection of somebody else, until the test ends.
func (d *Daemon) Stranger() *dbus.Conn {
	d.t.Helper()
	conn, err := dbus.Connect("unix:path=" + d.Socket)
	d.Must(err)
	d.t.Cleanup(func() { conn.Close() })
	return conn
}

// Must ends the test on an error.
func (d *Daemon) Must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// Run has run run until the test ends, and end then without an error.
func Run(t testing.TB, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := Within(t, ended, "the end of Run"); err != nil {
			t.Error(err)
		}
	})
}

// Within receives what must come.
func Within[T any](t testing.TB, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("%s: nothing after %v", what, patience)
	}
	return v
}
