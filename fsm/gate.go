package fsm

// Admit is the v1 gate, the one place that decides whether a reason may start
// an attempt (D5, specification section 19.14). A refused reason comes with
// what to set to admit it.
func (g Gate) Admit(r Reason) (ok bool, why string) {
	switch {
	case r == ByFile && !g.DesiredFile:
		return false, "triggers.desired_file is false"
	case r.Automatic() && !g.Background:
		return false, "triggers.background is false"
	}
	return true, ""
}

// WatchesInput tells whether the input devices may be opened (D5).
func (p Policy) WatchesInput() bool { return p.Gate.Background || p.Idle.Watch }
