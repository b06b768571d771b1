package act

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"

	sd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/fsm"
)

// setBudgets gives the slices the budgets of a mode, at run time only (D7, D17), all
// at once; the first failure in their order counts. A slice need not be loaded.
func (a *Actor) setBudgets(ctx context.Context, word string) error {
	m, ok := fsm.ParseMode(word)
	if !ok {
		return fmt.Errorf("cannot set the budgets of %q: no such mode", word)
	}
	bySlice := map[string][]fsm.Budget{}
	var order []string
	for _, b := range a.policy.InForce(m) {
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
	return nil
}

func properties(list []fsm.Budget) string {
	var out []string
	for _, b := range list {
		out = append(out, b.Property)
	}
	return strings.Join(out, ", ")
}
