package act

import (
	"strings"
	"testing"

	"github.com/modewatch/modewatch/fsm"
)

func TestLabBudgets(t *testing.T) {
	policy := testPolicy
	policy.Budgets = map[fsm.Mode][]fsm.Budget{
		fsm.Desktop: {
			{Slice: "user.slice", Property: "CPUWeight", Value: 300},
			{Slice: "t-ai.slice", Property: "CPUWeight", Value: 50},
			{Slice: "t-ai.slice", Property: "MemoryHigh", Value: 1 << 30},
		},
		fsm.Compute: {
			{Slice: "user.slice", Property: "CPUWeight", Value: 100},
			{Slice: "t-ai.slice", Property: "CPUWeight", Value: 900},
		},
	}
	a, _ := newActor(t, policy)
	t.Cleanup(func() { sh(t, "systemctl revert user.slice t-ai.slice") })
	for range 2 {
		want := func(weight, ai, high string) {
			t.Helper()
			for _, c := range [][3]string{{"user.slice", "CPUWeight", weight}, {"t-ai.slice", "CPUWeight", ai}, {"t-ai.slice", "MemoryHigh", high}} {
				if got := show(t, c[0], c[1]); got != c[2] {
					t.Errorf("%s of %s is %s, want %s", c[1], c[0], got, c[2])
				}
			}
		}
		if err := do(t, a, fsm.SetBudgets, string(fsm.Desktop)); err != nil {
			t.Fatal(err)
		}
		want("300", "50", "1073741824")
		if err := do(t, a, fsm.SetBudgets, string(fsm.Compute)); err != nil {
			t.Fatal(err)
		}
		want("100", "900", "infinity")
	}
	if err := do(t, a, fsm.SetBudgets, string(fsm.StudioLocal)); err != nil {
		t.Error(err)
	}
	if out := sh(t, "find /etc/systemd -name '*CPUWeight*'"); out != "" {
		t.Errorf("budgets outlive the boot: %s", out)
	}
	wantState(t, "t-ai.slice", "loaded", "inactive")
}

func TestLabBadBudgets(t *testing.T) {
	for _, c := range []struct {
		budget fsm.Budget
		want   []string
	}{
		{fsm.Budget{Slice: "t-bad.slice", Property: "Nonsense", Value: 1}, []string{"Nonsense", "t-bad.slice"}},
		{fsm.Budget{Slice: "t-bad.slice", Property: "CPUWeight", Value: 100001}, []string{"CPUWeight", "t-bad.slice", "out of range"}},
		{fsm.Budget{Slice: "t-bad.service", Property: "CPUWeight", Value: 100}, []string{"CPUWeight", "t-bad.service"}},
	} {
		policy := testPolicy
		policy.Budgets = map[fsm.Mode][]fsm.Budget{fsm.Desktop: {c.budget}}
		a, _ := newActor(t, policy)
		err := do(t, a, fsm.SetBudgets, string(fsm.Desktop))
		if err == nil {
			t.Errorf("%v is accepted", c.budget)
			continue
		}
		for _, part := range c.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%v: error %q does not name %s", c.budget, err, part)
			}
		}
	}
	sh(t, "systemctl revert t-bad.slice")
}
