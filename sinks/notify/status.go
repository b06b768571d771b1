package notify

import (
	"fmt"
	"strings"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sinks/journal"
)

// Text tells a snapshot in one line, for STATUS: "compute since 12:03; wish
// compute", "→ compute: step 3/7 end-session 2, 12 s".
func Text(s fsm.Snapshot) string {
	if s.Attempt != nil {
		// One line, or what is awaited could pose as another message.
		return journal.Plain(running(*s.Attempt, s.At))
	}
	return journal.Plain(resting(s))
}

func running(r fsm.Running, now time.Time) string {
	text := fmt.Sprintf("→ %s: ", r.To)
	op := strings.TrimSpace(r.Op.String())
	switch r.Doing {
	case "step":
		text += fmt.Sprintf("step %d/%d %s", r.Step, r.Steps, op)
	case "undo":
		text = fmt.Sprintf("← %s: taking back: %s", r.From, op)
	default:
		text += r.Doing
	}
	if d := now.Sub(r.Since).Truncate(time.Second); d > 0 && !r.Since.IsZero() {
		text += ", " + span(d)
	}
	return text
}

func span(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%d s", d/time.Second)
	}
	return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
}

func resting(s fsm.Snapshot) string {
	text := fmt.Sprintf("%s since %s", s.State, clock(s.Since, s.At))
	if _, in := s.State.Mode(); !in {
		text += fmt.Sprintf(", %s is observed", s.Observation.Mode)
	}
	if len(s.Observation.Degraded) > 0 {
		var names []string
		for _, d := range s.Observation.Degraded {
			names = append(names, d.What)
		}
		text += " (" + strings.Join(names, ", ") + ")"
	}
	if s.Wish != nil {
		text += "; wish " + string(s.Wish.Mode)
	}
	if s.State == fsm.FailedTransition && s.Last != nil && s.Last.Cause != "" {
		text += "; " + s.Last.Cause
	}
	return text
}

// clock tells a moment of today by its time alone.
func clock(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04")
	}
	return t.Format("2006-01-02 15:04")
}
