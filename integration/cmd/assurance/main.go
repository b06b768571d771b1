// Command assurance makes docs/assurance.md of the reports in out/assurance, and
// fails when a figure is not as it must be or a proof was not run.
package main

import (
	_ "embed"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/modewatch/modewatch/internal/assurance"
)

//go:embed intro.md
var intro string

func main() {
	from := flag.String("from", "out/assurance", "the folder of the reports")
	to := flag.String("to", "docs/assurance.md", "the page")
	flag.Parse()
	text, unmet, err := assurance.Page(*from, intro)
	if err == nil {
		err = os.WriteFile(*to, []byte(text), 0o644)
	}
	if err == nil && len(unmet) > 0 {
		err = fmt.Errorf("%s is written, but not all is as it must be:\n  %s", *to, strings.Join(unmet, "\n  "))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "assurance:", err)
		os.Exit(1)
	}
}
