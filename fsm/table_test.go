package fsm

import (
	"slices"
	"strings"
	"testing"
)

// at returns a machine in the state s, reached by events alone.
func at(t *testing.T, s State) *Machine {
	t.Helper()
	path := map[State][]Event{
		Boot: {}, AtDesktop: {"adopt-desktop"}, AtStudioLocal: {"adopt-studio-local"}, AtCompute: {"adopt-compute"},
		Transitioning: {"begin"}, FailedTransition: {"fail"},
	}
	m := NewMachine()
	for _, e := range path[s] {
		if _, err := m.Fire(e); err != nil {
			t.Fatal(err)
		}
	}
	if m.State() != s {
		t.Fatalf("in %s instead of %s", m.State(), s)
	}
	return m
}

// TestEveryPair walks all (state × event) pairs through looplab.
func TestEveryPair(t *testing.T) {
	for _, s := range States {
		for _, e := range append(Events(), "no-such-event") {
			i := slices.IndexFunc(Table, func(r Row) bool { return r.From == s && r.On == e })
			m := at(t, s)
			row, err := m.Fire(e)
			switch {
			case i < 0 && err == nil:
				t.Errorf("%s in %s leads to %s, but is not in the table", e, s, row.To)
			case i < 0 && m.State() != s:
				t.Errorf("%s, refused in %s, moved to %s", e, s, m.State())
			case i >= 0 && err != nil:
				t.Errorf("%s in %s: %v", e, s, err)
			case i >= 0 && (row != Table[i] || m.State() != Table[i].To):
				t.Errorf("%s in %s walked %v to %s, the table says %v", e, s, row, m.State(), Table[i])
			}
		}
	}
}

func TestTableIsSound(t *testing.T) {
	type key struct {
		on   Event
		from State
	}
	seen := map[key]bool{}
	for _, r := range Table {
		if k := (key{r.On, r.From}); seen[k] {
			t.Errorf("two rows for %s in %s: the last would silently win", r.On, r.From)
		} else {
			seen[k] = true
		}
		if r.From == r.To {
			t.Errorf("%v is a loop, which looplab does not walk", r)
		}
		for _, s := range []State{r.From, r.To} {
			if !slices.Contains(States, s) {
				t.Errorf("%v names the unknown state %s", r, s)
			}
		}
	}
	if got := len(Events()); got != 14 {
		t.Errorf("%d events", got)
	}
}

func TestEveryModeFromEveryState(t *testing.T) {
	for _, from := range States {
		reached := map[State]bool{from: true}
		for again := true; again; {
			again = false
			for _, r := range Table {
				if reached[r.From] && !reached[r.To] {
					reached[r.To], again = true, true
				}
			}
		}
		for _, m := range Modes {
			if !reached[Resting(m)] {
				t.Errorf("%s cannot be reached from %s", m, from)
			}
		}
	}
}

func TestDiagram(t *testing.T) {
	drawn, err := Diagram()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "../docs/states.md", statesHead+drawn+"```\n")
}

// statesHead stands above the diagram in docs/states.md.
const statesHead = "# The state machine\n\n" +
	"Drawn from the table in [fsm/table.go](../fsm/table.go) by its test; do not edit. Desktop and studio-local are joined by direct edges, " +
	"walked when the overlay is observed. Everything else passes through transitioning; what is refused or fails passes through " +
	"failed-transition, so that both edges are on record.\n\n```mermaid\n"

func TestMachineKnowsEachEvent(t *testing.T) {
	m := NewMachine()
	_, err := m.Fire("fail-utterly")
	if err == nil || m.State() != Boot {
		t.Errorf("an unknown event: %v, in %s", err, m.State())
	}
	if !strings.HasPrefix(err.Error(), "cannot fire fail-utterly in state boot: ") {
		t.Errorf("the error is %q", err)
	}
	// A name that looplab takes for a callback's key would not be told apart.
	for _, e := range Events() {
		for _, prefix := range []string{"before_", "after_", "enter_", "leave_"} {
			if strings.HasPrefix(string(e), prefix) || e == "event" {
				t.Errorf("%s would be a callback to looplab", e)
			}
		}
	}
}

func TestDirect(t *testing.T) {
	for _, from := range Modes {
		for _, to := range Modes {
			edge := slices.Contains(Table, Row{ReachedMode(to), Resting(from), Resting(to)})
			if Direct(from, to) != edge {
				t.Errorf("Direct(%s, %s) = %v, the table has the edge: %v", from, to, Direct(from, to), edge)
			}
		}
	}
}
