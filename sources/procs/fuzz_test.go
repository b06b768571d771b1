package procs

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// FuzzStatRoundTrip reads the stat of a process with any name, which may hold what
// ends a name.
func FuzzStatRoundTrip(f *testing.F) {
	f.Fuzz(func(t *testing.T, comm string, ppid uint32, ignored uint64) {
		text := "7 (" + comm + ") S " + strconv.Itoa(int(ppid)) + " 7 -1 0 -1 0 0 0 0 0 0 0 0 0 20 0 3 0 100 0 0 0 1 1 0 0 0 0 0 " +
			strconv.FormatUint(ignored, 10) + " 0 0 0 17 0 0 0\n"
		_, _ = parseStat([]byte(comm))
		fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
		got, err := parseStat([]byte(text))
		if err != nil || got.comm != comm || got.ppid != int(ppid) || got.sid != -1 || got.threads != 3 || got.noHup != (ignored&1 == 1) || got.dead() {
			t.Errorf("%q is %+v, %v (%q)", text, got, err, fields)
		}
	})
}

// FuzzPlace reads any cgroup. What is told of a place stands in the text, and a
// line of another hierarchy, or one after it, changes nothing.
func FuzzPlace(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		p := placeOf(text)
		for _, word := range []string{p.unit, p.inner, p.session} {
			if strings.Contains(word, "/") || !strings.Contains(text, word) {
				t.Errorf("%q is at %+v", text, p)
			}
		}
		if (p.unit == "") != (p.inner == "") || p.session != "" && !strings.HasPrefix(p.unit, "session-") {
			t.Errorf("%q is at %+v", text, p)
		}
		if also := placeOf(text + "\n4:cpu,memory:/x.service\n"); also != p {
			t.Errorf("%q is at %+v, and beside another hierarchy at %+v", text, p, also)
		}
		if user := placeOf("0::/user.slice/user-1000.slice/session-3.scope"); !user.user() || user.session != "3" {
			t.Errorf("a session is at %+v", user)
		}
	})
}

// FuzzProcFiles reads what else is read of /proc and the control groups. A process
// in a control group is never lost: there it is, or there is an error.
func FuzzProcFiles(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		tr := newTree(t)
		for _, name := range []string{"7/environ", "7/status", "7/cgroup", "asound/card0/pcm0p/sub0/status", "group/cgroup.procs"} {
			tr.write(name, string(data)+"\n4711\n")
		}
		tab, err := open(tr.root)
		if err != nil {
			t.Fatal(err)
		}
		defer tab.close()
		if dir, err := tab.runtimeDir(7, 1000); err != nil || !filepath.IsAbs(dir) || strings.Contains(dir, "\x00") {
			t.Errorf("%q listens in %q, %v", data, dir, err)
		}
		if pid := tab.leader(7); pid != 7 && !strings.Contains(string(data), "Tgid:") {
			t.Errorf("%q is a thread of %d", data, pid)
		}
		if streams, cards, err := tab.streams(); err != nil || !cards || len(streams) > 1 || len(streams) == 1 && !slices.Contains(moving, streams[0].state) {
			t.Errorf("%q plays %+v, %v", data, streams, err)
		}
		if pids, err := inside(filepath.Join(tr.root, "group")); err == nil && !slices.Contains(pids, 4711) {
			t.Errorf("%q hides a process: %v", data, pids)
		}
		if _, err := os.Stat(filepath.Join(tr.root, "7")); err != nil {
			t.Fatal(err)
		}
	})
}
