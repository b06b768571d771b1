// Command skips reads what test runs said of themselves (test2json, as gotestsum
// --jsonfile keeps it) and lists the tests that were skipped, each with its own
// reason. It fails where one is not in integration/skips.txt: no test is silently
// skipped.
package main

import (
	"errors"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "skips:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return errors.New("want the list and the files of runs: skips LIST RUN.json")
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return fmt.Errorf("cannot read the list: %w", err)
	}
	list, err := parseList(string(text))
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", args[0], err)
	}
	r := newRuns()
	for _, file := range args[1:] {
		if err := r.read(file); err != nil {
			return fmt.Errorf("cannot read the run %s: %w", file, err)
		}
	}
	unlisted := 0
	for _, s := range r.skipped {
		why, ok := list.why(s.test)
		if !ok {
			why, unlisted = "NOT LISTED in "+args[0], unlisted+1
		}
		fmt.Printf("skipped: %s: %s\n\tlisted: %s\n", s.test, s.reason, why)
	}
	fmt.Printf("skips: %d of %d tests were skipped\n", len(r.skipped), len(r.said))
	if unlisted > 0 {
		return fmt.Errorf("%d skipped tests are not listed in %s: make them run, or list them there with a reason", unlisted, args[0])
	}
	return nil
}
