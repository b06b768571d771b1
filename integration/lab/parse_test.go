package lab

import (
	"fmt"
	"os"
	"reflect"
	"testing"
)

func TestFindHierarchies(t *testing.T) {
	const (
		tmpfs    = "30 24 0:26 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755\n"
		memory   = "35 30 0:31 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n"
		named    = "36 30 0:32 / /sys/fs/cgroup/systemd rw,relatime shared:9 - cgroup cgroup rw,xattr,name=systemd\n"
		unified  = "37 30 0:33 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n"
		alone    = "30 24 0:26 / /sys/fs/cgroup rw,nosuid,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
		readOnly = "30 24 0:26 / /sys/fs/cgroup ro,nosuid,relatime - cgroup2 cgroup rw\n"
	)
	for _, c := range []struct {
		name, mountinfo string
		want            cgroups
		fails           bool
	}{
		{"hybrid", tmpfs + memory + named + unified, cgroups{"/sys/fs/cgroup/unified", []string{"/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"}}, false},
		{"v2 alone", alone, cgroups{"/sys/fs/cgroup", []string{"/sys/fs/cgroup"}}, false},
		{"v1 alone", tmpfs + memory + named, cgroups{}, true},
		{"read-only, as in an unprivileged container", readOnly, cgroups{}, true},
		{"nothing", "", cgroups{}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := findHierarchies(c.mountinfo)
			if !reflect.DeepEqual(got, c.want) || (err != nil) != c.fails {
				t.Errorf("got %v, %v; want %v, failing %v", got, err, c.want, c.fails)
			}
		})
	}
}

func TestOrphaned(t *testing.T) {
	start, err := startTick(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		fmt.Sprintf("mwlab-%d-%s-1", os.Getpid(), start):  false,
		fmt.Sprintf("mwlab-%d-%s9-1", os.Getpid(), start): true, // the pid is another process's by now
		"mwlab-4194305-77-1":                              true, // greater than any pid can be
		"mwlab-x-77-1":                                    false,
		"other-4194305-77-1":                              false,
		"mwlab":                                           false,
	} {
		if got := orphaned(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestParseJournal(t *testing.T) {
	got, err := parseJournal([]byte(`{"MESSAGE":"two\nlines","PRIORITY":"6"}
{"MESSAGE":[98,121,116,101,115,255],"TAG":["a","b"],"BIG":null}
`))
	want := []Entry{
		{"MESSAGE": "two\nlines", "PRIORITY": "6"},
		{"MESSAGE": "bytes\xff", "TAG": "a\nb", "BIG": ""},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	for _, bad := range []string{`{"MESSAGE":`, `[]`, `{"MESSAGE":{}}`} {
		if got, err := parseJournal([]byte(bad)); err == nil {
			t.Errorf("%s: got %q, want an error", bad, got)
		}
	}
}

func TestParseSessions(t *testing.T) {
	got, err := parseSessions(`Id=c1
User=1000
Name=alice
Seat=seat0
Service=login
Scope=session-c1.scope
Leader=56
Type=wayland
Class=user
Active=yes
State=active

Id=c2
User=1000
Name=alice
Leader=60
Type=unspecified
Class=manager
`)
	want := []Session{{
		ID: "c1", User: "alice", Class: "user", Type: "wayland", State: "active", Scope: "session-c1.scope",
		Service: "login", Seat: "seat0", UID: 1000, Leader: 56, Active: true,
	}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	if _, err := parseSessions("Id=c1\nUser=\nClass=user\n"); err == nil {
		t.Error("a session without a user is no error")
	}
}
