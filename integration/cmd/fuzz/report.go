package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/modewatch/modewatch/internal/assurance"
)

// section is the report of a run.
func section(results []result, each time.Duration) assurance.Section {
	execs, crashes, broken := 0, 0, 0
	details := assurance.Table{Title: "Targets", Head: []string{"target", "executions", "new inputs"}}
	for _, r := range results {
		execs += r.execs
		switch {
		case r.crashed:
			crashes++
		case r.err != nil:
			broken++
		}
		details.Rows = append(details.Rows, []string{"`" + r.dir + "` " + r.name, strconv.Itoa(r.execs), strconv.Itoa(r.found)})
	}
	return assurance.Section{
		Title: "Bad input",
		Text: "Whatever is read back or comes from outside is fuzzed: files of wishes, state and configuration, what other programs print, what the kernel tells, command lines. " +
			"Each target asks for more than no crash: that an error names the file, that the old wish stands, that what cannot be told never passes. The seeds are in `testdata/fuzz` and run with every unit test.",
		Command: fmt.Sprintf("make fuzz FUZZ=%v", each), Date: time.Now().Format(time.DateOnly),
		Rows: []assurance.Row{
			{What: "fuzz targets", Value: strconv.Itoa(len(results))},
			{What: "executions", Value: strconv.Itoa(execs), Need: "> 0", Unmet: execs == 0},
			{What: "inputs that broke something", Value: strconv.Itoa(crashes), Need: "0", Unmet: crashes > 0},
			{What: "targets that could not be run", Value: strconv.Itoa(broken), Need: "0", Unmet: broken > 0},
		},
		Tables: []assurance.Table{details},
	}
}
