package units

import (
	"context"
	"slices"
)

// starts are the units that the isolate starts, or would if they were not up.
func (g *graph) starts(ctx context.Context, target string) (map[string]bool, error) {
	reached, err := g.closure(ctx, []string{target}, pulls, nil)
	if err != nil {
		return nil, err
	}
	broken := g.broken(reached)
	begun, kept := map[string]bool{}, map[string]bool{}
	for next := []string{target}; len(next) > 0; next = next[1:] {
		n := g.nodes[next[0]]
		kept[next[0]], kept[n.name] = true, true
		for _, pull := range pulls {
			for _, other := range n.links[pull] {
				switch {
				case begun[other], broken[other]:
				case pull == "Requisite": // is only looked at
					kept[other], kept[g.nodes[other].name] = true, true
				default:
					begun[other] = true
					next = append(next, other)
				}
			}
		}
	}
	delete(kept, "")
	return kept, nil
}

// broken are those of the names that cannot be started.
func (g *graph) broken(names map[string]bool) map[string]bool {
	broken := map[string]bool{}
	for more := true; more; {
		more = false
		for name := range names {
			if n := g.nodes[name]; !broken[name] && (!n.loaded || n.linked(musts, func(other string) bool { return broken[other] })) {
				broken[name], more = true, true
			}
		}
	}
	return broken
}

// loadUp reads the units that are up, and what triggers them.
func (g *graph) loadUp(ctx context.Context) error {
	var names, triggers []string
	for name := range g.up {
		names = append(names, name)
	}
	if err := g.load(ctx, names); err != nil {
		return err
	}
	for _, name := range names {
		triggers = append(triggers, g.nodes[name].links["TriggeredBy"]...)
	}
	slices.Sort(triggers)
	return g.load(ctx, slices.Compact(triggers))
}

// unneeded are the units that nothing needs any more once some are gone.
func (g *graph) unneeded(kept, gone map[string]bool) []string {
	var out []string
	for name := range g.up {
		if n := g.nodes[name]; n.thrifty && !kept[name] && !gone[name] && !n.linked(needs, func(other string) bool {
			return kept[other] || g.isUp(other) && !gone[other]
		}) {
			out = append(out, name)
		}
	}
	return out
}

func (g *graph) isUp(name string) bool { _, up := g.up[name]; return up }

// linked tells whether one of the dependencies leads to a unit that is so.
func (n node) linked(by []string, so func(string) bool) bool {
	return slices.ContainsFunc(by, func(dep string) bool { return slices.ContainsFunc(n.links[dep], so) })
}
