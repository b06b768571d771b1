package units

import (
	"context"
	"fmt"
	"sync"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sources/bus"
)

// Budgets returns the properties of slices that are in force, for those that it is
// given; their values do not matter.
func (s *Systemd) Budgets(ctx context.Context, of []fsm.Budget) ([]fsm.Budget, error) {
	out, errs := make([]fsm.Budget, len(of)), make([]error, len(of))
	var wg sync.WaitGroup
	for i, b := range of {
		out[i] = fsm.Budget{Slice: b.Slice, Property: b.Property}
		wg.Go(func() {
			o := bus.Object{Dest: dest, Path: path(b.Slice)}
			errs[i] = s.bus.Get(ctx, o, dest+".Slice", b.Property, &out[i].Value)
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("cannot read %s of %s: %w", of[i].Property, of[i].Slice, err)
		}
	}
	return out, nil
}
