package units

import (
	"context"
	"slices"
	"strings"

	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/sources/bus"
)

// links are the properties of a unit that name other units.
var links = slices.Compact(slices.Sorted(slices.Values(slices.Concat(pulls, falls, needs, wants, excludes, []string{"TriggeredBy"}))))

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

// graph is the units as one question sees them.
type graph struct {
	s     *Systemd
	cache *cache // of s, under its lock; of no use any more once it is dropped there
	up    map[string]listed
	nodes map[string]node
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
