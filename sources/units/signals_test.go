package units

import (
	"testing"

	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sources/bus/bustest"
)

// hinted fails unless the next hint is about this.
func hinted(t *testing.T, hints <-chan fsm.Subject, what string, want fsm.Subject) {
	t.Helper()
	if got := bustest.Within(t, hints, what); got != want {
		t.Fatalf("%s: the hint is about %b, want %b", what, got, want)
	}
}

// quiet fails if there was a hint: signals keep their order, so a later one's
// comes next.
func (f *fake) quiet(hints <-chan fsm.Subject, what string) {
	f.t.Helper()
	f.emit(manager.Path, managerFace+".StartupFinished", uint64(1))
	hinted(f.t, hints, what+", then StartupFinished", fsm.AboutHost|fsm.AboutUnits)
}

func (f *fake) emit(p dbus.ObjectPath, name string, body ...any) {
	f.t.Helper()
	if err := f.conn.Emit(p, name, body...); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fake) changed(unit, face string, p map[string]any) {
	f.t.Helper()
	values := map[string]dbus.Variant{}
	for name, v := range p {
		values[name] = dbus.MakeVariant(v)
	}
	f.emit(path(unit), properties+".PropertiesChanged", face, values, []string{})
}

// calls fails unless the manager is called like this.
func (f *fake) calls(want ...string) {
	f.t.Helper()
	for _, w := range want {
		if got := bustest.Within(f.t, f.called, w); got != w {
			f.t.Fatalf("called %q, want %q", got, w)
		}
	}
	if len(f.called) > 0 {
		f.t.Fatalf("called %q as well", <-f.called)
	}
}

func TestConnected(t *testing.T) {
	_, f := launch(t, unit{name: "a.service"})
	_, hints := watch(t, "a.service", "none.service")
	hinted(t, hints, "connected", fsm.Core)
	f.calls("Subscribe", "RefUnit a.service", "RefUnit none.service")
}

func TestChanged(t *testing.T) {
	_, f := launch(t, unit{name: "a.service"})
	_, hints := watch(t, "a.service")
	hinted(t, hints, "connected", fsm.Core)
	for i, state := range []props{{"ActiveState": "inactive", "SubState": "dead"}, {"ActiveState": "active", "SubState": "dead"},
		{"ActiveState": "active", "SubState": "running"}, {"ActiveState": "active", "SubState": "running", "Job": uint32(7)}} {
		f.changed("a.service", unitFace, state)
		hinted(t, hints, "a change", fsm.AboutUnits)
		state["Description"] = i
		f.changed("a.service", unitFace, state)
		f.quiet(hints, "the same state")
	}
	f.changed("a.service", dest+".Service", props{"ActiveState": "failed"})
	f.changed("b.service", unitFace, props{"ActiveState": "failed"})
	f.quiet(hints, "another interface, another unit")
}

func TestSignalsThatSayNothing(t *testing.T) {
	_, f := launch(t)
	s := lazy(t) // whose hint fails the test
	changed := map[string]dbus.Variant{"ActiveState": dbus.MakeVariant("failed")}
	for _, sig := range []*dbus.Signal{
		{Name: "org.modewatch.Test.Other"},
		{Name: managerFace + ".Reloading"},
		{Name: managerFace + ".Reloading", Body: []any{true}},
		{Name: "org.freedesktop.DBus.NameOwnerChanged"},
		{Name: "org.freedesktop.DBus.NameOwnerChanged", Body: []any{"org.freedesktop.login1", "", ":1.2"}},
		{Name: properties + ".PropertiesChanged", Path: path("a.service")},
		{Name: properties + ".PropertiesChanged", Path: path("a.service"), Body: []any{unitFace, "no map"}},
		{Name: properties + ".PropertiesChanged", Path: path("a.service"), Body: []any{dest + ".Service", changed}},
		{Name: properties + ".PropertiesChanged", Path: "/org/freedesktop/login1", Body: []any{unitFace, changed}},
	} {
		s.signal(sig)
	}
	f.calls()
}

// cached fills what is kept until a reload, and tells whether it was asked anew.
func (f *fake) cached(s *Systemd) (anew bool) {
	f.t.Helper()
	before := f.times("CanIsolate") + f.times("GetAll")
	if _, err := s.Units(f.t.Context(), nil, false); err != nil {
		f.t.Fatal(err)
	}
	stops(f.t, s)
	switch n := f.times("CanIsolate") + f.times("GetAll") - before; n {
	case 0:
		return false
	case 2:
		return true
	default:
		f.t.Fatalf("asked %d times", n)
		return false
	}
}

func TestReloaded(t *testing.T) {
	_, f := launch(t, unit{name: "goal.target", props: props{"CanIsolate": true}})
	s, hints := watch(t, "goal.target")
	hinted(t, hints, "connected", fsm.Core)
	f.calls("Subscribe", "RefUnit goal.target")
	if !f.cached(s) || f.cached(s) {
		t.Error("not kept")
	}
	f.emit(manager.Path, managerFace+".Reloading", true)
	f.quiet(hints, "a reload begins")
	if f.cached(s) {
		t.Error("forgotten when the reload began")
	}
	f.emit(manager.Path, managerFace+".Reloading", false)
	hinted(t, hints, "a reload ends", fsm.Core)
	f.calls("Subscribe", "RefUnit goal.target")
	if !f.cached(s) {
		t.Error("kept over the reload")
	}
}

func TestManagerGoesAndComes(t *testing.T) {
	d, f := launch(t, unit{name: "goal.target", props: props{"CanIsolate": true}})
	s, hints := watch(t, "goal.target")
	hinted(t, hints, "connected", fsm.Core)
	f.calls("Subscribe", "RefUnit goal.target")
	f.cached(s)
	if _, err := f.conn.ReleaseName(dest); err != nil {
		t.Fatal(err)
	}
	hinted(t, hints, "the manager has gone", fsm.Core)
	f.appear(d)
	hinted(t, hints, "the manager has come", fsm.Core)
	f.calls("Subscribe", "RefUnit goal.target") // it knows nothing of the first
	if !f.cached(s) {
		t.Error("kept over another manager")
	}
}

func TestBusGoesAndComes(t *testing.T) {
	d, f := launch(t, unit{name: "goal.target", props: props{"CanIsolate": true}})
	s, hints := watch(t, "goal.target")
	hinted(t, hints, "connected", fsm.Core)
	f.calls("Subscribe", "RefUnit goal.target")
	f.cached(s)
	d.stop()
	hinted(t, hints, "the bus has gone", fsm.Core)
	d.start(f)
	hinted(t, hints, "the bus has come", fsm.Core)
	f.calls("Subscribe", "RefUnit goal.target")
	if !f.cached(s) {
		t.Error("kept over another bus")
	}
	f.changed("goal.target", unitFace, props{"ActiveState": "active"})
	hinted(t, hints, "a change", fsm.AboutUnits)
}
