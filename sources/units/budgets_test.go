package units

import (
	"reflect"
	"strings"
	"testing"

	"github.com/modewatch/modewatch/fsm"
)

func TestBudgets(t *testing.T) {
	launch(t, unit{name: "ai.slice", props: props{"CPUWeight": uint64(50), "MemoryHigh": uint64(1 << 30)}}, unit{name: "user.slice", props: props{"CPUWeight": uint64(300)}})
	s := lazy(t)
	of := func(slice, property string, value uint64) fsm.Budget {
		return fsm.Budget{Slice: slice, Property: property, Value: value}
	}
	want := []fsm.Budget{of("user.slice", "CPUWeight", 300), of("ai.slice", "MemoryHigh", 1<<30), of("ai.slice", "CPUWeight", 50)}
	var asked []fsm.Budget
	for _, b := range want {
		asked = append(asked, of(b.Slice, b.Property, 7))
	}
	if got, err := s.Budgets(t.Context(), asked); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v (%v), want %v", got, err, want)
	}
	if got, err := s.Budgets(t.Context(), []fsm.Budget{of("ai.slice", "Nonsense", 1)}); err == nil || !strings.Contains(err.Error(), "Nonsense of ai.slice") {
		t.Errorf("%v (%v), want an error that names it", got, err)
	}
}
