package act

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

func wantGone(t *testing.T, id string) {
	t.Helper()
	if known(id) {
		t.Errorf("logind still knows session %s: %s", id, sh(t, "loginctl show-session %s -p State", id))
	}
	if state := show(t, fsm.SessionScope(id), "ActiveState"); state != "inactive" {
		t.Errorf("the scope of session %s is %s", id, state)
	}
}

func TestLabSwaySessionEnds(t *testing.T) {
	a, j := newActor(t, testPolicy)
	id := logIn(t, "/usr/bin/sway")
	if kind := sh(t, "loginctl show-session %s -p Type --value", id); kind != "wayland" {
		t.Fatalf("the session is of type %s", kind)
	}
	waitFor(t, "sway", func() bool { _, err := try("pgrep -x sway"); return err == nil })
	if err := do(t, a, fsm.EndSession, id); err != nil {
		t.Fatal(err)
	}
	wantGone(t, id)
	if pid, err := try("pgrep -x sway"); err == nil {
		t.Errorf("sway is still there: %s", pid)
	}
	if j.String() != "" {
		t.Errorf("an easy end was told as an escalation: %s", j)
	}
	if err := do(t, a, fsm.EndSession, id); err != nil {
		t.Errorf("a session that is gone: %v", err)
	}
}

const stubborn = `/bin/sh -c "trap '' TERM HUP INT; exec sleep 600"`

func TestLabStubbornSessionIsKilled(t *testing.T) {
	a, j := newActor(t, testPolicy)
	id := logIn(t, stubborn)
	began := time.Now()
	if err := do(t, a, fsm.EndSession, id); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < testPolicy.Deadlines.SessionTerm {
		t.Errorf("it was killed after %s, before its time was up", took)
	}
	wantGone(t, id)
	if !j.has("still there after 1s, killing it") {
		t.Errorf("the kill was not told: %s", j)
	}
}

func TestLabSessionEndIsBoundedByContext(t *testing.T) {
	a, _ := newActor(t, testPolicy)
	id := logIn(t, stubborn)
	err := doWithin(t, a, fsm.EndSession, id, 500*time.Millisecond)
	wantTimedOut(t, err)
	if err != nil && !strings.Contains(err.Error(), "(closing, its scope is deactivating)") {
		t.Errorf("the error does not tell what is left: %v", err)
	}
}

// leftBehind is a leader that leaves something in its session and goes, after
// which logind takes the session for closing and no longer hears Terminate.
func leftBehind(what string) string {
	return `/bin/sh -c "(trap '' ` + what + `; exec setsid sleep 600) & sleep 0.3"`
}

func TestLabClosingSessionEnds(t *testing.T) {
	for name, c := range map[string]struct {
		ignores string
		killed  bool
	}{
		"meek":     {"USR1", false},
		"stubborn": {"TERM HUP", true},
	} {
		t.Run(name, func(t *testing.T) {
			a, j := newActor(t, testPolicy)
			id := logIn(t, leftBehind(c.ignores))
			waitFor(t, "a closing session", func() bool {
				return stateOf(t, id) == "closing"
			})
			sh(t, "loginctl terminate-session %s", id)
			if !known(id) || show(t, fsm.SessionScope(id), "ActiveState") != "active" {
				t.Fatal("a Terminate was enough: the test tests nothing")
			}
			if err := do(t, a, fsm.EndSession, id); err != nil {
				t.Fatal(err)
			}
			wantGone(t, id)
			if !j.has("its scope is stopped instead") || j.has("killing") != c.killed {
				t.Errorf("told: %s", j)
			}
		})
	}
}

func TestLabSessionOfADeadLogindIsNotTakenForGone(t *testing.T) {
	a, _ := newActor(t, testPolicy)
	id := logIn(t, "/bin/sleep 600")
	pid := show(t, "systemd-logind.service", "MainPID")
	sh(t, "kill -STOP %s", pid)
	began := time.Now()
	err := do(t, a, fsm.EndSession, id)
	took := time.Since(began)
	sh(t, "kill -CONT %s", pid)
	if err == nil {
		t.Error("a session that logind does not answer for has ended")
	}
	if took > 2*callTimeout {
		t.Errorf("it took %s to find that logind hangs", took)
	}
	if err := do(t, a, fsm.EndSession, id); err != nil {
		t.Errorf("with logind back: %v", err)
	}
}

// slowManager keeps a session of alice's opening for a while: it waits for her
// manager.
func slowManager(t *testing.T) {
	t.Helper()
	uid := alice(t)
	dropIn := "/run/systemd/system/user@" + uid + ".service.d"
	writeFile(t, dropIn+"/slow.conf", "[Service]\nExecStartPre=/bin/sleep 0.7\n")
	sh(t, "systemctl stop user@%s.service; systemctl daemon-reload", uid)
	t.Cleanup(func() { sh(t, "rm -r %s; systemctl daemon-reload", dropIn) })
}

func TestLabOpeningSessionEnds(t *testing.T) {
	policy := testPolicy
	policy.Deadlines.SessionTerm = 5 * time.Second // the manager takes one
	a, j := newActor(t, policy)
	slowManager(t)
	id := beginLogin(t, "/bin/sleep 600")
	if state := stateOf(t, id); state != "opening" {
		t.Fatalf("the session is %s: the test tests nothing", state)
	}
	if err := do(t, a, fsm.EndSession, id); err != nil {
		t.Fatal(err)
	}
	wantGone(t, id)
	if j.has("killing") {
		t.Errorf("told: %s", j)
	}
}

// One that does not open either is ended all the same.
func TestLabSessionThatNeverOpensIsKilled(t *testing.T) {
	policy := testPolicy
	policy.Deadlines.SessionTerm = 50 * time.Millisecond
	a, j := newActor(t, policy)
	slowManager(t)
	id := beginLogin(t, "/bin/sleep 600")
	if err := do(t, a, fsm.EndSession, id); err != nil {
		t.Fatal(err)
	}
	wantGone(t, id)
	if !j.has("killing") {
		t.Errorf("told: %s", j)
	}
}

// A session that somebody terminated while it was opening: closing for ever.
func TestLabSessionWithoutAScopeIsKilled(t *testing.T) {
	a, j := newActor(t, testPolicy)
	slowManager(t)
	id := beginLogin(t, "/bin/sleep 600")
	sh(t, "loginctl terminate-session %s", id)
	waitFor(t, "a closing session", func() bool { return stateOf(t, id) == "closing" })
	if err := do(t, a, fsm.EndSession, id); err != nil {
		t.Fatal(err)
	}
	wantGone(t, id)
	if !j.has("killing the leader") {
		t.Errorf("told: %s", j)
	}
}

// logind hangs after it was told: the kill goes by way of the manager.
func TestLabKillWithoutLogind(t *testing.T) {
	a, j := newActor(t, testPolicy)
	id := logIn(t, stubborn)
	pid := show(t, "systemd-logind.service", "MainPID")
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- a.Do(ctx, fsm.Op{Verb: fsm.EndSession, Arg: id}) }()
	waitFor(t, "the scope's stop", func() bool { return show(t, fsm.SessionScope(id), "ActiveState") == "deactivating" })
	sh(t, "kill -STOP %s", pid)
	waitFor(t, "the kill", func() bool { return show(t, fsm.SessionScope(id), "ActiveState") == "inactive" })
	sh(t, "kill -CONT %s", pid)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if !j.has("by logind") {
		t.Errorf("told: %s", j)
	}
	wantGone(t, id)
}

// A logind that lost its sessions leaves their scopes to the manager.
func TestLabScopeWithoutASession(t *testing.T) {
	a, j := newActor(t, testPolicy)
	scope := fsm.SessionScope("t99")
	run := exec.Command("systemd-run", "--quiet", "--scope", "--unit="+scope, "sleep", "600")
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = run.Wait() })
	waitFor(t, scope, func() bool { return show(t, scope, "ActiveState") == "active" })
	if err := do(t, a, fsm.EndSession, "t99"); err != nil {
		t.Fatal(err)
	}
	wantGone(t, "t99")
	if !j.has("(unknown to logind, its scope is active)") {
		t.Errorf("told: %s", j)
	}
}
