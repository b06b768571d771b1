package fsm

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// IdlePolicy tells when nobody is at the machine, and what follows (section 16,
// D13).
type IdlePolicy struct {
	Watch     bool          // the input devices, though no background trigger needs it (D5)
	Deny      []string      // patterns of the names of devices that do not count
	After     time.Duration // without input, compute is wished; 0: never
	Countdown time.Duration // announced before, and called off by any input
	OnBlock   string        // OnBlockRevert or OnBlockKeep
	Studio    bool          // also from studio-local (section 16.4)
	MaxGPU    int           // percent that a GPU may be busy with
	Return    bool          // input in compute wishes for desktop
	Heal      bool          // what is lacking in a mode is started again
	Retry     bool          // a wish that was refused is tried again
}

// TerminalGrain is how late a terminal tells that it was typed on: its kernel file
// is stamped at most once in so long.
const TerminalGrain = 8 * time.Second

// What becomes of the wish of an idle host that did not get to compute.
const (
	OnBlockRevert = "revert" // what was wished before stands again
	OnBlockKeep   = "keep"
)

// For is how long nobody has touched the machine, in whole seconds, for a person.
func (i Idle) For() string { return i.Quiet.Round(time.Second).String() }

// Urge is what a background trigger wants of a host at rest.
type Urge struct {
	Reason Reason
	Mode   Mode
	Cause  string // what is seen
	// Key tells one occasion from another: an urge that was followed or told is
	// not felt again by the same one.
	Key string
}

// Weighed tells whether the guards are asked before the urge becomes a wish: one
// that may be refused for hours, and would be felt all the time.
func (u Urge) Weighed() bool { return u.Reason == ByIdle || u.Reason == ByRetry }

// fingersOff is how long after its start a mode is left to those who wished for it
// by a key: its release is input, too.
const fingersOff = 2 * time.Second

// Feel is the one place where the background triggers are decided on: what a host
// that has rested in o for so long wants, the most urgent first, and when to look
// again; 0 stands for no need to. refused is the wish that stands and was refused, if
// there is one. Whether it may is for the gate to say.
func Feel(o Observation, rested time.Duration, refused *Wish, f Facts, p Policy) (urges []Urge, again time.Duration) {
	if u := lacking(o, f, p); u != nil {
		urges = append(urges, *u)
	}
	if p.Idle.Retry && refused != nil && refused.Mode != o.Mode {
		urges = append(urges, Urge{ByRetry, refused.Mode, fmt.Sprintf("%s is wished and was refused", refused.Mode), refused.ID})
	}
	if !f.Idle.OK {
		return urges, 0
	}
	idle := f.Idle.Value
	switch {
	case o.Mode == Compute && p.Idle.Return && idle.Device != "" && idle.Quiet < rested-fingersOff:
		urges = append(urges, Urge{ByReturn, Desktop, "input on " + idle.Device, idle.Device})
	case o.Mode != Desktop && (o.Mode != StudioLocal || !p.Idle.Studio), p.Idle.After == 0:
	case idle.Quiet < p.Idle.After:
		again = p.Idle.After - idle.Quiet
	default:
		urges = append(urges, Urge{Reason: ByIdle, Mode: Compute, Cause: "no input for " + idle.For()})
	}
	return urges, again
}

// lacking is the urge to start again what a mode should have and has not, as
// after a unit's death.
func lacking(o Observation, f Facts, p Policy) *Urge {
	if !p.Idle.Heal || o.Mode == Unknown {
		return nil
	}
	plan, err := PlanFor(o, o.Mode, f, p)
	if err != nil || plan.Empty() {
		return nil
	}
	var what []string
	for _, s := range plan.Steps {
		what = append(what, s.Op.String())
	}
	return &Urge{ByDrift, o.Mode, "it lacks: " + strings.Join(what, ", "), strings.Join(what, ",")}
}

// Announced returns the plan with the countdown before it, for a wish that nobody
// makes now: whoever is there after all calls it off by any input (D13). A wish that
// is tried again is announced where it ends a session (D5).
func Announced(plan Plan, w Wish, p Policy) Plan {
	retry := w.Reason == ByRetry && slices.ContainsFunc(plan.Steps, func(s Step) bool { return s.Verb == EndSession || s.Verb == StopDesktop })
	if w.Reason != ByIdle && !retry || plan.Empty() || p.Idle.Countdown == 0 {
		return plan
	}
	first := Step{Op: Op{Countdown, p.Idle.Countdown.String()}, Deadline: p.Idle.Countdown + countdownSlack, Lasts: p.Idle.Countdown}
	plan.Steps = append([]Step{first}, plan.Steps...)
	return plan
}

// countdownSlack is what the announcement of a countdown may take of its own.
const countdownSlack = 10 * time.Second

// Undisturbed tells of a countdown that began so long ago whether it goes on: nobody
// has touched the machine since.
func Undisturbed(f Facts, since time.Duration) Progress {
	switch idle := f.Idle; {
	case !idle.OK:
		return never("cannot tell whether somebody is there: %s", idle.Why())
	case idle.Value.Quiet < since && idle.Value.Device == "":
		return never("watching for %s only, since %s", idle.Value.For(), idle.Value.Why)
	case idle.Value.Quiet < since:
		return never("input on %s", idle.Value.Device)
	}
	return done()
}
