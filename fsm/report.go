package fsm

import (
	"fmt"
	"slices"
	"time"
)

// Condition is one of the four of specification section 26.2 that speak for making
// compute a specialisation of its own, and what the record says of it (D21).
type Condition struct {
	What     string `json:"what"`
	Holds    bool   `json:"holds"`
	Known    bool   `json:"known"` // false: the record cannot tell
	Evidence string `json:"evidence"`
}

// What counts as a persistent problem: so many attempts of which such a share failed
// at it; and as a persona: such a share of so long a time.
const (
	problemOf    = 10  // attempts
	problemShare = 0.1 // of them
	personaOf    = 30 * 24 * time.Hour
	personaShare = 0.9 // of it in compute
)

// Report judges the conditions by the attempts on record, oldest first.
func Report(attempts []Attempt, now time.Time) []Condition {
	return []Condition{
		{What: "compute needs other kernel parameters or boot-time configuration", Evidence: "no transition can show it: yours to say"},
		trouble("ending a graphical session is unreliable", attempts, "", StopDesktop, EndSession, MaskNow),
		trouble("the GPU is not handed over cleanly", attempts, "check_gpu_display_released", AwaitRelease),
		persona(attempts, now),
	}
}

// Specialise tells whether the conditions ask for a specialisation: any two of them.
func Specialise(all []Condition) bool {
	n := 0
	for _, c := range all {
		if c.Holds {
			n++
		}
	}
	return n >= 2
}

// trouble counts the attempts to compute that did the steps, and those that failed at
// them or were refused past their first judging by the guard.
func trouble(what string, attempts []Attempt, guard string, verbs ...Verb) Condition {
	did, bad := 0, 0
	for _, a := range attempts {
		tried, failed := false, false
		for _, s := range a.Steps {
			if s.Undo || a.To != Compute || !slices.Contains(verbs, s.Op.Verb) {
				continue
			}
			tried = true
			failed = failed || s.Result == "failed" || s.Result == "timeout"
		}
		failed = failed || tried && guard != "" && slices.ContainsFunc(a.Verdicts, func(v Verdict) bool { return v.Guard == guard && !v.OK })
		if tried {
			did++
		}
		if failed {
			bad++
		}
	}
	c := Condition{What: what, Known: did >= problemOf, Evidence: fmt.Sprintf("%d of %d attempts failed at it", bad, did)}
	if !c.Known {
		c.Evidence += fmt.Sprintf("; %d are needed to tell", problemOf)
	}
	c.Holds = c.Known && float64(bad) >= problemShare*float64(did)
	return c
}

// persona tells whether compute is what this host mostly is.
func persona(attempts []Attempt, now time.Time) Condition {
	c := Condition{What: "compute is more a server of its own than a temporary mode", Evidence: "no attempt is on record"}
	spans := Spans(attempts, now)
	if len(spans) == 0 {
		return c
	}
	whole, in := now.Sub(spans[0].From), time.Duration(0)
	for _, s := range spans {
		if s.Mode == Compute {
			in += s.To.Sub(s.From)
		}
	}
	share := float64(in) / float64(max(whole, 1))
	c.Evidence = fmt.Sprintf("%.0f %% of %.1f days in compute", 100*share, whole.Hours()/24)
	if c.Known = whole >= personaOf; !c.Known {
		c.Evidence += fmt.Sprintf("; %d days are needed to tell", personaOf/(24*time.Hour))
	}
	c.Holds = c.Known && share >= personaShare
	return c
}

// Span is a time that this host spent in one mode, as the record has it.
type Span struct {
	Mode Mode      `json:"mode"`
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Spans are the times between the attempts on record, oldest first, and that since the
// last. What was changed by hand in between is known by where the next attempt began.
func Spans(attempts []Attempt, now time.Time) (out []Span) {
	for i, a := range attempts {
		end := now
		if i+1 < len(attempts) {
			end = attempts[i+1].Begun
		}
		if end.Before(a.Ended) {
			end = a.Ended
		}
		out = append(out, Span{Mode: a.Final, From: a.Ended, To: end})
	}
	return out
}
