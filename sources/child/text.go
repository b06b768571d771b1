package child

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"unicode"
)

// find returns the program of a name in Path, or a path as it is.
func find(file string) (string, error) {
	if strings.Contains(file, "/") {
		return file, nil
	}
	for _, dir := range filepath.SplitList(Path) {
		full := filepath.Join(dir, file)
		if fi, err := os.Stat(full); err == nil && fi.Mode().IsRegular() && fi.Mode().Perm()&0o111 != 0 {
			return full, nil
		}
	}
	return "", fmt.Errorf("%s is not installed: %w", file, exec.ErrNotFound)
}

// head keeps the first bytes of what is written to it.
type head struct {
	text  []byte
	limit int
}

func (h *head) Write(p []byte) (int, error) {
	h.text = append(h.text, p[:min(len(p), h.limit-len(h.text))]...)
	return len(p), nil
}

// before puts a separator before text, if there is any.
func before(separator, text string) string {
	if text == "" {
		return ""
	}
	return separator + text
}

// Line is the first line of what a program said, safe to print.
func Line(said []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(said)), "\n")
	return Clean(line)
}

// Clean makes text safe to print: one line, no control characters.
func Clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\uFFFD' {
			return ' '
		}
		return r
	}, s))
}
