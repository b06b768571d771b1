// Package units tells of the system manager's units: which changed, what state
// they are in, and what isolating a target would stop (D10, D20).
package units

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	sd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sources/bus"
)

const (
	dest        = "org.freedesktop.systemd1"
	managerFace = dest + ".Manager"
	unitFace    = dest + ".Unit"
	unitPrefix  = "/org/freedesktop/systemd1/unit/"
	properties  = "org.freedesktop.DBus.Properties"
)

var manager = bus.Object{Dest: dest, Path: "/org/freedesktop/systemd1"}

// Systemd is the source of one manager. Use New.
type Systemd struct {
	bus       *bus.Bus
	names     []string
	hint      func(fsm.Subject)
	switching []string // units whose activity tells of a NixOS switch

	mu    sync.Mutex
	seen  map[dbus.ObjectPath]string // the state told last, so that a change is hinted once
	cache *cache                     // static properties, until the manager reloads
}

// New returns a source that watches the named units and calls hint for each
// change. Without Run it only answers.
func New(b *bus.Bus, names, switching []string, hint func(fsm.Subject)) *Systemd {
	s := &Systemd{bus: b, names: names, hint: hint, switching: switching, seen: map[dbus.ObjectPath]string{}}
	rules := []bus.Match{
		{Rule: []dbus.MatchOption{dbus.WithMatchSender(dest), dbus.WithMatchInterface(managerFace), dbus.WithMatchMember("Reloading")}},
		{Rule: []dbus.MatchOption{dbus.WithMatchSender(dest), dbus.WithMatchInterface(managerFace), dbus.WithMatchMember("StartupFinished")}},
		{Rule: []dbus.MatchOption{dbus.WithMatchSender("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, dest)}},
	}
	for _, name := range names {
		rules = append(rules, bus.Match{Rule: []dbus.MatchOption{dbus.WithMatchSender(dest), dbus.WithMatchInterface(properties),
			dbus.WithMatchMember("PropertiesChanged"), dbus.WithMatchObjectPath(path(name)), dbus.WithMatchArg(0, unitFace)}})
	}
	b.On(s.signal, rules...)
	b.OnUp(s.up)
	return s
}

func path(unit string) dbus.ObjectPath { return dbus.ObjectPath(unitPrefix + sd.PathBusEscape(unit)) }

// up begins afresh with a new connection.
func (s *Systemd) up(ctx context.Context) {
	s.forget()
	s.subscribe(ctx)
}

// subscribe asks for signals and holds the watched units in memory: a unit that is
// not referenced is loaded and unloaded by each question, which makes signals.
func (s *Systemd) subscribe(ctx context.Context) {
	// An error here shows in the observation that the hint leads to.
	_ = s.bus.Call(ctx, manager, managerFace+".Subscribe", nil)
	for _, name := range s.names {
		_ = s.bus.Call(ctx, manager, managerFace+".RefUnit", nil, name)
	}
	s.hint(fsm.Core)
}

func (s *Systemd) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cache = nil
	clear(s.seen)
}

// signal turns a signal into a hint, or drops it where nothing changed.
func (s *Systemd) signal(sig *dbus.Signal) {
	switch sig.Name {
	case managerFace + ".Reloading":
		s.reloading(sig)
	case managerFace + ".StartupFinished":
		s.hint(fsm.AboutHost | fsm.AboutUnits)
	case "org.freedesktop.DBus.NameOwnerChanged":
		s.owner(sig)
	case "org.freedesktop.DBus.Local.Disconnected":
		s.hint(fsm.Core)
	case properties + ".PropertiesChanged":
		s.changed(sig)
	}
}

// owner: a manager that came to the bus after us knows nothing of our wishes.
func (s *Systemd) owner(sig *dbus.Signal) {
	switch {
	case len(sig.Body) < 3 || sig.Body[0] != dest:
	case sig.Body[2] == "":
		s.forget()
		s.hint(fsm.Core)
	default:
		s.renew()
	}
}

// reloading: at the end of a reload everything may have changed; units that
// were missing may be there now.
func (s *Systemd) reloading(sig *dbus.Signal) {
	if len(sig.Body) > 0 && sig.Body[0] == false {
		s.renew()
	}
}

const renewTimeout = 5 * time.Second

// renew does what is done for a new connection; a handler must not wait for it.
func (s *Systemd) renew() {
	s.forget()
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), renewTimeout)
		defer cancel()
		s.subscribe(ctx)
	}()
}

func (s *Systemd) changed(sig *dbus.Signal) {
	if len(sig.Body) < 2 || !strings.HasPrefix(string(sig.Path), unitPrefix) {
		return
	}
	props, ok := sig.Body[1].(map[string]dbus.Variant)
	if !ok || sig.Body[0] != unitFace {
		return
	}
	state := fmt.Sprint(props["ActiveState"].Value(), props["SubState"].Value(), props["Job"].Value())
	s.mu.Lock()
	same := s.seen[sig.Path] == state
	s.seen[sig.Path] = state
	s.mu.Unlock()
	if !same {
		s.hint(fsm.AboutUnits)
	}
}

// maskDir is where sinks/act keeps its masks. A mask elsewhere is somebody
// else's, and stays as it is.
const maskDir = "/run/systemd/system.control/"

// listed is one row of ListUnitsByNames.
type listed struct {
	Name, Description, Load, Active, Sub, Following string
	Path                                            dbus.ObjectPath
	JobID                                           uint32
	JobType                                         string
	JobPath                                         dbus.ObjectPath
}

// Units returns the state of the watched units and of extra ones, by the name
// that they were asked by. Those that do not exist are not-found. The memory of
// extra services that are active is read if memory says so.
func (s *Systemd) Units(ctx context.Context, extra []string, memory bool) (map[string]fsm.Unit, error) {
	names := append(append([]string(nil), s.names...), extra...)
	rows, err := s.list(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("cannot list units: %w", err)
	}
	units, errs := make([]fsm.Unit, len(rows)), make([]error, len(rows))
	var wg sync.WaitGroup
	for i, r := range rows {
		units[i] = fsm.Unit{Name: names[i], Load: r.Load, Active: r.Active, Sub: r.Sub}
		wg.Go(func() { errs[i] = s.detail(ctx, &units[i], r.Path, memory && i >= len(s.names)) })
	}
	wg.Wait()
	out := make(map[string]fsm.Unit, len(rows))
	for i, u := range units {
		if errs[i] != nil {
			return nil, fmt.Errorf("cannot read %s: %w", u.Name, errs[i])
		}
		out[u.Name] = u
	}
	return out, nil
}

func (s *Systemd) list(ctx context.Context, names []string) ([]listed, error) {
	var rows []listed
	if err := s.bus.Call(ctx, manager, managerFace+".ListUnitsByNames", &rows, names); err != nil {
		return nil, err
	}
	if len(rows) != len(names) {
		return nil, fmt.Errorf("asked for %d units, got %d", len(names), len(rows))
	}
	return rows, nil
}

// detail adds the few properties that the list lacks, where they matter.
func (s *Systemd) detail(ctx context.Context, u *fsm.Unit, p dbus.ObjectPath, memory bool) error {
	o := bus.Object{Dest: dest, Path: p}
	service := strings.HasSuffix(u.Name, ".service")
	var err error
	switch {
	case u.Load == "masked":
		var fragment string
		err = s.bus.Get(ctx, o, unitFace, "FragmentPath", &fragment)
		u.Runtime = strings.HasPrefix(fragment, maskDir)
	case strings.HasSuffix(u.Name, ".target") && u.Load == "loaded":
		u.CanIsolate, err = s.canIsolate(ctx, u.Name, o)
	case service && u.Active == "failed":
		err = s.bus.Get(ctx, o, dest+".Service", "Result", &u.Result)
	case service && u.Active == "active" && memory:
		err = s.bus.Get(ctx, o, dest+".Service", "MemoryCurrent", &u.Memory)
		if u.Memory == 1<<64-1 { // not accounted
			u.Memory = 0
		}
	}
	if bus.Vanished(err) {
		return nil
	}
	return err
}

// canIsolate reads a property that only a reload changes, once for each.
func (s *Systemd) canIsolate(ctx context.Context, name string, o bus.Object) (can bool, err error) {
	c := s.known() // an answer from before a reload is kept where it is of no use any more
	s.mu.Lock()
	can, known := c.isolable[name]
	s.mu.Unlock()
	if known {
		return can, nil
	}
	if err := s.bus.Get(ctx, o, unitFace, "CanIsolate", &can); err != nil {
		return false, err
	}
	s.mu.Lock()
	c.isolable[name] = can
	s.mu.Unlock()
	return can, nil
}

// job is one row of ListJobs.
type job struct {
	ID                uint32
	Unit, Type, State string
	Path, UnitPath    dbus.ObjectPath
}

// Host returns the state of the manager, its jobs, and whether a NixOS switch
// is in progress.
func (s *Systemd) Host(ctx context.Context) (fsm.Host, error) {
	var h fsm.Host
	var rows []job
	var noState, noJobs, noSwitch error
	var wg sync.WaitGroup
	wg.Go(func() { noState = s.bus.Get(ctx, manager, managerFace, "SystemState", &h.Manager) })
	wg.Go(func() { noJobs = s.bus.Call(ctx, manager, managerFace+".ListJobs", &rows) })
	wg.Go(func() { h.Switching, noSwitch = s.switches(ctx) })
	wg.Wait()
	switch {
	case noState != nil:
		return h, fmt.Errorf("cannot read the state of the manager: %w", noState)
	case noJobs != nil:
		return h, fmt.Errorf("cannot list jobs: %w", noJobs)
	case noSwitch != nil:
		return h, fmt.Errorf("cannot tell whether a switch is in progress: %w", noSwitch)
	}
	for _, j := range rows {
		h.Pending = append(h.Pending, fsm.Job{ID: j.ID, Unit: j.Unit, Type: j.Type, State: j.State})
	}
	h.ShuttingDown = h.Manager == "stopping"
	return h, nil
}

// switches names the unit of a NixOS switch that runs, or "". It looks at loaded
// units only: a unit that is asked for by its name is loaded, which costs more.
func (s *Systemd) switches(ctx context.Context) (string, error) {
	if len(s.switching) == 0 {
		return "", nil
	}
	var rows []listed
	if err := s.bus.Call(ctx, manager, managerFace+".ListUnitsByPatterns", &rows, []string{"active", "activating"}, s.switching); err != nil {
		return "", err
	}
	for _, u := range rows {
		if u.Active == "active" || u.Active == "activating" {
			return u.Name, nil
		}
	}
	return "", nil
}
