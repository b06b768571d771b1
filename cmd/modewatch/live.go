package main

import (
	"fmt"
	"io"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// liveLine shows what is under way: one line that is rewritten on a terminal,
// and one line for each step elsewhere.
type liveLine struct {
	w       io.Writer
	style   style
	columns int // 0: no terminal
	quiet   bool
	told    map[string]bool // the lines that were told, by attempt and text
	open    string          // the line that stands there to be rewritten
}

// liveLine shows progress on standard error, so that standard output holds the
// result alone.
func (e env) liveLine() *liveLine {
	return &liveLine{w: e.stderr, style: e.stylesErr(), columns: width(e.stderr), quiet: e.quiet || e.asJSON, told: map[string]bool{}}
}

func (l *liveLine) running(r fsm.Running, now time.Time) {
	if l.columns > 0 {
		l.rewrite(progressStep(r), " — "+waiting(r, now))
		return
	}
	if r.Doing != "judging" { // it takes no time worth a line
		l.once(r.ID, stepLine(r))
	}
}

// queued shows the attempt that runs before ours.
func (l *liveLine) queued(r fsm.Running, now time.Time) {
	before := fmt.Sprintf("waiting for %s to end", course(r))
	if l.columns > 0 {
		l.rewrite(before+", "+progressStep(r), " — "+waiting(r, now))
		return
	}
	l.once(r.ID, before)
}

// stepLine tells a step when it begins.
func stepLine(r fsm.Running) string {
	r.Await = ""
	text := progressStep(r)
	if !r.Until.IsZero() {
		text += ", at most " + span(r.Until.Sub(r.Since))
	}
	return text
}

// note tells something that stays on the screen.
func (l *liveLine) note(text string) {
	l.end()
	if !l.quiet {
		fmt.Fprintln(l.w, tame(text, l.style.colour))
	}
}

func (l *liveLine) once(attempt, text string) {
	if l.quiet || l.told[attempt+text] {
		return
	}
	l.told[attempt+text] = true
	fmt.Fprintln(l.w, tame(text, l.style.colour))
}

// rewrite puts head and tail in place of what stood there. Where the terminal
// is too narrow for both, the head is cut.
func (l *liveLine) rewrite(head, tail string) {
	if l.quiet {
		return
	}
	text := []rune(tame(head, false))
	if room := max(1, l.columns-1-length(tail)); len(text) > room {
		text = append(text[:room-1], '…')
	}
	if line := string(text) + tail; line != l.open {
		fmt.Fprint(l.w, "\r\x1b[K"+line)
		l.open = line
	}
}

// end takes the line that is rewritten away.
func (l *liveLine) end() {
	if l.open != "" {
		fmt.Fprint(l.w, "\r\x1b[K")
		l.open = ""
	}
}
