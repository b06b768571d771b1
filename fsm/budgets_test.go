package fsm

import (
	"math"
	"reflect"
	"testing"
)

func TestBudgetsOfOtherModesAreUnset(t *testing.T) {
	all := map[Mode][]Budget{
		Desktop: {{Slice: "ai.slice", Property: "CPUWeight", Value: 50}},
		Compute: {
			{Slice: "ai.slice", Property: "CPUWeight", Value: 900},
			{Slice: "user.slice", Property: "MemoryHigh", Value: 1 << 30},
			{Slice: "user.slice", Property: "MemoryLow", Value: 1 << 20},
		},
	}
	p := Policy{Budgets: all}
	got := p.InForce(Desktop)
	want := []Budget{
		{Slice: "ai.slice", Property: "CPUWeight", Value: 50},
		{Slice: "user.slice", Property: "MemoryHigh", Value: math.MaxUint64},
		{Slice: "user.slice", Property: "MemoryLow", Value: 0},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("desktop gets %v, want %v", got, want)
	}
	if got := p.InForce(Compute); !reflect.DeepEqual(got, all[Compute]) {
		t.Errorf("compute gets %v", got)
	}
	if len(all[Desktop]) != 1 {
		t.Errorf("the policy was changed: %v", all[Desktop])
	}
}
