package fsm

import "time"

// Verb is one kind of operation on the host (specification section 11.1).
type Verb string

// The verbs. All effects on the host are one of these; sinks/act does them.
const (
	Run          Verb = "run"           // start a oneshot unit and let it finish
	Start        Verb = "start"         // start a unit
	Stop         Verb = "stop"          // stop a unit
	Isolate      Verb = "isolate"       // isolate a target
	MaskNow      Verb = "mask-now"      // mask a unit at run time and stop it
	UnmaskNow    Verb = "unmask-now"    // unmask it and start it again
	EndSession   Verb = "end-session"   // terminate a logind session, then kill what stays
	StopDesktop  Verb = "stop-desktop"  // stop graphical-session.target of a user's manager
	StopAudio    Verb = "stop-audio"    // stop the audio stack of a user, sockets first
	StartAudio   Verb = "start-audio"   // start it again
	Drain        Verb = "drain"         // wait until an AI unit has no request
	AwaitRelease Verb = "await-release" // wait until nobody holds the display GPU
	AwaitReady   Verb = "await-ready"   // wait until an AI unit answers /health
	SetBudgets   Verb = "set-budgets"   // give the slices the budgets of a mode
	Countdown    Verb = "countdown"     // announce what is to come, and wait whether somebody is there
)

// Op is one operation: a verb and what it is done to. Arg is a unit name, a
// session id, a uid in decimal, a mode, or a duration, by the verb. Ops compare with ==.
type Op struct {
	Verb Verb   `json:"verb"`
	Arg  string `json:"arg"`
}

func (o Op) String() string { return string(o.Verb) + " " + o.Arg }

// Waits tells whether the operation changes nothing and only waits.
func (o Op) Waits() bool {
	return o.Verb == Drain || o.Verb == AwaitRelease || o.Verb == AwaitReady || o.Verb == Countdown
}

// Step is one operation of a plan with its bound and what takes it back (D7).
type Step struct {
	Op
	Deadline time.Duration `json:"deadline"`
	Undo     Op            `json:"undo"`                   // the zero Op: nothing to take back
	Final    bool          `json:"irreversible,omitempty"` // the point of no return is at the first such step
	Yields   bool          `json:"yields_gpu,omitempty"`   // hands the GPU to somebody else
	// UndoYields: taking it back hands the GPU to somebody else.
	UndoYields bool `json:"undo_yields_gpu,omitempty"`
	// Lasts is how long what is awaited must hold; 0: to be seen once is enough.
	Lasts time.Duration `json:"lasts,omitempty"`
	// Optional: a unit that does not exist makes the step a no-op.
	Optional bool `json:"optional,omitempty"`
}

// Guarded tells whether hard guards are judged again right before the step (D8).
func (s Step) Guarded() bool { return s.Final || s.Yields }

// Kind says what sort of plan it is.
type Kind string

// The kinds of plans.
const (
	Transition Kind = "transition" // between two modes
	Repair     Kind = "repair"     // within a mode: what should be up and is not
	Normalise  Kind = "normalise"  // start desktop.target, nothing else (D7)
	WalkBack   Kind = "walk-back"  // take back the steps of an attempt that was interrupted (D11)
)

// Plan is an ordered list of steps from one mode to another.
type Plan struct {
	Kind  Kind     `json:"kind"`
	From  Mode     `json:"from"`
	To    Mode     `json:"to"`
	Steps []Step   `json:"steps"`
	Stops []string `json:"stops,omitempty"` // the isolate's stop set, computed before
	Ends  []string `json:"ends,omitempty"`  // ids of the sessions that it ends
}

// Empty tells whether there is nothing to do.
func (p Plan) Empty() bool { return len(p.Steps) == 0 }

// Has tells whether the plan has a step with the verb.
func (p Plan) Has(v Verb) bool {
	for _, s := range p.Steps {
		if s.Verb == v {
			return true
		}
	}
	return false
}

// Isolates returns the target that the plan isolates, or "".
func (p Plan) Isolates() string {
	for _, s := range p.Steps {
		if s.Verb == Isolate {
			return s.Arg
		}
	}
	return ""
}

// Undo returns the operations that take back the first n steps, last first (D8).
func (p Plan) Undo(n int) []Step {
	var out []Step
	for i := min(n, len(p.Steps)) - 1; i >= 0; i-- {
		s := p.Steps[i]
		if s.Undo == (Op{}) {
			continue
		}
		back := Step{Op: s.Undo, Deadline: s.Deadline, Yields: s.UndoYields, Optional: true}
		out = append(out, back)
	}
	return out
}
