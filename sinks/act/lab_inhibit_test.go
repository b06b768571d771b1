package act

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

// inhibitors lists modewatch's locks, as systemd tells them.
func inhibitors(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("systemd-inhibit", "--list", "--no-legend", "--no-pager").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var ours []string
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "modewatch") {
			ours = append(ours, line)
		}
	}
	return strings.Join(ours, "")
}

func TestLabAnAttemptInhibits(t *testing.T) {
	needLab(t)
	a, log := newActor(t, testPolicy)
	until := func(what string, ok func(string) bool) {
		t.Helper()
		for end := time.Now().Add(patience); !ok(inhibitors(t)); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %s\n%s", what, inhibitors(t), log)
			}
		}
	}
	both := func(s string) bool { return strings.Contains(s, "sleep") && strings.Contains(s, "shutdown") }
	a.Attend(true)
	until("while it runs", both)
	a.Attend(false)
	until("after it", func(s string) bool { return s == "" })
	a.Attend(true)
	until("while the next runs", both)
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	until("after the end of all", func(s string) bool { return s == "" })
	if log.String() != "" {
		t.Errorf("told: %s", log)
	}
}
