package units

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sources/bus"
)

// An isolate starts the target with all that it pulls in, and stops every other
// unit that is up, unless the unit says IgnoreOnIsolate or is triggered by one
// that is started or says so. What conflicts with the started ones is stopped as
// well, with each stopped unit what is bound to it, and then what nothing needs
// any more and says StopWhenUnneeded. A unit that cannot be loaded, or requires one
// that cannot, is not started, nor what it alone pulls in. (systemd 257, compared
// with real isolates by the integration tests.)

// pulls are the dependencies that a start job takes along.
var pulls = []string{"Requires", "Wants", "BindsTo", "Requisite", "Upholds"}

// musts are those without which it fails.
var musts = []string{"Requires", "BindsTo", "Requisite"}

// falls are the dependencies by which a stop job takes others along.
var falls = []string{"RequiredBy", "RequisiteOf", "BoundBy", "ConsistsOf", "PropagatesStopTo"}

// needs are the dependencies that keep a unit that says StopWhenUnneeded.
var needs = []string{"RequiredBy", "RequisiteOf", "BoundBy", "WantedBy", "UpheldBy"}

// upStates are the states of a unit that an isolate stops.
var upStates = []string{"active", "reloading", "refreshing", "activating", "deactivating", "maintenance"}

// links are the properties of a unit that name other units.
var links = slices.Concat(pulls, falls, []string{"Conflicts", "ConflictedBy", "TriggeredBy", "WantedBy", "UpheldBy"})

// node is what matters of one unit here. Its zero value is a unit that is gone.
type node struct {
	name      string
	links     map[string][]string
	loaded    bool
	spared    bool // IgnoreOnIsolate
	thrifty   bool // StopWhenUnneeded
	transient bool
	enabled   bool
	held      bool // masked by the controller, which then stops it by itself
}

// nodeOf picks what matters from all properties of a unit: they are many, and a
// node is kept.
func nodeOf(p map[string]dbus.Variant) node {
	n := node{name: bus.Str(p, "Id"), loaded: bus.Str(p, "LoadState") == "loaded", spared: bus.Bool(p, "IgnoreOnIsolate"),
		thrifty: bus.Bool(p, "StopWhenUnneeded"), transient: bus.Bool(p, "Transient"),
		enabled: strings.HasPrefix(bus.Str(p, "UnitFileState"), "enabled"), held: strings.HasPrefix(bus.Str(p, "FragmentPath"), maskDir),
		links: map[string][]string{}}
	for _, name := range links {
		if others := bus.Strs(p, name); len(others) > 0 {
			n.links[name] = others
		}
	}
	return n
}

// cache holds the nodes read since the manager last reloaded. Dependencies only
// change then; what changes between (ActiveState) is listed afresh.
type cache struct {
	nodes    map[string]node
	onBus    map[string]bool // services that were asked for their bus name
	isolable map[string]bool // CanIsolate by target
}

// known returns the cache, an empty one after a reload.
func (s *Systemd) known() *cache {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cache == nil {
		s.cache = &cache{nodes: map[string]node{}, onBus: map[string]bool{}, isolable: map[string]bool{}}
	}
	return s.cache
}

// StopSets returns for each target what isolating it now would stop.
func (s *Systemd) StopSets(ctx context.Context, targets []string) (map[string]fsm.StopSet, error) {
	var rows []listed
	if err := s.bus.Call(ctx, manager, managerFace+".ListUnitsFiltered", &rows, upStates); err != nil {
		return nil, fmt.Errorf("cannot list units: %w", err)
	}
	g := &graph{s: s, cache: s.known(), up: map[string]listed{}, nodes: map[string]node{}}
	for _, r := range rows {
		// A state of that name may also be the load or the sub state.
		if r.Active != "inactive" && r.Active != "failed" && r.Following == "" {
			g.up[r.Name] = r
		}
	}
	out := map[string]fsm.StopSet{}
	for _, t := range targets {
		set, err := g.isolate(ctx, t)
		if err != nil {
			return nil, fmt.Errorf("cannot tell what isolating %s would stop: %w", t, err)
		}
		out[t] = set
	}
	return out, nil
}

const busNameTimeout = time.Second

// graph is the units as one question sees them.
type graph struct {
	s     *Systemd
	cache *cache // of s, under its lock; of no use any more once it is dropped there
	up    map[string]listed
	nodes map[string]node
}

func (g *graph) isolate(ctx context.Context, target string) (fsm.StopSet, error) {
	kept, err := g.starts(ctx, target)
	if err != nil {
		return fsm.StopSet{}, err
	}
	if err := g.loadUp(ctx); err != nil {
		return fsm.StopSet{}, err
	}
	gone := map[string]bool{}
	for next := g.first(kept); len(next) > 0; next = g.unneeded(kept, gone) {
		// What a stopped unit takes along goes too, even if the target wants it.
		taken, err := g.closure(ctx, next, falls, func(name string) bool { _, up := g.up[name]; return up })
		if err != nil {
			return fsm.StopSet{}, err
		}
		maps.Copy(gone, taken)
	}
	set := fsm.StopSet{Target: target}
	for name := range gone {
		if _, up := g.up[name]; up {
			set.Stops = append(set.Stops, g.describe(name))
		}
	}
	slices.SortFunc(set.Stops, func(a, b fsm.StopUnit) int { return strings.Compare(a.Name, b.Name) })
	return set, nil
}

// first are the units that the isolate stops by itself.
func (g *graph) first(kept map[string]bool) []string {
	var out []string
	for name := range g.up {
		if !kept[name] && g.falls(name, kept) || g.conflicts(name, kept) {
			out = append(out, name)
		}
	}
	return out
}

// falls tells whether the isolate itself stops a unit that is up.
func (g *graph) falls(name string, kept map[string]bool) bool {
	n := g.nodes[name]
	if n.name == "" || n.spared {
		return false
	}
	return !slices.ContainsFunc(n.links["TriggeredBy"], func(by string) bool { return kept[by] || g.nodes[by].spared })
}

// conflicts tells whether a unit that starts, or is kept, excludes this one.
func (g *graph) conflicts(name string, kept map[string]bool) bool {
	n := g.nodes[name]
	in := func(other string) bool { return kept[other] }
	return !kept[name] && (slices.ContainsFunc(n.links["Conflicts"], in) || slices.ContainsFunc(n.links["ConflictedBy"], in))
}

// closure follows dependencies from some units; want limits where it goes.
func (g *graph) closure(ctx context.Context, from, by []string, want func(string) bool) (map[string]bool, error) {
	seen := map[string]bool{}
	for len(from) > 0 {
		if err := g.load(ctx, from); err != nil {
			return nil, err
		}
		var next []string
		for _, name := range from {
			n := g.nodes[name]
			seen[name], seen[n.name] = true, true
			for _, dep := range by {
				for _, other := range n.links[dep] {
					if !seen[other] && (want == nil || want(other)) {
						seen[other] = true
						next = append(next, other)
					}
				}
			}
		}
		from = next
	}
	delete(seen, "")
	return seen, nil
}

// load reads the nodes of the names that are not known yet, all at once.
func (g *graph) load(ctx context.Context, names []string) error {
	g.s.mu.Lock()
	var missing []string
	for _, name := range names {
		if n, ok := g.cache.nodes[name]; ok {
			g.nodes[name] = n
		} else if _, ok := g.nodes[name]; !ok {
			missing = append(missing, name)
		}
	}
	g.s.mu.Unlock()
	paths := make([]dbus.ObjectPath, len(missing))
	for i, name := range missing {
		paths[i] = path(name)
	}
	all, err := g.s.bus.All(ctx, dest, unitFace, paths)
	if err != nil {
		return err
	}
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	for i, name := range missing {
		n := nodeOf(all[i])
		g.nodes[name] = n
		// The manager's own scope calls itself transient, and stays as it is.
		if n.name != "" && (!n.transient || n.name == "init.scope") {
			g.cache.nodes[name] = n
		}
	}
	return nil
}

// describe says how a unit came to run, for a person to judge by.
func (g *graph) describe(name string) fsm.StopUnit {
	return fsm.StopUnit{Name: name, Description: g.up[name].Description, Origin: g.origin(name, g.nodes[name])}
}

func (g *graph) origin(name string, n node) string {
	for _, by := range n.links["TriggeredBy"] {
		for suffix, origin := range map[string]string{".timer": "timer", ".socket": "socket", ".path": "path"} {
			if strings.HasSuffix(by, suffix) {
				return origin
			}
		}
	}
	switch {
	case n.transient:
		return "transient"
	case !strings.HasSuffix(name, ".service"):
		return "dependency"
	case n.enabled:
		return "enabled"
	case n.held, g.wanted(n):
		return "dependency"
	case g.onBus(name):
		return "bus"
	}
	return "hand"
}

// wanted tells whether something that is up pulls the unit in.
func (g *graph) wanted(n node) bool {
	for _, by := range []string{"WantedBy", "RequiredBy", "BoundBy", "UpheldBy"} {
		for _, other := range n.links[by] {
			if _, up := g.up[other]; up {
				return true
			}
		}
	}
	return false
}

// onBus tells whether the bus starts the unit when somebody calls its name. Only
// a reload changes that.
func (g *graph) onBus(name string) bool {
	g.s.mu.Lock()
	on, known := g.cache.onBus[name]
	g.s.mu.Unlock()
	if known {
		return on
	}
	ctx, cancel := context.WithTimeout(context.Background(), busNameTimeout)
	defer cancel()
	var busName string
	if err := g.s.bus.Get(ctx, bus.Object{Dest: dest, Path: path(name)}, dest+".Service", "BusName", &busName); err != nil {
		return false
	}
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	g.cache.onBus[name] = busName != ""
	return busName != ""
}
