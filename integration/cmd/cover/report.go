package main

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/modewatch/modewatch/internal/assurance"
)

// section is the report of the counts, and in words which gates are not met.
func section(by map[string]count, files []string) (assurance.Section, []string) {
	var unmet []string
	var runs []string
	for _, f := range files {
		runs = append(runs, "`"+filepath.Base(f)+"`")
	}
	s := assurance.Section{
		Title: "Coverage",
		Text: "The share of statements that tests go over. All packages count that are not in `integration/`, test files do not; a statement counts if any test of any package goes over it. " +
			"Added up are the profiles " + strings.Join(runs, ", ") + ": the unit tests, and those of them that run inside the lab. What only the daemon does that the lab boots is not counted.",
		Command: "make unit lab cover", Date: time.Now().Format(time.DateOnly),
	}
	for _, g := range gates {
		c := by[g.pkg]
		row := assurance.Row{What: g.pkg, Value: fmt.Sprintf("%.1f %%", c.share()), Need: fmt.Sprintf("≥ %v %%", g.least), Unmet: c.share() < g.least}
		if row.Unmet {
			unmet = append(unmet, fmt.Sprintf("%s: %s of statements, want %s", g.pkg, row.Value, row.Need))
		}
		s.Rows = append(s.Rows, row)
	}
	details := assurance.Table{Title: "Packages", Head: []string{"package", "covered", "statements"}}
	for _, name := range names(by) {
		details.Rows = append(details.Rows, []string{name, fmt.Sprintf("%.1f %%", by[name].share()), strconv.Itoa(by[name].all)})
	}
	s.Tables = []assurance.Table{details}
	return s, unmet
}
