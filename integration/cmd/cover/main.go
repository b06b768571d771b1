// Command cover adds up the coverage of test runs, prints it by package and fails
// where it is below what it must be. What counts is every statement of every package
// that is not in integration/ and not in a test file; one counts as covered if any
// test of any run went over it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/modewatch/modewatch/internal/assurance"
)

// gates are the least shares of statements, in percent.
var gates = []struct {
	pkg   string
	least float64
}{{"fsm", 95}, {"guards", 95}, {"internal/engine", 90}, {overall, 85}}

func main() {
	report := flag.String("report", "", "write the figures to `FILE`, for docs/assurance.md")
	flag.Parse()
	if err := run(flag.Args(), *report); err != nil {
		fmt.Fprintln(os.Stderr, "cover:", err)
		os.Exit(1)
	}
}

func run(files []string, report string) error {
	if len(files) == 0 {
		return errors.New("want the profiles of test runs: make unit and make lab write them")
	}
	p := profile{}
	for _, file := range files {
		if err := p.read(file); err != nil {
			return fmt.Errorf("cannot read the profile %s: %w", file, err)
		}
	}
	by := p.packages()
	for _, name := range names(by) {
		fmt.Printf("%-28s %5.1f %%  %4d of %4d statements\n", name, by[name].share(), by[name].covered, by[name].all)
	}
	s, unmet := section(by, files)
	if report != "" {
		if err := assurance.Write(report, s); err != nil {
			return err
		}
	}
	if len(unmet) > 0 {
		return fmt.Errorf("too little is tested: %s", strings.Join(unmet, ", "))
	}
	return nil
}
