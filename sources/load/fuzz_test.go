package load

import (
	"context"
	"math"
	"strings"
	"testing"
)

// FuzzReadings reads any pressure and memory: a share, and a number that the kernel
// gives, or an error.
func FuzzReadings(f *testing.F) {
	f.Fuzz(func(t *testing.T, pressure, memory string) {
		s := New(tree(t, map[string]string{"pressure/cpu": pressure, "meminfo": memory}))
		l, err := s.Load(context.Background())
		switch {
		case err != nil && l.CPUSome != 0:
			t.Errorf("%q: %+v, %v", pressure, l, err)
		case err == nil && (!(l.CPUSome >= 0) || math.IsInf(l.CPUSome, 0) || !strings.Contains(pressure, "some")):
			t.Errorf("%q is %+v", pressure, l)
		}
		m, err := s.Memory(context.Background())
		switch {
		case err != nil && m.Available != 0:
			t.Errorf("%q: %+v, %v", memory, m, err)
		case err == nil && !strings.Contains(memory, "MemAvailable"):
			t.Errorf("%q is %+v", memory, m)
		}
	})
}
