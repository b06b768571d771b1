package bus

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

const (
	face   = "org.modewatch.Test"
	object = dbus.ObjectPath("/org/modewatch/Test")
)

var peer = Object{Dest: face, Path: object}

// daemon is a real message bus of the test's own, which this process takes for
// the system bus.
type daemon struct {
	t      *testing.T
	socket string
	cmd    *exec.Cmd
	hung   context.Context // its end ends what the peers leave open
	speak  context.CancelFunc
}

// place points the system bus at a socket in a folder, where nobody listens yet.
func place(t *testing.T) *daemon {
	t.Helper()
	d := &daemon{t: t, socket: filepath.Join(t.TempDir(), "bus")}
	d.hung, d.speak = context.WithCancel(t.Context())
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+d.socket)
	return d
}

// launch starts a bus.
func launch(t *testing.T) *daemon {
	t.Helper()
	d := place(t)
	d.start()
	return d
}

const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth><servicedir>%s</servicedir>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`

// start returns once the bus answers.
func (d *daemon) start() {
	d.t.Helper()
	if _, err := exec.LookPath("dbus-daemon"); err != nil {
		d.t.Skip("SKIP-REASON: dbus-daemon is not installed: ", err)
	}
	config := filepath.Join(filepath.Dir(d.socket), "bus.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, busConfig, d.socket, filepath.Dir(d.socket)), 0o600); err != nil {
		d.t.Fatal(err)
	}
	cmd := exec.Command("dbus-daemon", "--nofork", "--print-address", "--config-file="+config)
	ready, err := cmd.StdoutPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.cmd = cmd
	d.t.Cleanup(d.stop)
	if _, err := ready.Read(make([]byte, 1)); err != nil {
		d.t.Fatal("the bus does not start: ", err)
	}
}

// stop ends the bus, if it runs.
func (d *daemon) stop() {
	if d.cmd != nil {
		_ = d.cmd.Process.Kill()
		_ = d.cmd.Wait() // killed
		_ = os.Remove(d.socket)
		d.cmd = nil
	}
}

// stranger is a connection of somebody else.
func (d *daemon) stranger() *dbus.Conn {
	d.t.Helper()
	conn, err := dbus.Connect("unix:path=" + d.socket)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { conn.Close() })
	return conn
}

// peer exports an object that answers, and one method that does not.
func (d *daemon) peer() *dbus.Conn {
	d.t.Helper()
	conn := d.stranger()
	silence := func() *dbus.Error { <-d.hung.Done(); return nil }
	get := func(_, name string) (dbus.Variant, *dbus.Error) {
		if name == "Hang" {
			return dbus.Variant{}, silence()
		}
		return dbus.MakeVariant("value of " + name), nil
	}
	all := func(m dbus.Message, about string) (map[string]dbus.Variant, *dbus.Error) {
		switch p := m.Headers[dbus.FieldPath].Value().(dbus.ObjectPath); {
		case about == "Hang":
			return nil, silence()
		case p == object+"/gone":
			return nil, dbus.NewError("org.freedesktop.DBus.Error.UnknownObject", nil)
		case p == object+"/secret":
			return nil, dbus.NewError("org.freedesktop.DBus.Error.AccessDenied", nil)
		default:
			return map[string]dbus.Variant{"Path": dbus.MakeVariant(string(p)), "About": dbus.MakeVariant(about)}, nil
		}
	}
	methods := map[string]any{"Hang": silence, "Echo": func(s string) (string, *dbus.Error) { return s, nil }}
	d.must(conn.ExportMethodTable(methods, object, face))
	d.must(conn.ExportSubtreeMethodTable(map[string]any{"Get": get, "GetAll": all}, object, "org.freedesktop.DBus.Properties"))
	_, err := conn.RequestName(face, dbus.NameFlagDoNotQueue)
	d.must(err)
	return conn
}

func (d *daemon) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// run runs the bus until the returned function, or the test, ends it.
func run(t *testing.T, b *Bus) (end func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	stopped := false
	end = func() error {
		cancel()
		if stopped {
			return nil
		}
		stopped = true
		return within(t, ended, "the end of Run")
	}
	t.Cleanup(func() { _ = end() })
	return end
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

// alone waits until no goroutine of a connection is left.
func alone(t *testing.T) {
	t.Helper()
	stacks := make([]byte, 1<<20)
	for end := time.Now().Add(patience); ; runtime.Gosched() {
		n := runtime.Stack(stacks, true)
		if !bytes.Contains(stacks[:n], []byte("godbus")) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("goroutines are left:\n%s", stacks[:n])
		}
	}
}
