package siteguards

import (
	"strings"
	"testing"
	"unicode"
)

// FuzzReason reads what a guard says: one line that is safe to print, none if it
// says none.
func FuzzReason(f *testing.F) {
	f.Fuzz(func(t *testing.T, out []byte) {
		got := reason(out)
		if strings.ContainsFunc(got, unicode.IsControl) || got != strings.TrimSpace(got) || len(got) > 3*len(out) {
			t.Errorf("%q says %q", out, got)
		}
		if strings.TrimSpace(string(out)) == "" && got != "" {
			t.Errorf("%q says %q", out, got)
		}
	})
}
