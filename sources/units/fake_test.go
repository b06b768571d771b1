package units

import (
	"cmp"
	"context"
	stdpath "path"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
)

// unit is a unit of the fake manager.
type unit struct {
	name, load, active, sub, following string
	alias                              string // another name of it
	props                              map[string]any
}

// props are properties of a unit, by the names that the bus has for them.
type props = map[string]any

// fake answers as the manager of systemd 257 does.
type fake struct {
	t      *testing.T
	hung   context.Context // its end ends what the manager leaves open
	conn   *dbus.Conn
	called chan string // Subscribe and RefUnit, as they come

	mu    sync.Mutex
	units []unit
	jobs  []job
	state string
	errs  map[string]string // the error that a method, or a property, answers with
	mute  map[string]bool   // the methods and properties that are not answered
	asked map[string]int    // how often
}

func newFake(t *testing.T, units ...unit) *fake {
	for i := range units {
		u := &units[i]
		if u.load == "" {
			u.load = "loaded"
		}
		if u.active == "" {
			u.active, u.sub = "active", cmp.Or(u.sub, "running")
		}
	}
	return &fake{t: t, hung: t.Context(), called: make(chan string, 1000), units: units, state: "running",
		errs: map[string]string{}, mute: map[string]bool{}, asked: map[string]int{}}
}

func (f *fake) export(d daemon, conn *dbus.Conn) {
	f.conn = conn
	d.Must(conn.ExportMethodTable(map[string]any{
		"ListUnitsByNames": f.byNames, "ListUnitsByPatterns": f.byPatterns, "ListUnitsFiltered": f.filtered,
		"ListJobs": f.listJobs, "Subscribe": f.subscribe, "RefUnit": f.ref}, manager.Path, managerFace))
	d.Must(conn.ExportSubtreeMethodTable(map[string]any{"Get": f.get, "GetAll": f.getAll}, manager.Path, properties))
	f.appear(d)
}

func (f *fake) appear(d daemon) {
	_, err := f.conn.RequestName(dest, dbus.NameFlagDoNotQueue)
	d.Must(err)
}

// set changes the fake while it runs.
func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fake) times(what string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[what]
}

// ask counts a question; an error is the answer.
func (f *fake) ask(what string) *dbus.Error {
	f.mu.Lock()
	f.asked[what]++
	mute, name := f.mute[what], f.errs[what]
	f.mu.Unlock()
	if mute {
		<-f.hung.Done()
	}
	if name != "" {
		return dbus.NewError(name, []any{what})
	}
	return nil
}

// find returns a unit by any of its names; one that is not there has no state.
func (f *fake) find(name string) unit {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.units, func(u unit) bool { return u.name == name || u.alias == name })
	if i < 0 {
		return unit{name: name, load: "not-found", active: "inactive", sub: "dead"}
	}
	return f.units[i]
}

func (u unit) row() listed {
	return listed{u.name, "the " + u.name, u.load, u.active, u.sub, u.following, path(u.name), 0, "", "/"}
}

func (f *fake) rows(want func(unit) bool) (rows []listed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, u := range f.units {
		if want(u) {
			rows = append(rows, u.row())
		}
	}
	return rows
}

func (f *fake) byNames(names []string) (rows []listed, _ *dbus.Error) {
	err := f.ask("ListUnitsByNames")
	for _, name := range names {
		if strings.Contains(name, ".") { // another name is not valid, and left out
			rows = append(rows, f.find(name).row())
		}
	}
	return rows, err
}

func (f *fake) byPatterns(states, patterns []string) ([]listed, *dbus.Error) {
	err := f.ask("ListUnitsByPatterns")
	return f.rows(func(u unit) bool {
		return u.in(states) && slices.ContainsFunc(patterns, func(p string) bool { ok, _ := stdpath.Match(p, u.name); return ok })
	}), err
}

func (u unit) in(states []string) bool {
	return slices.Contains(states, u.load) || slices.Contains(states, u.active) || slices.Contains(states, u.sub)
}

func (f *fake) filtered(states []string) ([]listed, *dbus.Error) {
	err := f.ask("ListUnitsFiltered")
	return f.rows(func(u unit) bool { return u.in(states) }), err
}

func (f *fake) listJobs() ([]job, *dbus.Error) {
	err := f.ask("ListJobs")
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.jobs, err
}

func (f *fake) subscribe() *dbus.Error {
	f.called <- "Subscribe"
	return f.ask("Subscribe")
}

func (f *fake) ref(name string) *dbus.Error {
	f.called <- "RefUnit " + name
	if f.find(name).load == "not-found" {
		return dbus.NewError(dest+".NoSuchUnit", nil)
	}
	return f.ask("RefUnit")
}

// at returns the unit of an object path; a path nobody knows has none.
func (f *fake) at(m dbus.Message) (unit, bool) {
	p := m.Headers[dbus.FieldPath].Value().(dbus.ObjectPath)
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.units, func(u unit) bool { return path(u.name) == p || u.alias != "" && path(u.alias) == p })
	if i < 0 {
		return unit{}, false
	}
	return f.units[i], true
}

var gone = dbus.NewError("org.freedesktop.DBus.Error.UnknownObject", nil)

func (f *fake) get(m dbus.Message, _, name string) (dbus.Variant, *dbus.Error) {
	if err := f.ask(name); err != nil {
		return dbus.Variant{}, err
	}
	if name == "SystemState" {
		f.mu.Lock()
		defer f.mu.Unlock()
		return dbus.MakeVariant(f.state), nil
	}
	u, ok := f.at(m)
	if value, has := u.props[name]; ok && has {
		return dbus.MakeVariant(value), nil
	}
	return dbus.Variant{}, gone
}

func (f *fake) getAll(m dbus.Message, _ string) (map[string]dbus.Variant, *dbus.Error) {
	u, ok := f.at(m)
	if err := f.ask("GetAll"); err != nil || !ok {
		return nil, cmp.Or(err, gone)
	}
	all := map[string]dbus.Variant{"Id": dbus.MakeVariant(u.name), "LoadState": dbus.MakeVariant("loaded")}
	for name, value := range u.props {
		all[name] = dbus.MakeVariant(value)
	}
	return all, f.ask("GetAll " + u.name)
}
