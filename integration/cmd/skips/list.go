package main

import (
	"fmt"
	"path"
	"strings"
)

// entry is one line of the list: tests that may be skipped, and why.
type entry struct{ pkg, test, why string }

type list []entry

// parseList reads lines of PACKAGE TEST REASON; TEST may hold * and ?. A line that
// begins with # is a comment.
func parseList(text string) (list, error) {
	var out list
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.Fields(line)
		if len(f) < 3 {
			return nil, fmt.Errorf("line %d: want PACKAGE TEST REASON", n)
		}
		if _, err := path.Match(f[1], ""); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		out = append(out, entry{pkg: f[0], test: f[1], why: strings.Join(f[2:], " ")})
	}
	return out, nil
}

// why is the reason why a test may be skipped, false if it may not. A test that is
// listed is so with those within it.
func (l list) why(t test) (string, bool) {
	outer, _, _ := strings.Cut(t.name, "/")
	for _, e := range l {
		whole, _ := path.Match(e.test, t.name)
		above, _ := path.Match(e.test, outer)
		if (whole || above) && e.pkg == t.pkg {
			return e.why, true
		}
	}
	return "", false
}
