package main

import (
	"fmt"
	"html"
	"strings"
	"time"
)

// bar is what waybar takes from a custom module of return-type json (waybar-custom(5)).
type bar struct {
	Text       string   `json:"text"`
	Alt        string   `json:"alt"` // the state, for format-icons
	Tooltip    string   `json:"tooltip"`
	Class      []string `json:"class"`
	Percentage int      `json:"percentage"` // of the steps of an attempt
}

// barOf puts a status into a bar: its text at a glance, the rest under the mouse.
func barOf(o overview, now time.Time) bar {
	b := bar{Text: string(o.State), Alt: string(o.State), Class: []string{string(o.State)}}
	if r := o.Attempt; r != nil {
		b.Text = fmt.Sprintf("→ %s %d/%d", r.To, r.Step, r.Steps)
		if r.Steps > 0 {
			b.Percentage = 100 * r.Step / r.Steps
		}
	}
	mark := func(when bool, class string) {
		if when {
			b.Class = append(b.Class, class)
		}
	}
	mark(len(o.Degraded) > 0, "degraded")
	mark(len(o.Holds) > 0, "held")
	mark(o.Reconcile && o.Attempt == nil, "unmet")
	mark(!o.Controller.Alive, "no-controller")
	b.Text, b.Tooltip = html.EscapeString(b.Text), html.EscapeString(strings.Join(tooltip(o, now), "\n"))
	return b
}

// tooltip tells what mode, since when, why not and what next, a line each.
func tooltip(o overview, now time.Time) []string {
	lines := []string{"observed: " + string(o.Mode)}
	say := func(format string, a ...any) { lines = append(lines, tame(fmt.Sprintf(format, a...), false)) }
	if o.Since != nil {
		say("%s %s", o.State, since(*o.Since, now))
	}
	if o.Wish != nil && o.Reconcile {
		say("wish: %s, %s", o.Wish.Mode, asked(*o.Wish))
	}
	if o.Attempt != nil {
		say("%s", progressStep(*o.Attempt))
	}
	if o.Waits != "" {
		say("waits for %s", o.Waits)
	}
	for _, d := range o.Degraded {
		say("%s: %s", d.What, d.Evidence)
	}
	for _, line := range holdLines(o.Holds, now) {
		say("held: %s", line)
	}
	if o.Last != nil && !o.Last.Success {
		say("last: %s", ended(*o.Last))
	}
	if !o.Controller.Alive {
		say("no controller is running")
	}
	return lines
}
