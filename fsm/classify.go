package fsm

import (
	"fmt"
	"slices"
)

// Observation is what facts say of the mode: the mode, why, and what deviates
// from its contract (D2).
type Observation struct {
	Mode     Mode        `json:"mode"`
	Evidence []string    `json:"evidence"`
	Degraded []Deviation `json:"degraded,omitempty"`
}

// Deviation is one way in which the host is not as its mode should be.
type Deviation struct {
	What     string `json:"what"`
	Evidence string `json:"evidence"`
}

// Classify derives the mode from facts. It is total: facts that could be read
// always give a mode, however unwell the host is; facts that could not be read
// give Unknown (specification section 23.2, D2).
func Classify(f Facts, p Policy) Observation {
	if !f.Units.OK {
		return cannotTell("units", f.Units.Why())
	}
	if !f.Logins.OK {
		return cannotTell("sessions", f.Logins.Why())
	}
	o := Observation{Mode: Desktop}
	marker, compute := f.Units.Value[p.Units.StudioPolicy], f.Units.Value[p.Units.Compute]
	gui := f.Logins.Value.Graphical()
	switch {
	case marker.Is(true):
		o.Mode = StudioLocal
		o.Evidence = append(o.Evidence, marker.Name+" is active")
	case compute.Is(true) && len(gui) == 0:
		o.Mode = Compute
		o.Evidence = append(o.Evidence, compute.Name+" is active", "no graphical user session")
	default:
		o.Evidence = append(o.Evidence, desktopEvidence(f, p)...)
	}
	for _, s := range gui {
		o.Evidence = append(o.Evidence, fmt.Sprintf("session %s of %s is graphical: %s", s.ID, s.User, s.Why))
	}
	o.Degraded = deviations(o.Mode, f, p)
	return o
}

func cannotTell(what, why string) Observation {
	return Observation{Mode: Unknown, Evidence: []string{"cannot read " + what + ": " + why}}
}

func desktopEvidence(f Facts, p Policy) []string {
	out := []string{p.Units.StudioPolicy + " is not active"}
	if f.Units.Value[p.Units.Compute].Is(true) {
		return append(out, p.Units.Compute+" is active, but somebody has a graphical session")
	}
	return append(out, p.Units.Compute+" is not active")
}

// Graphical returns the graphical user sessions (D3). A session that is closing
// still counts: its processes may still hold the GPU.
func (l Logins) Graphical() []Session {
	var out []Session
	for _, s := range l.Sessions {
		if s.Class == "user" && s.Graphical {
			out = append(out, s)
		}
	}
	return out
}

// deviations lists what departs from the contract of mode m (section 4.1).
func deviations(m Mode, f Facts, p Policy) []Deviation {
	var out []Deviation
	add := func(what, evidence string) { out = append(out, Deviation{what, evidence}) }
	units, gui := f.Units.Value, f.Logins.Value.Graphical()

	if m != Compute {
		if len(gui) == 0 {
			add("graphical-session-absent", "logind lists no graphical user session")
		}
		if !units[p.Units.Desktop].Is(true) {
			add("desktop-target-inactive", p.Units.Desktop+" is "+activeWord(units[p.Units.Desktop]))
		}
		for _, unit := range p.Units.Starters {
			if units[unit].HeldBack() {
				add("login-held-back:"+unit, unit+" is masked at run time")
			}
		}
		if units[p.Units.Compute].Is(true) {
			add("session-in-compute", p.Units.Compute+" is active beside it")
		}
	}
	if m == StudioLocal {
		if !units[p.Units.AudioPriority].Is(true) {
			add("audio-priority-inactive", p.Units.AudioPriority+" is "+activeWord(units[p.Units.AudioPriority]))
		}
		if audioStackAbsent(gui, f.Logins.Value.Users) {
			add("audio-stack-absent", "no graphical user runs an audio unit")
		}
	}
	mine := map[string]bool{}
	for _, unit := range p.Units.AI[m] {
		mine[unit] = true
		if !units[unit].Is(true) {
			add("vllm-inactive", unit+" is "+activeWord(units[unit]))
		}
	}
	for _, unit := range p.Units.AIUnits() {
		if !mine[unit] && !units[unit].Gone() {
			add("vllm-foreign", unit+" is "+activeWord(units[unit])+" in "+string(m))
		}
	}
	return slices.Concat(out, absentGPUs(f, p), orphaned(m, f, p), foreignHolders(m, f, p))
}

// audioStackAbsent tells whether there are graphical users and none of them has
// an active unit of the audio stack.
func audioStackAbsent(gui []Session, users []User) bool {
	for _, s := range gui {
		for _, u := range users {
			if u.UID == s.UID && len(u.Audio) > 0 {
				return false
			}
		}
	}
	return len(gui) > 0
}

func activeWord(u Unit) string {
	if u.Load == "not-found" || u.Load == "masked" {
		return u.Load
	}
	if u.Active == "" {
		return "not loaded"
	}
	return u.Active
}
