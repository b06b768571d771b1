package load

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestReadings(t *testing.T) {
	s := New(tree(t, map[string]string{
		"pressure/cpu": "some avg10=41.53 avg60=3.20 avg300=1.00 total=12345\nfull avg10=7.00 avg60=0.00 avg300=0.00 total=0\n",
		"meminfo":      "MemTotal:       65536000 kB\nMemFree:         1024 kB\nMemAvailable:   32768000 kB\n",
	}))
	if l, err := s.Load(context.Background()); err != nil || l.CPUSome != 41.53 {
		t.Errorf("load %+v, %v", l, err)
	}
	if m, err := s.Memory(context.Background()); err != nil || m.Available != 32768000*1024 {
		t.Errorf("memory %+v, %v", m, err)
	}
}

func TestCannotTell(t *testing.T) {
	for name, c := range map[string]struct {
		files             map[string]string
		loadSays, memSays string
	}{
		"nothing there": {nil, "psi=1", "cannot read the available memory"},
		"empty files":   {map[string]string{"pressure/cpu": "", "meminfo": ""}, `no line "some"`, "no MemAvailable"},
		"old kernel":    {map[string]string{"pressure/cpu": "full avg10=0 avg60=0 avg300=0 total=0\n", "meminfo": "MemTotal: 1 kB\n"}, `no line "some"`, "no MemAvailable"},
		"junk": {map[string]string{"pressure/cpu": "some avg10=lots avg60=0 avg300=0 total=0\n", "meminfo": "MemAvailable: many kB\n"},
			"cannot read the CPU pressure", "cannot read the available memory"},
	} {
		s := New(tree(t, c.files))
		if l, err := s.Load(context.Background()); err == nil || !strings.Contains(err.Error(), c.loadSays) {
			t.Errorf("%s: load %+v, %v; want %q", name, l, err, c.loadSays)
		}
		if m, err := s.Memory(context.Background()); err == nil || !strings.Contains(err.Error(), c.memSays) {
			t.Errorf("%s: memory %+v, %v; want %q", name, m, err, c.memSays)
		}
	}
	if _, err := New("/no/such/proc").Load(context.Background()); err == nil {
		t.Error("no error without /proc")
	}
}

func TestLive(t *testing.T) {
	if m, err := New("/proc").Memory(context.Background()); err != nil || m.Available < 1<<20 {
		t.Errorf("memory %+v, %v", m, err)
	}
	l, err := New("/proc").Load(context.Background())
	if _, missing := os.Stat("/proc/pressure/cpu"); missing != nil {
		if err == nil {
			t.Errorf("load %+v on a kernel without PSI", l)
		}
	} else if err != nil || l.CPUSome < 0 || l.CPUSome > 100 {
		t.Errorf("load %+v, %v", l, err)
	}
}
