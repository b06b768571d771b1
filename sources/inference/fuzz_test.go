package inference

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// FuzzSum reads any metrics. A sum is a count; a sample of a name more adds to it,
// and one that is no count takes it away; without any sample there is none.
func FuzzSum(f *testing.F) {
	const name = "vllm:num_requests_running"
	f.Fuzz(func(t *testing.T, text string) {
		got, err := sum(text, name)
		if err != nil {
			if got != nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%q: %v, %v", text, got, err)
			}
			return
		}
		if got[0] < 0 || math.IsNaN(got[0]) || !strings.Contains(text, name) {
			t.Errorf("%q is %v", text, got)
		}
		more, err := sum(text+"\n"+name+`{a="}"} 1`+"\n", name)
		if err != nil || more[0] != got[0]+1 {
			t.Errorf("%q is %v, and with one more %v, %v", text, got, more, err)
		}
		if sums, err := sum(text+"\n"+name+" NaN\n", name); err == nil {
			t.Errorf("%q and what is no number is %v", text, sums)
		}
	})
}

// FuzzListeners reads any table of sockets. A socket that listens is found whatever
// stands before it, or the table is an error; what is found is in it.
func FuzzListeners(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "tcp")
		const line = "\n   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n"
		if err := os.WriteFile(path, []byte(text+line), 0o600); err != nil {
			t.Fatal(err)
		}
		inodes, err := listeners(path)
		if err == nil && !slices.Contains(inodes, "4711") {
			t.Errorf("%.200q hides a socket", text)
		}
		for _, in := range inodes {
			if !strings.Contains(text+line, in) {
				t.Errorf("%.200q has no %q", text, in)
			}
		}
	})
}
