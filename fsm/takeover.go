package fsm

// Phase is where a running attempt stands, for a wish that comes meanwhile.
type Phase string

// The phases of an attempt.
const (
	Before  Phase = "before" // before the point of no return
	After   Phase = "after"  // after it
	Leaving Phase = "ending" // walking back, or already told to stop
)

// Decision is what to do with a wish that comes while an attempt runs (D9).
type Decision string

// The decisions.
const (
	Join     Decision = "join"      // the attempt serves this wish too
	WalkOff  Decision = "walk-back" // cancel, walk back, then follow the wish
	StopNext Decision = "stop-next" // stop at the next boundary, then plan from what is observed
	Queue    Decision = "queue"     // wait for the end, then follow
	Refuse   Decision = "refuse"    // a background trigger never takes over a person's attempt
)

// TakeOver is the take-over table: phase × same mode wished? × automatic?
var TakeOver = map[Phase]map[bool]map[bool]Decision{
	Before: {
		true:  {false: Join, true: Join},
		false: {false: WalkOff, true: Refuse},
	},
	After: {
		true:  {false: Join, true: Join},
		false: {false: StopNext, true: Refuse},
	},
	Leaving: {
		true:  {false: Queue, true: Refuse},
		false: {false: Queue, true: Refuse},
	},
}

// Decide looks up what a wish does to an attempt towards mode to.
func Decide(p Phase, to Mode, w Wish) Decision {
	return TakeOver[p][w.Mode == to][w.Reason.Automatic()]
}
