package units

import (
	"context"
	"strings"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sources/bus"
)

const busNameTimeout = time.Second

// wants are the dependencies by which a unit that is up explains another.
var wants = []string{"WantedBy", "RequiredBy", "BoundBy", "UpheldBy"}

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
	case n.held, n.linked(wants, g.isUp):
		return "dependency"
	case g.onBus(name):
		return "bus"
	}
	return "hand"
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
