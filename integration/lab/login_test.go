package lab

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestSway(t *testing.T) {
	t.Parallel()
	m := Boot(t, Options{})
	s, err := m.StartSway(t.Context(), "alice", Sway{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Type != "wayland" || s.Class != "user" || !s.Active || s.Seat != "seat0" || s.Scope != "session-"+s.ID+".scope" {
		t.Errorf("session %+v", s)
	}
	if got := m.Must(t, "loginctl", "show-session", s.ID, "--property=Type", "--value"); got != "wayland" {
		t.Errorf("loginctl says type %s", got)
	}
	wantHolders(t, m, Card, "sway")
	if !m.Active(t.Context(), "user@1000.service") {
		t.Error("alice has no user manager")
	}
	r, err := m.RunIn(t.Context(), s, "cat", "/proc/self/cgroup")
	if err != nil || !strings.HasSuffix(strings.TrimSpace(r.Stdout), "/user-1000.slice/"+s.Scope) {
		t.Errorf("in the session: %+v, %v", r, err)
	}
	m.Must(t, "loginctl", "terminate-session", s.ID)
	wantSessions(t, m, 0)
	wantHolders(t, m, Card)
}

func TestSwayFromTTY(t *testing.T) {
	t.Parallel()
	m := Boot(t, Options{})
	s, err := m.StartSwayFromTTY(t.Context(), "bob", Sway{Nodes: []string{"/dev/dri/card0", "/dev/nvidia0"}})
	if err != nil {
		t.Fatal(err)
	}
	if s.Type != "tty" || s.User != "bob" || s.UID != 1001 {
		t.Errorf("session %+v", s)
	}
	wantHolders(t, m, "/dev/dri/card0", "sway")
	wantHolders(t, m, "/dev/nvidia0", "sway")
	if comm := m.Must(t, "cat", fmt.Sprintf("/proc/%d/comm", s.Leader)); comm == "sway" {
		t.Error("sway itself leads the session")
	}
}

func TestSessionThatIgnoresSignals(t *testing.T) {
	t.Parallel()
	m := Boot(t, Options{})
	s, err := m.StartSway(t.Context(), "alice", Sway{Stubborn: true})
	if err != nil {
		t.Fatal(err)
	}
	wantHolders(t, m, Card, "sleep", "sway")
	m.Must(t, "loginctl", "terminate-session", s.ID)
	wantHolders(t, m, Card, "sleep")
	if state := m.Must(t, "loginctl", "show-session", s.ID, "--property=State", "--value"); state != "closing" {
		t.Errorf("the session is %s", state)
	}
	m.Must(t, "loginctl", "kill-session", "--signal=KILL", s.ID)
	wantHolders(t, m, Card)
	wantSessions(t, m, 0)
}

func TestSessionThatComesBack(t *testing.T) {
	t.Parallel()
	m := Boot(t, Options{})
	first, err := m.StartDisplayManager(t.Context(), "alice", Sway{})
	if err != nil {
		t.Fatal(err)
	}
	m.Must(t, "loginctl", "terminate-session", first.ID)
	var again []Session
	err = WaitFor(t.Context(), "alice to be logged in again, with sway", func() bool {
		again, err = m.Sessions(t.Context())
		return err == nil && len(again) == 1 && again[0].ID != first.ID && m.swayAnswers(t.Context(), again[0])
	})
	if err != nil {
		t.Fatal(err)
	}
	if !m.Active(t.Context(), "display-manager.service") {
		t.Error("display-manager.service is not active")
	}
	if err := m.StopUnit(t.Context(), "display-manager.service"); err != nil {
		t.Fatal(err)
	}
	wantSessions(t, m, 0)
}

// wantHolders waits until exactly the processes of these names have a node open.
func wantHolders(t *testing.T, m *Machine, node string, want ...string) {
	t.Helper()
	var got []string
	err := WaitFor(t.Context(), fmt.Sprintf("%s held by %q", node, want), func() bool {
		pids, err := m.Holders(t.Context(), node)
		if err != nil {
			return false
		}
		got = nil
		for _, pid := range pids {
			comm, _ := m.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
			got = append(got, strings.TrimSpace(string(comm)))
		}
		slices.Sort(got)
		return slices.Equal(got, want)
	})
	if err != nil {
		t.Fatalf("%v; it is held by %q", err, got)
	}
}

func wantSessions(t *testing.T, m *Machine, want int) {
	t.Helper()
	var got []Session
	err := WaitFor(t.Context(), fmt.Sprintf("%d sessions", want), func() bool {
		var err error
		got, err = m.Sessions(t.Context())
		return err == nil && len(got) == want
	})
	if err != nil {
		t.Fatalf("%v; there are %+v", err, got)
	}
}
