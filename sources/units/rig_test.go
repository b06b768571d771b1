package units

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sources/bus"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// daemon is a real message bus of the test's own. It listens at one place and is
// found at another, so that the fake manager can be there first.
type daemon struct {
	t      *testing.T
	socket string
	cmd    *exec.Cmd
}

const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`

// start starts the bus with the fake manager on it, and lets it be found.
func (d *daemon) start(f *fake) {
	d.t.Helper()
	config := filepath.Join(filepath.Dir(d.socket), "bus.conf")
	d.must(os.WriteFile(config, fmt.Appendf(nil, busConfig, d.socket), 0o600))
	cmd := exec.Command("dbus-daemon", "--nofork", "--print-address", "--config-file="+config)
	ready, err := cmd.StdoutPipe()
	d.must(err)
	d.must(cmd.Start())
	d.cmd = cmd
	d.t.Cleanup(d.stop)
	if _, err := ready.Read(make([]byte, 1)); err != nil {
		d.t.Fatal("the bus does not start: ", err)
	}
	conn, err := dbus.Connect("unix:path=" + d.socket)
	d.must(err)
	d.t.Cleanup(func() { conn.Close() })
	f.export(d, conn)
	d.must(os.Symlink(d.socket, d.socket+"-found"))
}

// stop ends the bus, if it runs.
func (d *daemon) stop() {
	if d.cmd != nil {
		_ = os.Remove(d.socket + "-found")
		_ = d.cmd.Process.Kill()
		_ = d.cmd.Wait() // killed
		d.cmd = nil
	}
}

func (d *daemon) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// launch starts a bus with a fake manager that has some units.
func launch(t *testing.T, units ...unit) (*daemon, *fake) {
	t.Helper()
	if _, err := exec.LookPath("dbus-daemon"); err != nil {
		t.Skip("SKIP-REASON: dbus-daemon is not installed: ", err)
	}
	dir, err := os.MkdirTemp("", "bus") // t.TempDir has signs that an address must escape
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	d := &daemon{t: t, socket: filepath.Join(dir, "bus")}
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+d.socket+"-found")
	f := newFake(t, units...)
	d.start(f)
	return d, f
}

// lazy returns a source without Run.
func lazy(t *testing.T, names ...string) *Systemd {
	t.Helper()
	b := &bus.Bus{}
	t.Cleanup(b.Close)
	return New(b, names, []string{"nixos-rebuild-*.service"}, func(fsm.Subject) { t.Error("a hint without Run") })
}

// watch runs a source, and tells its hints.
func watch(t *testing.T, names ...string) (*Systemd, <-chan fsm.Subject) {
	t.Helper()
	hints := make(chan fsm.Subject, 1000)
	b := &bus.Bus{}
	s := New(b, names, nil, func(about fsm.Subject) { hints <- about })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := within(t, ended, "the end of Run"); err != nil {
			t.Error(err)
		}
	})
	return s, hints
}

// within receives what must come.
func within[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("%s: nothing after %v", what, patience)
	}
	return v
}
