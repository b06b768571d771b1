package sinks

import "testing"

// TestWhatIsDurable: the first intent of an attempt, the one that passes the point of no
// return and the one that turns back are fsynced; those between survive the death of
// the process alone (D6).
func TestWhatIsDurable(t *testing.T) {
	first := mark{id: "a"}
	for _, c := range []struct {
		m, before mark
		want      bool
	}{
		{first, mark{}, true},
		{first, first, false},
		{mark{id: "a", noReturn: true}, first, true},
		{mark{id: "a", undoing: true}, first, true},
		{mark{id: "a", noReturn: true, undoing: true}, mark{id: "a", noReturn: true}, true},
		{mark{id: "b"}, first, true},
	} {
		if got := c.m.durable(c.before); got != c.want {
			t.Errorf("%+v after %+v: durable %v, want %v", c.m, c.before, got, c.want)
		}
	}
}
