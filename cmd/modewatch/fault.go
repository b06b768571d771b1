package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/modewatch/modewatch/fsm"
)

// fault is an error that ends the command: one sentence, what to do next where
// that is known, and the exit code (D6).
type fault struct {
	code int
	text string
	hint string
}

func (f fault) Error() string { return f.text }

// exitError is the code of an error that has no better one.
const exitError = 1

// misuse is the fault of a command line that cannot be followed (exit 30).
func misuse(hint, format string, a ...any) error {
	return fault{code: fsm.ExitMisuse, text: fmt.Sprintf(format, a...), hint: hint}
}

// notAllowed is the fault of a caller who lacks the right (exit 32).
func notAllowed(hint, format string, a ...any) error {
	return fault{code: fsm.ExitNotAllowed, text: fmt.Sprintf(format, a...), hint: hint}
}

// broken is the fault of something that did not work (exit 1).
func broken(hint, format string, a ...any) error {
	return fault{code: exitError, text: fmt.Sprintf(format, a...), hint: hint}
}

// fail tells an error on standard error and returns its exit code.
func (e env) fail(err error) int {
	f := fault{code: exitError, text: err.Error()}
	errors.As(err, &f)
	paint := e.stylesErr()
	fmt.Fprintf(e.stderr, "%s: %s %s\n", e.prog, paint.bad("error:"), tame(f.text, false))
	if f.hint != "" {
		fmt.Fprintf(e.stderr, "%s: %s %s\n", e.prog, paint.strong("hint:"), tame(f.hint, false))
	}
	return f.code
}

// nearest returns the word of the list that is closest to a mistyped one, or ""
// if none is close enough to be meant.
func nearest(typed string, words []string) string {
	best, least := "", 1+len(typed)/3
	for _, w := range words {
		if strings.HasPrefix(w, typed) && len(typed) > 1 {
			return w
		}
		if d := distance(typed, w); d <= least && (best == "" || d < distance(typed, best)) {
			best = w
		}
	}
	return best
}

// distance counts the letters to insert, delete, replace or swap with their
// neighbour to turn a into b.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}

// parseMode reads the MODE of a command line.
func parseMode(word string) (fsm.Mode, error) {
	if m, ok := fsm.ParseMode(word); ok {
		return m, nil
	}
	names := make([]string, len(fsm.Modes))
	for i, m := range fsm.Modes {
		names[i] = string(m)
	}
	hint := "the modes are " + strings.Join(names, ", ")
	if n := nearest(word, names); n != "" {
		hint = fmt.Sprintf("did you mean %q? %s", n, hint)
	}
	return fsm.Unknown, misuse(hint, "there is no mode %q", word)
}
