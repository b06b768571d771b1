package units

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/modewatch/modewatch/fsm"
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

// excludes are those to what may not be up at the same time.
var excludes = []string{"Conflicts", "ConflictedBy"}

// upStates are the states of a unit that an isolate stops.
var upStates = []string{"active", "reloading", "refreshing", "activating", "deactivating", "maintenance"}

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
		taken, err := g.closure(ctx, next, falls, g.isUp)
		if err != nil {
			return fsm.StopSet{}, err
		}
		maps.Copy(gone, taken)
	}
	set := fsm.StopSet{Target: target}
	for name := range gone {
		if g.isUp(name) {
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
	return !kept[name] && g.nodes[name].linked(excludes, func(other string) bool { return kept[other] })
}
