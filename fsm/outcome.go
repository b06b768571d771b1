package fsm

import "strings"

// Halt says why an attempt left its plan before the end.
type Halt string

// The halts; "" means that all steps were done.
const (
	NoHalt         Halt = ""
	HaltGuard      Halt = "guard"
	HaltStep       Halt = "step"
	HaltTimeout    Halt = "timeout"
	HaltCancel     Halt = "cancel"
	HaltSupersede  Halt = "supersede"
	HaltUnobserved Halt = "unobserved" // all steps done, target not observed
	HaltShutdown   Halt = "shutdown"   // the host or the controller goes down
)

// Ending is all that an outcome is derived from.
type Ending struct {
	Plan       Plan
	Halt       Halt
	Changed    bool // at least one step took effect, or may have
	UndoFailed bool // an undo step failed or was refused
	After      Observation
}

// OutcomeOf derives the one outcome of an attempt from its last observation
// (D6). It is the only place that does.
func OutcomeOf(e Ending) Outcome {
	switch e.Halt {
	case HaltShutdown:
		return Interrupted
	case HaltGuard:
		if !e.Changed {
			return Blocked
		}
	case NoHalt:
		return arrived(e)
	}
	switch {
	case e.After.Mode == Unknown:
		return Failed
	case e.UndoFailed:
		return Degraded
	case e.Halt == HaltCancel:
		return Cancelled
	case e.Halt == HaltSupersede:
		return Superseded
	case e.After.Mode != e.Plan.From || hasAny(e.After, "desktop-target-inactive") && e.Plan.Isolates() != "":
		return Failed
	}
	return Recovered
}

func arrived(e Ending) Outcome {
	switch {
	case e.After.Mode != e.Plan.To:
		return Failed
	case len(Unmet(e.After)) > 0:
		return Degraded
	case e.Plan.Empty():
		return Noop
	}
	return Reached
}

// unmet lists, by mode, the deviations that keep a host from having *reached*
// the mode; all others are told, but do not count (D2).
var unmet = map[Mode][]string{
	Desktop:     {"desktop-target-inactive", "vllm-foreign", "gpu-foreign-holder"},
	StudioLocal: {"audio-priority-inactive", "vllm-foreign", "gpu-foreign-holder"},
	Compute:     {"vllm-inactive", "vllm-foreign"},
}

// Unmet returns the deviations that keep o from counting as its mode reached.
func Unmet(o Observation) []Deviation {
	var out []Deviation
	for _, d := range o.Degraded {
		for _, name := range unmet[o.Mode] {
			if d.What == name || strings.HasPrefix(d.What, name+":") {
				out = append(out, d)
			}
		}
	}
	return out
}

// Clean tells whether o ends a failed-transition: a known mode, fully met.
func Clean(o Observation) bool { return o.Mode != Unknown && len(Unmet(o)) == 0 }

func hasAny(o Observation, what string) bool {
	for _, d := range o.Degraded {
		if d.What == what {
			return true
		}
	}
	return false
}

// Rests returns the state that a finished attempt leaves the machine in (D6).
func Rests(out Outcome, after Observation) State {
	switch out {
	case Degraded, Failed:
		return FailedTransition
	}
	if after.Mode == Unknown {
		return FailedTransition
	}
	return Resting(after.Mode)
}

// EndEdges returns the events that lead from state s to where an attempt with
// outcome out rests (section 9.2). An expected refusal passes through
// failed-transition, so that both edges are on record.
func EndEdges(s State, out Outcome, after Observation) []Event {
	rest := Rests(out, after)
	m, resting := rest.Mode()
	switch {
	case s == rest && out != Blocked && out != Recovered:
		return nil
	case out == Blocked || out == Recovered || !resting:
		return failEdges(s, m, resting)
	case s == FailedTransition:
		return []Event{RecoveredMode(m)}
	case s == Boot:
		return []Event{AdoptMode(m)}
	case s != Transitioning && !directState(s, m):
		return []Event{DriftedTo(m)} // changed by somebody else meanwhile
	}
	return []Event{ReachedMode(m)}
}

func failEdges(s State, m Mode, resting bool) []Event {
	var out []Event
	if s == AtCompute {
		out = append(out, Begin) // compute has no direct edge to failure
	}
	if s != FailedTransition {
		out = append(out, Fail)
	}
	if resting {
		out = append(out, RecoveredMode(m))
	}
	return out
}

func directState(s State, m Mode) bool {
	from, resting := s.Mode()
	return resting && Direct(from, m)
}
