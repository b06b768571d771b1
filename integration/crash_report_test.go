package integration

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/modewatch/modewatch/internal/assurance"
)

// figures are what the crashes of one run came to. Several goroutines use it.
type figures struct {
	mu    sync.Mutex
	began time.Time
	all   int               // cells of the plans that were made
	done  map[string]string // by cell: "" or why it was not applicable
	sums  map[string]*sum   // by event and by plan
	bad   int
}

// sum is a line of a table.
type sum struct{ tried, lacking, bad int }

func newFigures(t *testing.T) *figures {
	f := &figures{began: time.Now(), done: map[string]string{}, sums: map[string]*sum{}}
	t.Cleanup(func() { f.report(t) })
	return f
}

func (f *figures) plans(cells int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all += cells
}

func (c cell) key() string { return c.way.String() + ": " + c.String() }

// lacks notes why a cell is not applicable.
func (f *figures) lacks(c cell, why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done[c.key()] = why
}

// tried counts a cell at its end, and shows how far it has come.
func (f *figures) tried(s *stage, c cell, began time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	why := f.done[c.key()]
	f.done[c.key()] = why
	for _, name := range []string{"event: " + c.name, "plan: " + c.way.String()} {
		if f.sums[name] == nil {
			f.sums[name] = &sum{}
		}
		switch x := f.sums[name]; {
		case s.t.Failed():
			x.bad++
			x.tried++
		case why != "":
			x.lacking++
		default:
			x.tried++
		}
	}
	if s.t.Failed() {
		f.bad++
	}
	s.t.Logf("cell %d of %d, %.0f s, %s %s", len(f.done), f.all, time.Since(began).Seconds(), c.key(), why)
	fmt.Printf("cell %d of %d known, after %.0f s: %s %s\n", len(f.done), f.all, time.Since(f.began).Seconds(), c.key(), why)
}

// report writes the section of the crashes, if it is to be written.
func (f *figures) report(t *testing.T) {
	lacking := map[string]int{}
	for _, why := range f.done {
		if why != "" {
			lacking[why]++
		}
	}
	tried := len(f.done)
	for _, n := range lacking {
		tried -= n
	}
	t.Logf("figure: %d of %d cells of the crash matrix tried in %.0f s, not applicable %v, violations %d", tried, f.all, time.Since(f.began).Seconds(), lacking, f.bad)
	if *reportFile == "" {
		return
	}
	kind := "a sample"
	if *whole {
		kind = "the whole matrix"
	}
	s := assurance.Section{
		Title: "Crashes of a real host",
		Text: "A real systemd, logind, dbus and PipeWire in a container. For every ordered pair of modes the host's own dry run names the steps; " +
			"at each the daemon is stopped once the write-ahead record names it, then the event happens. After it: one end of each attempt in history and journal, " +
			"the mode told is the mode that is, no session is lost that was not to be, no mask or record stays, what must survive has survived, and the next wishes are followed.",
		Command: "make crash", Date: f.began.Format(time.DateOnly),
		Rows: []assurance.Row{
			{What: "cells (a step of a plan and an event), " + kind, Value: fmt.Sprint(f.all), Need: "all tried or not applicable", Unmet: len(f.done) != f.all},
			{What: "tried", Value: fmt.Sprint(tried), Need: "≥ 1", Unmet: tried < 1},
		},
	}
	for _, why := range slices.Sorted(maps.Keys(lacking)) {
		s.Rows = append(s.Rows, assurance.Row{What: "not applicable: " + why, Value: fmt.Sprint(lacking[why])})
	}
	s.Rows = append(s.Rows, assurance.Row{What: "violations", Value: fmt.Sprint(f.bad), Need: "0", Unmet: f.bad > 0},
		assurance.Row{What: "time", Value: time.Since(f.began).Round(time.Second).String()})
	table := assurance.Table{Title: "By event and by plan", Head: []string{"", "tried", "not applicable", "violations"}}
	for _, name := range slices.Sorted(maps.Keys(f.sums)) {
		x := f.sums[name]
		table.Rows = append(table.Rows, []string{name, fmt.Sprint(x.tried), fmt.Sprint(x.lacking), fmt.Sprint(x.bad)})
	}
	s.Tables = append(s.Tables, table)
	if err := assurance.Write(*reportFile, s); err != nil {
		t.Error(err)
	}
}
