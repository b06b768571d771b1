package debian

import (
	"strings"
	"testing"
	"time"
)

func TestTwoMachinesDoNotSeeEachOther(t *testing.T) {
	const mark = "/var/lib/mark"
	for _, text := range []string{"one", "two"} {
		begin := time.Now()
		m := Boot(t, Options{})
		t.Logf("figure: a machine was up in %v", time.Since(begin).Round(10*time.Millisecond))
		if r, err := m.Run(t.Context(), "cat", mark); err != nil || r.Code == 0 {
			t.Errorf("%s is there at the start: %+v, %v", mark, r, err)
		}
		m.Must(t, "sh", "-c", "echo "+text+" >"+mark+"; sync")
		if got := m.Must(t, "cat", mark); got != text {
			t.Errorf("%q was read back as %q", text, got)
		}
		if r, err := m.Run(t.Context(), "sh", "-c", "echo no >&2; exit 7"); err != nil || r.Code != 7 || r.Stderr != "no\n" {
			t.Errorf("a failing command: %+v, %v", r, err)
		}
		if got := m.Must(t, "date", "+%Y-%m-%d"); got != time.Now().UTC().Format(time.DateOnly) {
			t.Errorf("the machine's date is %s", got)
		}
		m.emulator.kill()
	}
}

func TestASystemWithDevices(t *testing.T) {
	m := Boot(t, Options{Files: map[string]string{"/opt/says": "#!/bin/sh\necho yes\n"}})
	if got := m.Must(t, "/opt/says"); got != "yes" {
		t.Errorf("it says %q", got)
	}
	if got := m.Must(t, "systemctl", "is-system-running"); got != "running" {
		t.Errorf("the system is %s", got)
	}
	if got := m.Must(t, "cat", "/sys/fs/cgroup/cgroup.controllers"); !strings.Contains(got, "memory") {
		t.Errorf("control groups have only %s", got)
	}
	m.Must(t, "udevadm", "wait", "--timeout=20", "/dev/dri/card0")
}
