package main

import (
	"cmp"
	"fmt"
	"html"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/modewatch/modewatch/fsm"
)

func timelineVerb(f *pflag.FlagSet) runner {
	from := f.String("since", "24h", "begin at `T`, as history takes it")
	format := f.String("format", "text", "print `text` or svg")
	return func(e env, _ []string) (int, error) {
		if *format != "text" && *format != "svg" {
			return 0, misuse("the formats are text and svg", "there is no format %q", *format)
		}
		begin, err := moment(*from, e.now())
		if err != nil {
			return 0, err
		}
		all, notes, err := e.past("", 0)
		if err != nil {
			return 0, err
		}
		l := lineOf(all, begin, e.now())
		switch {
		case e.asJSON:
			return 0, e.printJSON(l.document(notes))
		case *format == "svg":
			e.say("%s", l.svg())
			return 0, nil
		}
		p := e.page(0)
		p.timeline(l, min(cmp.Or(width(e.stdout), 80), 160))
		return 0, e.show(p)
	}
}

// timeline is what there is to draw: spans in modes, and attempts, cut to a time.
type timeline struct {
	from, to time.Time
	spans    []fsm.Span
	attempts []fsm.Attempt
}

// lineOf cuts the record to a time. What is before it tells the mode it begins in.
func lineOf(all []fsm.Attempt, from, to time.Time) timeline {
	l := timeline{from: from, to: to}
	for _, s := range fsm.Spans(all, to) {
		if s.From, s.To = later(s.From, from), earlier(s.To, to); s.To.After(s.From) {
			l.spans = append(l.spans, s)
		}
	}
	for _, a := range all {
		if a.Ended.After(from) {
			l.attempts = append(l.attempts, a)
		}
	}
	return l
}

// share is how far into the time a moment is: 0 at its begin, 1 at its end.
func (l timeline) share(t time.Time) float64 {
	return float64(t.Sub(l.from)) / float64(max(l.to.Sub(l.from), 1))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// drawn is the JSON document of timeline.
type drawn struct {
	Schema   int           `json:"schema"`
	From     time.Time     `json:"from"`
	To       time.Time     `json:"to"`
	Spans    []fsm.Span    `json:"spans"`
	Attempts []fsm.Attempt `json:"attempts"`
	Notes    []string      `json:"notes,omitempty"`
}

func (l timeline) document(notes []string) drawn {
	return drawn{Schema: fsm.Schema, From: l.from, To: l.to, Spans: list(l.spans), Attempts: list(l.attempts), Notes: notes}
}

// mark is how an attempt shows: by one sign, and by how it ended.
func mark(a fsm.Attempt) (sign, class string) {
	switch {
	case a.Success:
		return "✓", "good"
	case a.Outcome == fsm.Blocked || a.Outcome == fsm.Cancelled || a.Outcome == fsm.Superseded:
		return "!", "warn"
	}
	return "✗", "bad"
}

// timeline draws a row for each mode and one for the attempts, so that it reads without
// colours too.
func (p *page) timeline(l timeline, columns int) {
	const label = 13
	wide := max(columns-label-1, 10)
	at := func(t time.Time) int { return min(int(l.share(t)*float64(wide)), wide-1) }
	for _, m := range fsm.Modes {
		cells := []rune(strings.Repeat("·", wide))
		for _, s := range l.spans {
			for i := at(s.From); s.Mode == m && i <= at(s.To); i++ {
				cells[i] = '█'
			}
		}
		p.line(string(m) + pad(string(m), label) + strings.ReplaceAll(string(cells), "·", p.dim("·")))
	}
	signs, worst := make([]string, wide), map[string]int{"": 0, "good": 1, "warn": 2, "bad": 3}
	classes := make([]string, wide)
	for _, a := range l.attempts {
		sign, class := mark(a)
		if i := at(later(a.Ended, l.from)); worst[class] > worst[classes[i]] {
			signs[i], classes[i] = sign, class
		}
	}
	row := ""
	for i, sign := range signs {
		row += p.byClass(classes[i], cmp.Or(sign, " "))
	}
	p.line("attempts" + pad("attempts", label) + strings.TrimRight(row, " "))
	begin, end := clock(l.from, l.to), clock(l.to, l.to)
	p.line(pad("", label) + begin + strings.Repeat(" ", max(wide-length(begin)-length(end), 1)) + end)
	p.blank()
	p.line(fmt.Sprintf("%s reached, %s refused or called off, %s failed", p.good("✓"), p.warn("!"), p.bad("✗")))
}

func (p *page) byClass(class, text string) string {
	switch class {
	case "good":
		return p.good(text)
	case "warn":
		return p.warn(text)
	case "bad":
		return p.bad(text)
	}
	return text
}

// The colours of the pictures, readable on white and by most eyes.
var colours = map[string]string{"desktop": "#4c78a8", "studio-local": "#e0a030", "compute": "#59a14f", "unknown": "#bbbbbb",
	"good": "#2e7d32", "warn": "#b26a00", "bad": "#c62828"}

// svg draws the same as a picture.
func (l timeline) svg() string {
	const left, wide, high = 110, 840, 26
	var b strings.Builder
	x := func(t time.Time) float64 { return left + wide*l.share(t) }
	b.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 970 180" font-family="sans-serif" font-size="13">` + "\n" + `<rect width="970" height="180" fill="#ffffff"/>` + "\n")
	for i, m := range fsm.Modes {
		y := 16 + i*(high+6)
		fmt.Fprintf(&b, `<text x="10" y="%d">%s</text><rect x="%d" y="%d" width="%d" height="%d" fill="#eeeeee"/>`+"\n", y+18, m, left, y, wide, high)
		for _, s := range l.spans {
			if s.Mode == m {
				fmt.Fprintf(&b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"><title>%s to %s</title></rect>`+"\n",
					x(s.From), y, max(x(s.To)-x(s.From), 1), high, colours[string(m)], s.From.Format(time.DateTime), s.To.Format(time.DateTime))
			}
		}
	}
	b.WriteString(`<text x="10" y="130">attempts</text>` + "\n")
	for _, a := range l.attempts {
		sign, class := mark(a)
		fmt.Fprintf(&b, `<text x="%.1f" y="131" text-anchor="middle" font-size="15" fill="%s">%s<title>%s</title></text>`+"\n",
			x(later(a.Ended, l.from)), colours[class], sign, html.EscapeString(fmt.Sprintf("%s: %s → %s %s", a.Ended.Format(time.DateTime), a.From, a.To, a.Outcome)))
	}
	fmt.Fprintf(&b, `<text x="%d" y="158" fill="#555555">%s</text><text x="%d" y="158" text-anchor="end" fill="#555555">%s</text>`+"\n</svg>", left, l.from.Format("2006-01-02 15:04"), left+wide, l.to.Format("2006-01-02 15:04"))
	return b.String()
}
