package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// names finds people's names for the sessions and uids that steps speak of.
type names struct{ logins fsm.Logins }

func (n names) session(id string) string {
	for _, s := range n.logins.Sessions {
		if s.ID == id {
			return fmt.Sprintf("session %s of %s", id, s.User)
		}
	}
	return "session " + id
}

func (n names) uid(arg string) string {
	uid, err := strconv.Atoi(arg)
	if err != nil {
		return arg
	}
	for _, u := range n.logins.Users {
		if u.UID == uid {
			return u.Name
		}
	}
	return userName(uid)
}

// doing tells an operation as one does it: "end session 2 of alice".
func (n names) doing(op fsm.Op) string {
	switch op.Verb {
	case fsm.Run:
		return "run " + op.Arg + " to its end"
	case fsm.Start:
		return "start " + op.Arg
	case fsm.Stop:
		return "stop " + op.Arg
	case fsm.Isolate:
		return "isolate " + op.Arg
	case fsm.MaskNow:
		return "stop " + op.Arg + " and mask it"
	case fsm.UnmaskNow:
		return "unmask " + op.Arg + " and start it"
	case fsm.EndSession:
		return "end " + n.session(op.Arg)
	case fsm.StopDesktop:
		return "stop the desktop of " + n.uid(op.Arg)
	case fsm.StopAudio:
		return "stop the audio of " + n.uid(op.Arg)
	case fsm.StartAudio:
		return "start the audio of " + n.uid(op.Arg)
	case fsm.Drain:
		return "wait until " + op.Arg + " has no request"
	case fsm.AwaitRelease:
		return "wait until nobody holds the display GPU"
	case fsm.AwaitReady:
		return "wait until " + op.Arg + " answers"
	case fsm.SetBudgets:
		return "give the slices the budgets of " + op.Arg
	}
	return op.String()
}

// undoing tells what takes a step back, "" for one that nothing does.
func undoing(s fsm.Step) string {
	switch u := s.Undo; u.Verb {
	case "":
		return ""
	case fsm.Isolate:
		return "isolating " + u.Arg
	case fsm.SetBudgets:
		return "the budgets of " + u.Arg
	case fsm.Start, fsm.StartAudio:
		return "starting it again"
	case fsm.Stop, fsm.StopAudio:
		return "stopping it"
	case fsm.UnmaskNow:
		return "unmasking and starting it"
	case fsm.MaskNow:
		return "masking and stopping it"
	default:
		return u.String()
	}
}

// course tells from where to where an attempt goes. Until it has looked at the host it
// does not know from where.
func course(r fsm.Running) string {
	return strings.TrimSpace(string(r.From) + " → " + string(r.To))
}

// progress tells in one line what an attempt is at: the step, what it waits
// for, for how long and until when.
func progress(r fsm.Running, now time.Time) string {
	return progressStep(r) + " — " + waiting(r, now)
}

// progressStep is the part of progress that changes with the step alone.
func progressStep(r fsm.Running) string {
	what := ""
	switch {
	case r.Doing == "undo":
		what = "taking back: " + names{}.doing(r.Op)
	case r.Doing == "judging":
		return "judging again before the step: " + names{}.doing(r.Op)
	case r.Step == 0:
		what = "looking and judging"
	default:
		what = fmt.Sprintf("step %d/%d: %s", r.Step, r.Steps, names{}.doing(r.Op))
	}
	if a := awaits(r); a != "" {
		what += ": " + a
	}
	return what
}

// awaits tells what has to come. A holder of the GPU is named as it is, all
// else is worded as what one waits for.
func awaits(r fsm.Running) string {
	switch {
	case r.Await == "" || r.Step == 0 || strings.HasPrefix(r.Await, "systemd to take"):
		return ""
	case r.Op.Verb == fsm.AwaitRelease:
		return r.Await
	}
	return "waiting for " + r.Await
}

// waiting tells for how long and, where there is a bound, for how long at most.
func waiting(r fsm.Running, now time.Time) string {
	text := span(now.Sub(r.Since))
	if !r.Until.IsZero() {
		text += ", at most " + span(r.Until.Sub(r.Since))
	}
	return text
}

// ended tells how an attempt ended, in one sentence that stands alone.
func ended(a fsm.Attempt) string {
	what := fmt.Sprintf("%s → %s", a.From, a.To)
	within := took(a.Ended.Sub(a.Begun))
	switch a.Outcome {
	case fsm.Noop:
		return fmt.Sprintf("already in %s: nothing was to be done", a.To)
	case fsm.Reached:
		if a.From == a.To {
			return fmt.Sprintf("%s is in order again, after %s", a.To, within)
		}
		return fmt.Sprintf("%s reached from %s in %s", a.To, a.From, within)
	case fsm.Blocked:
		return what + " is blocked, nothing was changed"
	case fsm.Cancelled:
		return fmt.Sprintf("%s was cancelled; this host is in %s", what, a.Final)
	case fsm.Superseded:
		return fmt.Sprintf("%s gave way to another wish; this host is in %s", what, a.Final)
	case fsm.Recovered:
		return fmt.Sprintf("%s failed and was taken back; this host is in %s", what, a.Final)
	case fsm.Degraded:
		if a.Final == a.To {
			return fmt.Sprintf("%s was reached but is not in order", a.To)
		}
		return fmt.Sprintf("%s failed and was only half taken back; this host is in %s, not in order", what, a.Final)
	case fsm.Failed:
		return fmt.Sprintf("%s failed; this host is in %s, not in order", what, a.Final)
	case fsm.Interrupted:
		return fmt.Sprintf("%s was interrupted; this host was in %s then", what, a.Final)
	}
	return fmt.Sprintf("%s ended as %s", what, a.Outcome)
}

// paintOutcome colours a text by how well an attempt ended.
func (s style) paintOutcome(o fsm.Outcome, text string) string {
	switch o {
	case fsm.Reached, fsm.Noop:
		return s.good(text)
	case fsm.Degraded, fsm.Failed:
		return s.bad(text)
	}
	return s.warn(text)
}

// refusals returns the verdicts of an attempt that refused it. Those that force
// passed over did not.
func refusals(a fsm.Attempt) []fsm.Verdict {
	var out []fsm.Verdict
	for _, v := range a.Verdicts {
		if v.Code != 0 && !slices.Contains(a.Bypassed, v.Guard) {
			out = append(out, v)
		}
	}
	return out
}
