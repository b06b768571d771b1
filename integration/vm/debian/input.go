package debian

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// Key presses a key of the machine's keyboard and lets it go. The name is QEMU's:
// "a", "ret", "shift". The machine has the event when this returns, and its programs
// have it soon.
func (m *Machine) Key(tb testing.TB, name string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), inputTime)
	defer cancel()
	for _, down := range []bool{true, false} {
		key := map[string]any{"down": down, "key": map[string]string{"type": "qcode", "data": name}}
		if err := m.input(ctx, "key", key); err != nil {
			tb.Fatalf("cannot press %s: %v", name, err)
		}
	}
}

// Move moves the machine's mouse to the right by so much, or to the left if negative.
func (m *Machine) Move(ctx context.Context, by int) error {
	if err := m.input(ctx, "rel", map[string]any{"axis": "x", "value": by}); err != nil {
		return fmt.Errorf("cannot move the mouse: %w", err)
	}
	return nil
}

func (m *Machine) input(ctx context.Context, kind string, data any) error {
	event := map[string]any{"type": kind, "data": data}
	return m.QMP(ctx, "input-send-event", map[string]any{"events": []any{event}}, nil)
}

const inputTime = 10 * time.Second
