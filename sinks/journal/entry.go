package journal

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/modewatch/modewatch/fsm"
)

// Entry is a record as the journal takes it.
type Entry struct {
	ID     MessageID
	Level  zerolog.Level
	At     time.Time
	Text   string
	Fields []Field
}

// Field is one MODEWATCH_ field, named without that prefix.
type Field struct{ Name, Value string }

// Describe makes the entry of a record.
func Describe(r fsm.Record) Entry {
	e := Entry{Text: Text(r), Level: zerolog.InfoLevel}
	switch r := r.(type) {
	case fsm.Edge:
		e.edge(r)
	case fsm.AttemptBegun:
		e.begun(r)
	case fsm.AttemptEnded:
		e.ended(r.Attempt)
	case fsm.StepBegan:
		e.ID, e.At = StepBegun, r.At
		e.step(r.Attempt, r.N, r.Of, r.Step.Op, r.Undo)
	case fsm.StepEnded:
		e.ID, e.At = StepEnded, r.Result.Ended
		e.step(r.Attempt, r.N, r.Of, r.Result.Op, r.Result.Undo)
		e.add("OUTCOME", r.Result.Result, "CAUSE", orWord(r.Result.Cause, none), "MS", millis(r.Result.Ended.Sub(r.Result.Began)))
		e.warnUnless(r.Result.Result == "done")
	case fsm.Refusal:
		e.ID, e.At, e.Level = GuardBlocked, r.At, zerolog.WarnLevel
		v := r.Verdict
		e.add("ATTEMPT", r.Attempt, "GUARD", v.Guard, "CODE", strconv.Itoa(v.Code), "CAUSE", orWord(v.Reason, none))
		e.some("DETAIL", v.Detail)
	case fsm.Note:
		e.note(r)
	}
	return e
}

// none is the cause of what had none: the catalogue's texts name a cause always.
const none = "none"

// add appends pairs of name and value.
func (e *Entry) add(pairs ...string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		e.Fields = append(e.Fields, Field{pairs[i], pairs[i+1]})
	}
}

// some appends those pairs that have a value.
func (e *Entry) some(pairs ...string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			e.add(pairs[i], pairs[i+1])
		}
	}
}

func (e *Entry) warnUnless(good bool) {
	if !good {
		e.Level = zerolog.WarnLevel
	}
}

func (e *Entry) wish(w fsm.Wish) {
	if w.ID == "" {
		return
	}
	e.add("WISH", w.ID, "REASON", string(w.Reason))
	if w.By.UID >= 0 {
		e.add("UID", strconv.Itoa(w.By.UID))
	}
	if w.By.PID > 0 {
		e.add("PID", strconv.Itoa(w.By.PID))
	}
	e.some("CALLER_SESSION", w.By.Session, "CALLER_UNIT", w.By.Unit)
}

func (e *Entry) edge(r fsm.Edge) {
	e.ID, e.At = Edges[r.Row.On], r.At
	e.warnUnless(e.ID != EdgeFail && e.ID != EdgeDrift)
	e.add("EVENT", string(r.Row.On), "FROM", string(r.Row.From), "TO", string(r.Row.To), "CAUSE", orWord(r.Cause, none))
	e.some("ATTEMPT", r.Attempt)
	e.wish(r.Wish)
}

func (e *Entry) begun(r fsm.AttemptBegun) {
	e.ID, e.At = AttemptBegun, r.At
	e.add("ATTEMPT", r.ID, "KIND", string(r.Plan.Kind), "FROM", string(r.Plan.From), "TO", string(r.Plan.To))
	var steps []string
	for _, s := range r.Plan.Steps {
		steps = append(steps, s.Op.String())
	}
	e.some("PLAN", strings.Join(steps, "; "))
	e.wish(r.Wish)
}

func (e *Entry) ended(a fsm.Attempt) {
	e.ID, e.At = Outcomes[a.Outcome], a.Ended
	switch a.Outcome {
	case fsm.Degraded, fsm.Failed:
		e.Level = zerolog.ErrorLevel
	default:
		e.warnUnless(a.Outcome != fsm.Blocked && a.Outcome != fsm.Recovered && a.Outcome != fsm.Interrupted)
	}
	e.add("ATTEMPT", a.ID, "KIND", string(a.Kind), "FROM", string(a.From), "TO", string(a.To), "FINAL", string(a.Final),
		"OUTCOME", string(a.Outcome), "EXIT", strconv.Itoa(a.Exit), "CAUSE", orWord(a.Cause, none), "MS", millis(a.Ended.Sub(a.Begun)))
	var names []string
	for _, d := range a.Degraded {
		names = append(names, d.What)
	}
	e.some("HALT", string(a.Halt), "DEGRADED", strings.Join(names, " "), "JOINED", strings.Join(a.Joined, " "),
		"BYPASSED", strings.Join(a.Bypassed, " "))
	e.wish(a.Wish)
}

// argFields names the field of an operation's argument, a unit unless said here.
var argFields = map[fsm.Verb]string{
	fsm.EndSession: "SESSION", fsm.StopDesktop: "USER", fsm.StopAudio: "USER", fsm.StartAudio: "USER",
	fsm.AwaitRelease: "GPU", fsm.SetBudgets: "MODE",
}

func (e *Entry) step(attempt string, n, of int, op fsm.Op, undo bool) {
	field := argFields[op.Verb]
	if field == "" {
		field = "UNIT"
	}
	e.add("ATTEMPT", attempt, "STEP", opText(op), "VERB", string(op.Verb), "N", strconv.Itoa(n), "OF", strconv.Itoa(of))
	e.some(field, op.Arg)
	if undo {
		e.add("UNDO", "1")
	}
}

var noteLevels = map[string]zerolog.Level{
	fsm.NoteBadWish:    zerolog.WarnLevel,
	fsm.NoteGate:       zerolog.InfoLevel,
	fsm.NoteUnreadable: zerolog.WarnLevel,
	fsm.NoteDegraded:   zerolog.WarnLevel,
	fsm.NoteTable:      zerolog.ErrorLevel,
}

func (e *Entry) note(n fsm.Note) {
	e.ID, e.At = Notes[n.What], n.At
	if l, ok := noteLevels[n.What]; ok {
		e.Level = l
	} else {
		e.warnUnless(!strings.HasPrefix(n.Text, "cannot ")) // how every error of ours begins
	}
	e.add("NOTE", n.What, "CAUSE", orWord(n.Text, none))
	if n.Wish != nil {
		e.some("TO", string(n.Wish.Mode))
		e.wish(*n.Wish)
	}
}

func millis(d time.Duration) string { return fmt.Sprint(max(d, 0).Milliseconds()) }
