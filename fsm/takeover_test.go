package fsm

import "testing"

// TestTakeOver holds D9, written out; nothing is left undecided.
func TestTakeOver(t *testing.T) {
	person, machine := Wish{Mode: Compute, Reason: ByRequest}, Wish{Mode: Compute, Reason: ByIdle}
	rows := []struct {
		phase Phase
		to    Mode
		wish  Wish
		want  Decision
	}{
		{Before, Compute, person, Join}, {Before, Compute, machine, Join},
		{Before, Desktop, person, WalkOff}, {Before, Desktop, machine, Refuse},
		{After, Compute, person, Join}, {After, Compute, machine, Join},
		{After, Desktop, person, StopNext}, {After, Desktop, machine, Refuse},
		{Leaving, Compute, person, Queue}, {Leaving, Compute, machine, Refuse},
		{Leaving, Desktop, person, Queue}, {Leaving, Desktop, machine, Refuse},
	}
	for _, r := range rows {
		if got := Decide(r.phase, r.to, r.wish); got != r.want {
			t.Errorf("a wish for %s (%s) in phase %s of an attempt to %s: %q, want %q", r.wish.Mode, r.wish.Reason, r.phase, r.to, got, r.want)
		}
	}
}
