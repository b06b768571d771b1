package fsm

import (
	"context"
	"fmt"

	"github.com/looplab/fsm"
)

// Machine walks Table by looplab/fsm. It has no callbacks, so that an error of
// Fire always means "no such edge, nothing changed". Exactly one goroutine may
// use it (design section 5).
type Machine struct{ fsm *fsm.FSM }

// NewMachine returns a machine in Boot, where every start begins (D11).
func NewMachine() *Machine {
	events := make(fsm.Events, 0, len(Table))
	for _, r := range Table {
		events = append(events, fsm.EventDesc{Name: string(r.On), Src: []string{string(r.From)}, Dst: string(r.To)})
	}
	return &Machine{fsm.NewFSM(string(Boot), events, nil)}
}

// State returns the present state.
func (m *Machine) State() State { return State(m.fsm.Current()) }

// Fire walks the edge that e names from the present state and returns it. A
// refused event leaves the state as it was; it is a bug of the caller.
func (m *Machine) Fire(e Event) (Row, error) {
	from := m.State()
	// Background always: a cancelled context would wedge the library for good.
	if err := m.fsm.Event(context.Background(), string(e)); err != nil {
		return Row{}, fmt.Errorf("cannot fire %s in state %s: %w", e, from, err)
	}
	return Row{On: e, From: from, To: m.State()}, nil
}

// Diagram draws the table in Mermaid's state diagram language.
func Diagram() (string, error) {
	return fsm.VisualizeWithType(NewMachine().fsm, fsm.MermaidStateDiagram)
}
