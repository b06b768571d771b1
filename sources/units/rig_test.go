package units

import (
	"os"
	"testing"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sources/bus"
	"github.com/modewatch/modewatch/sources/bus/bustest"
)

// daemon is a bus that listens at one place and is found at another, so that the
// fake manager can be there first.
type daemon struct{ *bustest.Daemon }

func (d daemon) found() string { return d.Socket + "-found" }

// start starts the bus with the fake manager on it, and lets it be found.
func (d daemon) start(f *fake) {
	d.Start()
	f.export(d, d.Stranger())
	d.Must(os.Symlink(d.Socket, d.found()))
}

func (d daemon) stop() {
	_ = os.Remove(d.found())
	d.Stop()
}

// launch starts a bus with a fake manager that has some units.
func launch(t *testing.T, units ...unit) (daemon, *fake) {
	t.Helper()
	d := daemon{bustest.New(t)}
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+d.found())
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
	bustest.Run(t, b.Run)
	return s, hints
}
