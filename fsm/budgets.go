package fsm

import (
	"math"
	"slices"
)

// Budget is one slice property, in systemd's D-Bus spelling and value.
type Budget struct {
	Slice    string `json:"slice"`
	Property string `json:"property"` // CPUWeight, IOWeight, MemoryHigh …
	Value    uint64 `json:"value"`
}

// InForce returns the budgets of mode m, and after them, unset, those that another
// mode gives and m does not: they must not stay in force (D17).
func (p Policy) InForce(m Mode) []Budget {
	out := slices.Clone(p.Budgets[m])
	for _, other := range Modes {
		for _, b := range p.Budgets[other] {
			same := func(o Budget) bool { return o.Slice == b.Slice && o.Property == b.Property }
			if !slices.ContainsFunc(out, same) {
				out = append(out, Budget{b.Slice, b.Property, unset(b.Property)})
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

// budgeted compares the budgets that were asked for with those of mode m. The
// manager has answered already, so that one which differs will not come.
func budgeted(m Mode, f Facts, p Policy) Progress {
	if !f.Budgets.OK {
		return awaiting("the budgets of " + string(m) + ": " + f.Budgets.Why())
	}
	for _, want := range p.InForce(m) {
		i := slices.IndexFunc(f.Budgets.Value, func(b Budget) bool { return b.Slice == want.Slice && b.Property == want.Property })
		if i < 0 {
			return awaiting(want.Property + " of " + want.Slice + ", which was not read")
		}
		if got := f.Budgets.Value[i].Value; got != want.Value {
			return never("%s of %s is %d, not %d", want.Property, want.Slice, got, want.Value)
		}
	}
	return done()
}
