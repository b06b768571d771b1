package fsm

import "time"

// Schema is the version of every JSON document that modewatch writes (D19).
const Schema = 1

// Verdict is a guard's answer (section 24.3). Code 0 passes, 10-19 block, 20-29
// cannot tell; OK is Code == 0.
type Verdict struct {
	Guard  string `json:"guard"`
	OK     bool   `json:"ok"`
	Code   int    `json:"code"`
	Reason string `json:"reason"`
	Detail string `json:"detail,omitempty"`
	Hard   bool   `json:"hard"`
}

// Snapshot is what readers see: swapped whole, written to state.json.
type Snapshot struct {
	Schema      int         `json:"schema"`
	At          time.Time   `json:"at"`
	PID         int         `json:"pid"`
	Boot        string      `json:"boot"`
	State       State       `json:"state"`
	Since       time.Time   `json:"since"` // of the state
	Observation Observation `json:"observation"`
	Wish        *Wish       `json:"wish,omitempty"`
	Attempt     *Running    `json:"attempt,omitempty"`
	Last        *Attempt    `json:"last,omitempty"`
	Notes       []Note      `json:"notes,omitempty"`
	// Waits says what a background trigger waits for before it acts (D5, D13).
	Waits string `json:"waits,omitempty"`
}

// Current is the observed word of section 23.2: the mode, or what the controller is
// about where it does not rest in it.
func (s Snapshot) Current() State {
	switch {
	case s.Attempt != nil || s.State == Transitioning:
		return Transitioning
	case s.State == FailedTransition:
		return FailedTransition
	}
	return State(s.Observation.Mode)
}

// Running is the attempt under way.
type Running struct {
	ID    string    `json:"id"`
	Wish  Wish      `json:"wish"`
	Kind  Kind      `json:"kind"`
	From  Mode      `json:"from"`
	To    Mode      `json:"to"`
	Doing string    `json:"doing"` // observing, judging, step, undo
	Step  int       `json:"step"`  // from 1; 0 before the first
	Steps int       `json:"steps"`
	Op    Op        `json:"op"`
	Await string    `json:"await,omitempty"`
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	Phase Phase     `json:"phase"`
	Begun time.Time `json:"begun"`
}

// Attempt is the record of one finished attempt (last-transition.json, §21.2).
type Attempt struct {
	Schema   int          `json:"schema"`
	ID       string       `json:"id"`
	Wish     Wish         `json:"wish"`
	Kind     Kind         `json:"kind"`
	From     Mode         `json:"prior"`
	To       Mode         `json:"requested"`
	Final    Mode         `json:"final"`
	Outcome  Outcome      `json:"outcome"`
	Success  bool         `json:"success"`
	Exit     int          `json:"exit"`
	Halt     Halt         `json:"halt,omitempty"`
	Cause    string       `json:"cause,omitempty"`
	Begun    time.Time    `json:"begun"`
	Ended    time.Time    `json:"ended"`
	Verdicts []Verdict    `json:"guards"`
	Steps    []StepResult `json:"actions"`
	Degraded []Deviation  `json:"degraded,omitempty"`
	Evidence []string     `json:"evidence,omitempty"`
	Joined   []string     `json:"joined,omitempty"`   // ids of wishes that it served besides
	Bypassed []string     `json:"bypassed,omitempty"` // soft guards that force passed over
	// Looked is the time spent observing and judging, in nanoseconds: that of the
	// looks that proved the steps is in it, the waits for what they proved are not.
	Looked time.Duration `json:"looked_ns"`
	// LookedCPU is the controller's CPU time in it, where it is measured.
	LookedCPU time.Duration `json:"looked_cpu_ns,omitempty"`
}

// Serves tells whether the attempt was made for the wish with this id.
func (a Attempt) Serves(wish string) bool {
	if a.Wish.ID == wish {
		return true
	}
	for _, id := range a.Joined {
		if id == wish {
			return true
		}
	}
	return false
}

// StepResult is how one step went.
type StepResult struct {
	Op     Op        `json:"op"`
	Undo   bool      `json:"undo,omitempty"`
	Result string    `json:"result"` // done, failed, timeout, refused, interrupted
	Cause  string    `json:"cause,omitempty"`
	Began  time.Time `json:"began"`
	Ended  time.Time `json:"ended"`
	// Looked is the time of the look that proved it, in nanoseconds: those before
	// were part of the wait.
	Looked time.Duration `json:"looked_ns,omitempty"`
}

// Intent is the write-ahead record of a running attempt, on disk before each
// step (D6, D11).
type Intent struct {
	Schema   int       `json:"schema"`
	Boot     string    `json:"boot"`
	ID       string    `json:"id"`
	Wish     Wish      `json:"wish"`
	Plan     Plan      `json:"plan"`
	Step     int       `json:"step"` // how many steps were begun
	NoReturn bool      `json:"past_no_return"`
	Undoing  bool      `json:"undoing,omitempty"`
	Begun    time.Time `json:"begun"`
}

// Record is one line of the story, in the order in which things happened:
// an Edge, AttemptBegun, AttemptEnded, StepBegan, StepEnded, Refusal or Note.
type Record interface{ record() }

// Edge is one walked edge of the table.
type Edge struct {
	Row     Row       `json:"row"`
	At      time.Time `json:"at"`
	Attempt string    `json:"attempt,omitempty"`
	Wish    Wish      `json:"wish"`
	Cause   string    `json:"cause,omitempty"`
}

// AttemptBegun tells that an attempt holds the lock and has a plan.
type AttemptBegun struct {
	ID   string
	Wish Wish
	Plan Plan
	At   time.Time
}

// AttemptEnded carries the whole record of an attempt.
type AttemptEnded struct{ Attempt Attempt }

// StepBegan and StepEnded frame one operation.
type StepBegan struct {
	Attempt string
	N, Of   int
	Step    Step
	Undo    bool
	At      time.Time
}

// StepEnded is the end of a step.
type StepEnded struct {
	Attempt string
	N, Of   int
	Result  StepResult
}

// Refusal is a verdict that blocks an attempt.
type Refusal struct {
	Attempt string
	Verdict Verdict
	At      time.Time
}

// Note is something that happened outside attempts: a refused wish, a shut
// gate, a failed observation. What is one of the Note words.
type Note struct {
	What string    `json:"what"`
	Text string    `json:"text"`
	At   time.Time `json:"at"`
	Wish *Wish     `json:"wish,omitempty"`
}

// The words of Note.What.
const (
	NoteBadWish    = "wish-refused"
	NoteGate       = "gate-closed"
	NoteUnreadable = "observation-failed"
	NoteDegraded   = "degraded"
	NoteTable      = "table-refused"
	NoteConfig     = "config"
	NoteSource     = "source"
)

func (Edge) record()         {}
func (AttemptBegun) record() {}
func (AttemptEnded) record() {}
func (StepBegan) record()    {}
func (StepEnded) record()    {}
func (Refusal) record()      {}
func (Note) record()         {}
