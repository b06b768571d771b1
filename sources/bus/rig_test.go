package bus

import (
	"bytes"
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/sources/bus/bustest"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

const (
	face   = "org.modewatch.Test"
	object = dbus.ObjectPath("/org/modewatch/Test")
)

var peer = Object{Dest: face, Path: object}

// daemon is a bus that this process takes for the system bus.
type daemon struct {
	*bustest.Daemon
	hung  context.Context // its end ends what the peers leave open
	speak context.CancelFunc
}

// place points the system bus at a socket where nobody listens yet.
func place(t *testing.T) *daemon {
	t.Helper()
	d := &daemon{Daemon: bustest.New(t)}
	d.hung, d.speak = context.WithCancel(t.Context())
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+d.Socket)
	return d
}

// launch starts a bus.
func launch(t *testing.T) *daemon {
	t.Helper()
	d := place(t)
	d.Start()
	return d
}

// peer exports an object that answers, and one method that does not.
func (d *daemon) peer() *dbus.Conn {
	conn := d.Stranger()
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
	d.Must(conn.ExportMethodTable(methods, object, face))
	d.Must(conn.ExportSubtreeMethodTable(map[string]any{"Get": get, "GetAll": all}, object, "org.freedesktop.DBus.Properties"))
	_, err := conn.RequestName(face, dbus.NameFlagDoNotQueue)
	d.Must(err)
	return conn
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
		return bustest.Within(t, ended, "the end of Run")
	}
	t.Cleanup(func() { _ = end() })
	return end
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
