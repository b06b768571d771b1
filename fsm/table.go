package fsm

// Event is a fact in the past tense that moves the table (design section 5).
// There is one destination per (event, source), hence an event for each mode.
type Event string

// The events that name no mode.
const (
	Begin Event = "begin"
	Fail  Event = "fail"
)

// ReachedMode, RecoveredMode, AdoptMode and DriftedTo name the events that end
// in mode m.
func ReachedMode(m Mode) Event   { return "reached-" + Event(m) }
func RecoveredMode(m Mode) Event { return "recovered-" + Event(m) }
func AdoptMode(m Mode) Event     { return "adopt-" + Event(m) }
func DriftedTo(m Mode) Event     { return "drifted-to-" + Event(m) }

// Row is one edge of the table.
type Row struct {
	On   Event
	From State
	To   State
}

// Table is the state machine of specification section 9.2 with the edges that
// design section 5 adds. Desktop and studio-local are joined by direct edges,
// fired when the overlay is observed; all other transitions pass through
// transitioning.
var Table = []Row{
	// The first observation of a start (D11).
	{AdoptMode(Desktop), Boot, AtDesktop},
	{AdoptMode(StudioLocal), Boot, AtStudioLocal},
	{AdoptMode(Compute), Boot, AtCompute},

	// An attempt begins. A boot may normalise, a failed host may try again.
	{Begin, Boot, Transitioning},
	{Begin, AtDesktop, Transitioning},
	{Begin, AtStudioLocal, Transitioning},
	{Begin, AtCompute, Transitioning},
	{Begin, FailedTransition, Transitioning},

	// An attempt ends in an observed mode.
	{ReachedMode(Desktop), Transitioning, AtDesktop},
	{ReachedMode(StudioLocal), Transitioning, AtStudioLocal},
	{ReachedMode(Compute), Transitioning, AtCompute},
	{ReachedMode(StudioLocal), AtDesktop, AtStudioLocal},
	{ReachedMode(Desktop), AtStudioLocal, AtDesktop},

	// An attempt fails; a guard's refusal is a failure too (guard_fail).
	{Fail, Boot, FailedTransition},
	{Fail, Transitioning, FailedTransition},
	{Fail, AtDesktop, FailedTransition},
	{Fail, AtStudioLocal, FailedTransition},

	// A clean observation ends the failure.
	{RecoveredMode(Desktop), FailedTransition, AtDesktop},
	{RecoveredMode(StudioLocal), FailedTransition, AtStudioLocal},
	{RecoveredMode(Compute), FailedTransition, AtCompute},

	// The host was changed by hand.
	{DriftedTo(StudioLocal), AtDesktop, AtStudioLocal},
	{DriftedTo(Compute), AtDesktop, AtCompute},
	{DriftedTo(Desktop), AtStudioLocal, AtDesktop},
	{DriftedTo(Compute), AtStudioLocal, AtCompute},
	{DriftedTo(Desktop), AtCompute, AtDesktop},
	{DriftedTo(StudioLocal), AtCompute, AtStudioLocal},
}

// Events lists the events of the table in the order of their first row.
func Events() []Event {
	var out []Event
	seen := map[Event]bool{}
	for _, r := range Table {
		if !seen[r.On] {
			seen[r.On] = true
			out = append(out, r.On)
		}
	}
	return out
}

// Direct tells whether a plan from one mode to another keeps resting until the
// target is observed, instead of passing through transitioning (section 9.2).
func Direct(from, to Mode) bool {
	return from == Desktop && to == StudioLocal || from == StudioLocal && to == Desktop
}
