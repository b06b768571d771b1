package journal

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/modewatch/modewatch/fsm"
)

// Text tells a record as a sentence for people. The journal, the command line
// and the demo all print this one. It is always a single line that is safe to
// print on a terminal, whatever the names of processes are.
func Text(r fsm.Record) string {
	switch r := r.(type) {
	case fsm.Edge:
		return Plain(edgeText(r))
	case fsm.AttemptBegun:
		return Plain(begunText(r))
	case fsm.AttemptEnded:
		return Plain(endedText(r.Attempt))
	case fsm.StepBegan:
		return Plain(stepText(r.N, r.Of, r.Step.Op, r.Undo))
	case fsm.StepEnded:
		return Plain(stepText(r.N, r.Of, r.Result.Op, r.Result.Undo) + " — " + resultText(r.Result))
	case fsm.Refusal:
		return Plain(refusalText(r.Verdict))
	case fsm.Note:
		return Plain(noteText(r))
	}
	return fmt.Sprintf("a record of unknown type %T", r)
}

// Plain makes one line of a text and takes out what would control a terminal.
func Plain(text string) string {
	text = strings.Map(func(c rune) rune {
		switch {
		case unicode.IsSpace(c):
			return ' '
		case unicode.IsControl(c), unicode.Is(unicode.Bidi_Control, c):
			return unicode.ReplacementChar
		}
		return c
	}, strings.ToValidUTF8(text, string(unicode.ReplacementChar)))
	return strings.TrimSpace(text)
}

func edgeText(e fsm.Edge) string {
	return fmt.Sprintf("%s → %s: %s", e.Row.From, e.Row.To, edgeWhy(e))
}

func edgeWhy(e fsm.Edge) string {
	switch Edges[e.Row.On] {
	case EdgeBegin:
		return WishText(e.Wish)
	case EdgeAdopt:
		return "found like this at the start" + because(e.Cause)
	case EdgeReached:
		return string(e.Row.To) + " is observed"
	case EdgeRecover:
		return string(e.Row.To) + " is observed in order"
	case EdgeDrift:
		return orWord(e.Cause, "changed by hand")
	}
	return orWord(e.Cause, string(e.Row.On))
}

// WishText tells who wants what: "request for compute by uid 1000 (PID 812,
// session 3)".
func WishText(w fsm.Wish) string {
	text := wishWhat(w)
	if w.Force {
		text = "forced " + text
	}
	if w.Reason == fsm.ByBoot {
		return text
	}
	return text + w.By.By()
}

var wishWhats = map[fsm.Reason]string{
	fsm.ByRequest:  "request for %s",
	fsm.ByFile:     "%s was written to desired",
	fsm.ByBoot:     "the boot's wish for %s",
	fsm.ByIdle:     "idle, so %s is wished",
	fsm.ByReturn:   "somebody came back, so %s is wished",
	fsm.ByDrift:    "drifted, back to %s",
	fsm.ByRetry:    "what blocked %s is gone, trying again",
	fsm.ByRecovery: "recovery towards %s",
}

func wishWhat(w fsm.Wish) string {
	format := wishWhats[w.Reason]
	if format == "" {
		format = "wish for %s"
	}
	return fmt.Sprintf(format, w.Mode)
}

func begunText(a fsm.AttemptBegun) string {
	p := a.Plan
	text := fmt.Sprintf("%s → %s", p.From, p.To)
	switch p.Kind {
	case fsm.Repair:
		text = fmt.Sprintf("repair of %s", p.To)
	case fsm.Normalise:
		text = fmt.Sprintf("normal start of %s", p.To)
	case fsm.WalkBack:
		text = fmt.Sprintf("walk back to %s", p.To)
	}
	steps := fmt.Sprintf("%d steps", len(p.Steps))
	switch {
	case p.Empty() && p.From == p.To:
		text, steps = "in "+string(p.To), "nothing to do"
	case p.Empty():
		steps = "no plan"
	case len(p.Steps) == 1:
		steps = "1 step"
	}
	return fmt.Sprintf("attempt %s, %s, %s: %s", a.ID, text, steps, WishText(a.Wish))
}

func endedText(a fsm.Attempt) string {
	in := Took(a.Ended.Sub(a.Begun))
	switch a.Outcome {
	case fsm.Reached:
		return fmt.Sprintf("%s reached in %s", a.To, in) + withDeviations(a)
	case fsm.Noop:
		return fmt.Sprintf("already in %s, nothing to do", a.To) + withDeviations(a)
	case fsm.Blocked:
		return fmt.Sprintf("blocked on the way to %s, %s stays", a.To, a.Final) + because(a.Cause)
	case fsm.Cancelled:
		return fmt.Sprintf("cancelled on the way to %s after %s, in %s", a.To, in, a.Final) + because(a.Cause)
	case fsm.Superseded:
		return fmt.Sprintf("superseded on the way to %s after %s, in %s", a.To, in, a.Final) + because(a.Cause)
	case fsm.Recovered:
		return fmt.Sprintf("walked back to %s", a.Final) + because(a.Cause)
	case fsm.Degraded:
		return fmt.Sprintf("degraded, in %s after %s", a.Final, in) + because(a.Cause) + withDeviations(a)
	case fsm.Interrupted:
		return fmt.Sprintf("interrupted on the way to %s", a.To) + because(a.Cause)
	}
	return fmt.Sprintf("%s on the way to %s after %s, in %s", a.Outcome, a.To, in, a.Final) + because(a.Cause)
}

func withDeviations(a fsm.Attempt) string {
	if len(a.Degraded) == 0 {
		return ""
	}
	var names []string
	for _, d := range a.Degraded {
		names = append(names, d.What)
	}
	return " (" + strings.Join(names, ", ") + ")"
}

func stepText(n, of int, op fsm.Op, undo bool) string {
	if undo {
		return "taking back: " + opText(op)
	}
	return fmt.Sprintf("step %d/%d: %s", n, of, opText(op))
}

// opText names an operation; one without an argument has no blank at its end.
func opText(op fsm.Op) string { return strings.TrimSpace(op.String()) }

func resultText(s fsm.StepResult) string {
	in := Took(s.Ended.Sub(s.Began))
	if s.Result == "done" {
		return "done in " + in
	}
	return fmt.Sprintf("%s after %s", s.Result, in) + because(s.Cause)
}

func refusalText(v fsm.Verdict) string {
	code := fmt.Sprint(v.Code)
	if v.Code >= 20 {
		code += ", cannot tell"
	}
	return fmt.Sprintf("blocked: %s (%s)", v.Guard, code) + because(v.Reason)
}

var noteLeads = map[string]string{
	fsm.NoteBadWish:    "wish refused",
	fsm.NoteUnreadable: "cannot observe the host",
	fsm.NoteDegraded:   "degraded",
	fsm.NoteTable:      "error in modewatch",
}

func noteText(n fsm.Note) string {
	lead := noteLeads[n.What]
	if lead == "" || strings.HasPrefix(n.Text, lead) {
		return n.Text
	}
	return lead + because(n.Text)
}

func because(cause string) string {
	if cause == "" {
		return ""
	}
	return ": " + cause
}

func orWord(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// Took tells a span: "0.042 s", "0.42 s", "4.2 s", "42 s", "10 min 3 s".
func Took(d time.Duration) string {
	s := max(d, 0).Seconds()
	switch {
	case s < 0.0995:
		return fmt.Sprintf("%.3f s", s)
	case s < 0.995:
		return fmt.Sprintf("%.2f s", s)
	case s < 9.95:
		return fmt.Sprintf("%.1f s", s)
	case s < 59.5:
		return fmt.Sprintf("%.0f s", s)
	}
	d = d.Round(time.Second)
	return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
}
