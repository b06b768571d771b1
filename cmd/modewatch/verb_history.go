package main

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sinks/history"
)

// historyVerb declares the flags of history.
func historyVerb(f *pflag.FlagSet) runner {
	limit := f.IntP("limit", "n", 20, "tell the last `N` attempts, 0 for all")
	from := f.String("since", "", "tell those that ended after `T`: 2h, 3d, 15:04, 2006-01-02, or RFC 3339")
	return func(e env, _ []string) (int, error) { return runHistory(e, *limit, *from) }
}

func runHistory(e env, limit int, from string) (int, error) {
	if limit < 0 {
		return 0, misuse("0 tells all of them", "--limit %d is less than nothing", limit)
	}
	found, notes, err := e.past(from, limit)
	if err != nil {
		return 0, err
	}
	if e.asJSON {
		return 0, e.printJSON(recorded{fsm.Schema, list(found), notes})
	}
	p := e.page(0)
	p.history(found, e.now())
	return 0, e.show(p)
}

// past reads the last attempts, 0 for all, that ended after a time as people write it,
// oldest first, and tells what could not be read.
func (e env) past(from string, limit int) ([]fsm.Attempt, []string, error) {
	var after time.Time
	if from != "" {
		t, err := moment(from, e.now())
		if err != nil {
			return nil, nil, err
		}
		after = t
	}
	cfg, err := e.load()
	if err != nil {
		return nil, nil, err
	}
	found, notes, err := filesOf(cfg).history(history.Filter{Since: after, Limit: limit})
	for _, n := range notes {
		if !e.asJSON && err == nil {
			e.note(n)
		}
	}
	return found, notes, err
}

// recorded is the JSON document of history.
type recorded struct {
	Schema   int           `json:"schema"`
	Attempts []fsm.Attempt `json:"attempts"`
	Notes    []string      `json:"notes,omitempty"` // what of the record could not be read
}

func (p *page) history(list []fsm.Attempt, now time.Time) {
	if len(list) == 0 {
		p.line("No attempt is on record.")
		return
	}
	rows := [][]string{{p.dim("when"), p.dim("from → to"), p.dim("outcome"), p.dim("took"), p.dim("by"), p.dim("cause")}}
	for _, a := range list {
		rows = append(rows, []string{clock(a.Ended, now), fmt.Sprintf("%s → %s", a.From, a.To),
			p.paintOutcome(a.Outcome, string(a.Outcome)), took(a.Ended.Sub(a.Begun)), by(a.Wish), orDash(a.Cause)})
	}
	p.table(rows)
}

// moment reads a time as people write it; times of day are of today.
func moment(text string, now time.Time) (time.Time, error) {
	if days, ok := wholeDays(text); ok {
		return now.AddDate(0, 0, -days), nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil {
			y, m, d := now.Date()
			return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, now.Location()), nil
		}
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02", "2006-01-02 15:04", "2006-01-02 15:04:05"} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, misuse("write 2h, 3d, 15:04, 2006-01-02 or \"2006-01-02 15:04\"", "cannot read the time %q", text)
}

// mostDays is as far back as time.ParseDuration reaches.
const mostDays = 106751

// wholeDays reads "3d": time.ParseDuration knows no days.
func wholeDays(text string) (int, bool) {
	var n int
	if _, err := fmt.Sscanf(text, "%dd", &n); err != nil || n < 0 || n > mostDays || fmt.Sprintf("%dd", n) != text {
		return 0, false
	}
	return n, true
}
