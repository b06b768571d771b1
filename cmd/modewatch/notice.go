package main

import (
	"strings"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// notice is what is shown of a transition on a desktop.
type notice struct {
	summary, body string
	urgency       byte // 0 low, 1 normal, 2 critical: stays until it is dismissed
	progress      int  // percent of the steps, -1 once it is over
	cancel        bool // it can be taken back yet
}

// missed is for how long a failure is told to who was not there to see it: it may
// have ended the session that would have shown it.
const missed = 10 * time.Minute

// noticer decides what is to be shown, from what is known now and before.
type noticer struct {
	began bool
	ended string // the attempt whose end is not news any more
	shown notice
}

// next returns what is to be shown now, and whether it is anything new.
func (n *noticer) next(o overview) (notice, bool) {
	show, any := notice{}, false
	switch {
	case o.Attempt != nil:
		show, any = underWay(*o.Attempt)
	case o.Last != nil && o.Last.ID != n.ended && (n.began || news(*o.Last, o.At)):
		show, any = over(*o.Last)
	}
	if o.Last != nil {
		n.ended = o.Last.ID
	}
	n.began = true
	if !any || show == n.shown {
		return notice{}, false
	}
	n.shown = show
	return show, true
}

// news tells whether who has come just now should learn of an attempt's end.
func news(a fsm.Attempt, now time.Time) bool {
	return !a.Success && now.Sub(a.Ended) < missed
}

// underWay is shown before and during a transition. The controller itself announces a
// countdown, to everybody.
func underWay(r fsm.Running) (notice, bool) {
	n := notice{summary: course(r), body: progressStep(r), urgency: 1, cancel: r.Phase == fsm.Before}
	if r.Steps > 0 {
		n.progress = min(100, 100*r.Step/r.Steps)
	}
	if r.To == fsm.Compute && r.From != fsm.Compute && n.cancel {
		n.body += "\nIt ends every session on this host."
	}
	return n, r.Op.Verb != fsm.Countdown
}

// over is shown once it has ended. What another wish took the place of goes on as that.
func over(a fsm.Attempt) (notice, bool) {
	n := notice{summary: ended(a), urgency: 1, progress: -1}
	switch a.Outcome {
	case fsm.Superseded:
		return n, false
	case fsm.Reached, fsm.Noop:
		n.urgency = 0
	case fsm.Degraded, fsm.Failed:
		n.urgency = 2
	}
	var lines []string
	for _, v := range refusals(a) {
		lines = append(lines, v.Guard+": "+v.Reason, "→ "+advice(v))
	}
	if len(lines) == 0 && a.Cause != "" && !a.Success {
		lines = append(lines, a.Cause)
	}
	n.body = strings.Join(lines, "\n")
	return n, true
}
