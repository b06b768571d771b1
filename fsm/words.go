// Package fsm owns every decision of modewatch and no effect: the vocabulary,
// the state table that looplab/fsm walks, the facts of a host, the classifier,
// the plans, the gate and the take-over table. It imports no os, no net, reads
// no clock and starts no goroutine, so that everything in it can be tested by
// values alone.
package fsm

import (
	"fmt"
	"strings"
	"time"
)

// Mode is what a host can rest in (specification section 4.1).
type Mode string

// The three modes, and Unknown for an observation that could not be made. An
// unknown mode is told and never starts a plan.
const (
	Desktop     Mode = "desktop"
	StudioLocal Mode = "studio-local"
	Compute     Mode = "compute"
	Unknown     Mode = "unknown"
)

// Modes lists the modes in the order of the specification.
var Modes = []Mode{Desktop, StudioLocal, Compute}

// ParseMode returns the mode that a word names, and whether it names one.
func ParseMode(word string) (Mode, bool) {
	for _, m := range Modes {
		if string(m) == word {
			return m, true
		}
	}
	return Unknown, false
}

// State is what the controller is doing (specification section 9.1). A mode's
// name is also the name of the state of resting in it.
type State string

// The six states.
const (
	Boot             State = "boot"
	AtDesktop        State = "desktop"
	AtStudioLocal    State = "studio-local"
	AtCompute        State = "compute"
	Transitioning    State = "transitioning"
	FailedTransition State = "failed-transition"
)

// States lists all states in the order of the specification.
var States = []State{Boot, AtDesktop, AtStudioLocal, AtCompute, Transitioning, FailedTransition}

// Resting returns the state of resting in m.
func Resting(m Mode) State { return State(m) }

// Mode returns the mode that s rests in, and false if s rests in none.
func (s State) Mode() (Mode, bool) { return ParseMode(string(s)) }

// Reason says why a wish exists (D1).
type Reason string

// The reasons. Idle, Return, Drift and Retry are background triggers.
const (
	ByRequest  Reason = "request"
	ByFile     Reason = "file"
	ByBoot     Reason = "boot"
	ByIdle     Reason = "idle"
	ByReturn   Reason = "return"
	ByDrift    Reason = "drift"
	ByRetry    Reason = "retry"
	ByRecovery Reason = "recovery"
)

// Automatic tells whether no person asked just now: such wishes are judged more
// strictly (D8, D14).
func (r Reason) Automatic() bool {
	switch r {
	case ByIdle, ByReturn, ByDrift, ByRetry:
		return true
	}
	return false
}

// Caller is who made a wish. UID is -1 and the rest empty where unknown, as for
// a wish that was found in the file (D4, D19).
type Caller struct {
	UID     int    `json:"uid"`
	PID     int    `json:"pid,omitempty"`
	Unit    string `json:"unit,omitempty"`
	Session string `json:"session,omitempty"`
}

// String tells who it is: "uid 1000 (PID 812, session 3)", "" where nobody is known.
func (c Caller) String() string {
	var words, from []string
	if c.UID >= 0 {
		words = append(words, fmt.Sprintf("uid %d", c.UID))
	}
	if c.PID > 0 {
		from = append(from, fmt.Sprintf("PID %d", c.PID))
	}
	switch {
	case c.Session != "":
		from = append(from, "session "+c.Session)
	case c.Unit != "":
		from = append(from, c.Unit)
	}
	if len(from) > 0 {
		words = append(words, "("+strings.Join(from, ", ")+")")
	}
	return strings.Join(words, " ")
}

// By tells by whom something was done, to stand behind what it was: " by uid 1000
// (PID 812, session 3)", "" where nobody is known.
func (c Caller) By() string {
	if who := c.String(); who != "" {
		return " by " + who
	}
	return ""
}

// NoCaller is the caller of a wish whose maker is not known.
var NoCaller = Caller{UID: -1}

// Wish is what somebody wants (D1).
type Wish struct {
	ID     string    `json:"id"`
	Mode   Mode      `json:"mode"`
	Reason Reason    `json:"reason"`
	By     Caller    `json:"by"`
	At     time.Time `json:"at"`
	// Force asks to bypass soft guards; without Policy.Force it is refused (D15).
	Force bool `json:"force,omitempty"`
}

// Outcome is how an attempt ended (D6).
type Outcome string

// The outcomes of D6.
const (
	Reached     Outcome = "reached"
	Noop        Outcome = "noop"
	Blocked     Outcome = "blocked"
	Cancelled   Outcome = "cancelled"
	Superseded  Outcome = "superseded"
	Recovered   Outcome = "recovered"
	Degraded    Outcome = "degraded"
	Failed      Outcome = "failed"
	Interrupted Outcome = "interrupted"
)

// Outcomes lists all outcomes in the order of D6.
var Outcomes = []Outcome{Reached, Noop, Blocked, Cancelled, Superseded, Recovered, Degraded, Failed, Interrupted}

// Exit codes that are not a guard's (D6).
const (
	ExitReached    = 0
	ExitMisuse     = 30
	ExitNoForce    = 31
	ExitNotAllowed = 32
	ExitRecovered  = 40
	ExitDegraded   = 41
	ExitCancelled  = 42
	ExitLocked     = 43
	ExitTimeout    = 44
)

// ExitCode is the exit code of a command whose attempt ended with o; blocking is
// the code of the guard that blocked it (BlockCode), timedOut tells whether a
// deadline was the cause (D6).
func ExitCode(o Outcome, blocking int, timedOut bool) int {
	switch o {
	case Reached, Noop:
		return ExitReached
	case Blocked:
		return blocking
	case Cancelled, Superseded:
		return ExitCancelled
	case Recovered:
		if timedOut {
			return ExitTimeout
		}
		return ExitRecovered
	case Failed:
		if timedOut {
			return ExitTimeout
		}
	}
	return ExitDegraded
}
