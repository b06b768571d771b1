package early

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestAsked(t *testing.T) {
	tests := []struct {
		args []string
		dir  string
		ok   bool
	}{
		{[]string{"modewatch", "state"}, RunDir, true},
		{[]string{"mode", "state"}, RunDir, true},
		{[]string{"modewatch", "state", "--run-dir", "/x"}, "/x", true},
		{[]string{"modewatch", "state", "--json"}, "", false},
		{[]string{"modewatch", "status"}, "", false},
		{[]string{"modewatch", "state", "state"}, "", false},
		{[]string{"modewatch"}, "", false},
		{nil, "", false},
	}
	for _, test := range tests {
		if dir, ok := asked(test.args); dir != test.dir || ok != test.ok {
			t.Errorf("%q: %q, %t; want %q, %t", test.args, dir, ok, test.dir, test.ok)
		}
	}
}

const (
	holder   = `{"schema":1,"pid":1,"boot":"b","since":"2026-01-01T00:00:00Z","who":"modewatch.service"}`
	snapshot = `{"schema":1,"at":"2026-01-01T00:00:00Z","pid":1,"boot":"b","state":"failed-transition","since":"x","observation":{"mode":"desktop"}}`
)

// State answers where all is well and says nothing in every other case: the
// verb then finds out.
func TestState(t *testing.T) {
	tests := []struct {
		name             string
		lock             bool
		holder, snapshot string
		want             string
	}{
		{"all is well", true, holder, snapshot, "failed-transition"},
		{"nobody holds the lock", false, holder, snapshot, ""},
		{"no holder", true, "", snapshot, ""},
		{"no snapshot", true, holder, "", ""},
		{"the files of a process that is gone", true, `{"schema":1,"pid":2000000000,"boot":"b"}`, `{"schema":1,"at":"x","pid":2000000000,"boot":"b","state":"desktop"}`, ""},
		{"a snapshot of another", true, `{"schema":1,"pid":43,"boot":"b"}`, snapshot, ""},
		{"another schema", true, holder, `{"schema":2,"at":"x","pid":1,"boot":"b","state":"desktop"}`, ""},
		{"cut off", true, holder, snapshot[:70], ""},
		{"no state", true, holder, `{"schema":1,"pid":1,"boot":"b"}`, ""},
		{"an empty state", true, holder, `{"schema":1,"pid":1,"boot":"b","state":""}`, ""},
		{"no JSON", true, "42\n", "desktop\n", ""},
	}
	for _, test := range tests {
		dir := t.TempDir()
		for name, text := range map[string]string{"lock": "lock", "reconcile.pid": test.holder, "state.json": test.snapshot} {
			if text == "" {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		f, err := os.Open(filepath.Join(dir, "lock"))
		if err != nil {
			t.Fatal(err)
		}
		if test.lock {
			if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
				t.Fatal(err)
			}
		}
		if got, ok := State(dir); got != test.want || ok != (test.want != "") {
			t.Errorf("%s: %q, %t; want %q", test.name, got, ok, test.want)
		}
		f.Close()
	}
	if got, ok := State(filepath.Join(t.TempDir(), "none")); ok {
		t.Errorf("without a directory: %q", got)
	}
}
