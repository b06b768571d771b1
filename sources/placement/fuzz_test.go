package placement

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modewatch/modewatch/fsm"
)

// FuzzRead reads any file: it says one of the two placements, or is an error that
// names the file.
func FuzzRead(f *testing.F) {
	path := filepath.Join(f.TempDir(), "placement.json")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := Read(context.Background(), path)
		switch {
		case err != nil && (p != fsm.Placement{} || !strings.Contains(err.Error(), path)):
			t.Errorf("%q: %+v, %v", data, p, err)
		case err == nil && (p.Studio != Local && p.Studio != External || !strings.Contains(strings.ToLower(string(data)), "studio")):
			t.Errorf("%q is %+v", data, p)
		}
	})
}
