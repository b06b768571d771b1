package logind

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// FuzzAnswer reads what a user's manager sends, who may be anybody: an answer or an
// error, and never much more memory than was sent.
func FuzzAnswer(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var rows []row
		err := answer(bytes.NewReader(data), &rows)
		runtime.ReadMemStats(&after)
		if err == nil && !bytes.HasPrefix(data, []byte("OK ")) {
			t.Errorf("%q was let in: %+v", data, rows)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 4*most {
			t.Errorf("%d bytes took %d of memory", len(data), used)
		}
	})
}

// FuzzOfUser reads any list of a user's processes: a session's are of its scope.
func FuzzOfUser(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		root := t.TempDir()
		dir := filepath.Join(root, "user.slice", "user-1000.slice", "session-3.scope")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), append(data, "\n4711\n"...), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := procs{cgroups: root}.ofUser(1000)
		found := false
		for _, p := range got {
			found = found || p.pid == 4711
			if p.pid <= 0 || p.scope != "session-3.scope" {
				t.Errorf("%q has %+v", data, p)
			}
		}
		if err == nil && !found {
			t.Errorf("%q hides a process", data)
		}
	})
}
