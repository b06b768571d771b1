package act

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	sd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/fsm"
)

// setBudgets gives the slices the budgets of a mode, at run time only, and reads
// each back (D7, D17), all at once; the first failure in their order counts. A
// slice need not be loaded. There is nothing to wait for, so the proof is made
// here and not by observation.
func (a *Actor) setBudgets(ctx context.Context, word string) error {
	m, ok := fsm.ParseMode(word)
	if !ok {
		return fmt.Errorf("cannot set the budgets of %q: no such mode", word)
	}
	bySlice := map[string][]fsm.Budget{}
	var order []string
	for _, b := range budgets(a.policy.Budgets, m) {
		if bySlice[b.Slice] == nil {
			order = append(order, b.Slice)
		}
		bySlice[b.Slice] = append(bySlice[b.Slice], b)
	}
	errs := make([]error, len(order))
	var wg sync.WaitGroup
	for i, slice := range order {
		wg.Go(func() { errs[i] = a.giveBudgets(ctx, slice, bySlice[slice]) })
	}
	wg.Wait()
	return cmp.Or(errs...)
}

// giveBudgets sets all budgets of one slice in one call.
func (a *Actor) giveBudgets(ctx context.Context, slice string, give []fsm.Budget) error {
	m, err := a.manager(ctx)
	if err != nil {
		return fmt.Errorf("cannot set the budgets of %s: %w", slice, err)
	}
	var props []sd.Property
	for _, b := range give {
		props = append(props, sd.Property{Name: b.Property, Value: dbus.MakeVariant(b.Value)})
	}
	if err := m.SetUnitPropertiesContext(ctx, slice, true, props...); err != nil {
		return fmt.Errorf("cannot set %s of %s: %w", properties(give), slice, err)
	}
	errs := make([]error, len(give))
	var wg sync.WaitGroup
	for i, b := range give {
		wg.Go(func() { errs[i] = a.proveBudget(ctx, b) })
	}
	wg.Wait()
	return cmp.Or(errs...)
}

// proveBudget reads a budget back from the manager.
func (a *Actor) proveBudget(ctx context.Context, b fsm.Budget) error {
	var value uint64
	err := a.get(ctx, unitObject(b.Slice, "Slice"), b.Property, &value)
	if err != nil {
		return fmt.Errorf("cannot read %s of %s back: %w", b.Property, b.Slice, err)
	}
	if value != b.Value {
		return fmt.Errorf("cannot set %s of %s: it is %d, not %d", b.Property, b.Slice, value, b.Value)
	}
	return nil
}

// budgets returns the budgets of mode m, and after them, unset, those that
// another mode gives and m does not: they must not stay in force.
func budgets(all map[fsm.Mode][]fsm.Budget, m fsm.Mode) []fsm.Budget {
	out := slices.Clone(all[m])
	for _, other := range fsm.Modes {
		for _, b := range all[other] {
			same := func(o fsm.Budget) bool { return o.Slice == b.Slice && o.Property == b.Property }
			if !slices.ContainsFunc(out, same) {
				out = append(out, fsm.Budget{Slice: b.Slice, Property: b.Property, Value: unset(b.Property)})
			}
		}
	}
	return out
}

// unset is the value by which systemd means that a property is not set: nothing
// protected for what protects memory, infinity or no weight for all the rest.
func unset(property string) uint64 {
	switch property {
	case "MemoryMin", "MemoryLow", "DefaultMemoryMin", "DefaultMemoryLow":
		return 0
	}
	return math.MaxUint64
}

func properties(list []fsm.Budget) string {
	var out []string
	for _, b := range list {
		out = append(out, b.Property)
	}
	return strings.Join(out, ", ")
}
