package act

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// The tests named TestLab change the machine they run on: they are for root in a
// booted container that is thrown away afterwards. Build them by go test -c.
func needLab(t *testing.T) {
	t.Helper()
	if os.Getenv("MODEWATCH_IN_LAB") != "1" {
		t.Skip("SKIP-REASON: needs the lab (MODEWATCH_IN_LAB=1)")
	}
}

// patience bounds what should take milliseconds.
const patience = 20 * time.Second

var testPolicy = fsm.Policy{
	Units: fsm.Units{
		Graphical: "graphical-session.target",
		Audio: []string{"pipewire.socket", "pipewire-pulse.socket", "pipewire.service",
			"pipewire-pulse.service", "wireplumber.service", "no-such-audio.service"},
	},
	Deadlines: fsm.Deadlines{SessionTerm: time.Second},
}

// journal collects what an actor logs.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(text string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, text)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.lines, "\n")
}

func (j *journal) has(part string) bool { return strings.Contains(j.String(), part) }

func newActor(t *testing.T, policy fsm.Policy) (*Actor, *journal) {
	t.Helper()
	needLab(t)
	j := &journal{}
	a := New(policy, WithLog(j.add))
	t.Cleanup(func() {
		if err := a.Close(); err != nil && !t.Failed() {
			t.Logf("close: %v", err)
		}
		if t.Failed() {
			t.Logf("the actor's log:\n%s", j)
		}
	})
	return a, j
}

// do does one operation with patience, and logs how long it took.
func do(t *testing.T, a *Actor, verb fsm.Verb, arg string) error {
	t.Helper()
	return doWithin(t, a, verb, arg, patience)
}

func doWithin(t *testing.T, a *Actor, verb fsm.Verb, arg string, bound time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	op := fsm.Op{Verb: verb, Arg: arg}
	began := time.Now()
	err := a.Do(ctx, op)
	t.Logf("%s: %s, %v", op, time.Since(began).Round(100*time.Microsecond), err)
	return err
}

// sh runs a shell command that has to succeed.
func sh(t testing.TB, format string, args ...any) string {
	t.Helper()
	out, err := try(format, args...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", fmt.Sprintf(format, args...), err, out)
	}
	return out
}

func try(format string, args ...any) (string, error) {
	out, err := exec.Command("sh", "-c", fmt.Sprintf(format, args...)).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// show returns a property of a unit.
func show(t testing.TB, unit, property string) string {
	t.Helper()
	return sh(t, "systemctl show %s -p %s --value", unit, property)
}

func wantState(t *testing.T, unit, load, active string) {
	t.Helper()
	if l, a := show(t, unit, "LoadState"), show(t, unit, "ActiveState"); l != load || a != active {
		t.Errorf("%s is %s and %s, want %s and %s", unit, l, a, load, active)
	}
}

// addUnits writes unit files, by path or, with a bare name, into /run, and takes
// them away after the test.
func addUnits(t testing.TB, files map[string]string) {
	t.Helper()
	var names []string
	for path, text := range files {
		if !filepath.IsAbs(path) {
			path = filepath.Join("/run/systemd/system", path)
		}
		names = append(names, filepath.Base(path))
		t.Cleanup(func() { _ = os.Remove(path) })
		writeFile(t, path, text)
	}
	sh(t, "systemctl daemon-reload")
	t.Cleanup(func() {
		for _, name := range names {
			_, _ = try("systemctl kill -s KILL %s; systemctl stop %s; systemctl reset-failed %s", name, name, name)
		}
	})
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func waitFor(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("cannot see %s", what)
		}
	}
}

// alice returns the uid of a user for the tests, made where there is none.
func alice(t testing.TB) string {
	t.Helper()
	u, err := user.Lookup("alice")
	if err != nil {
		sh(t, "useradd --create-home --shell /bin/bash alice")
		if u, err = user.Lookup("alice"); err != nil {
			t.Fatal(err)
		}
	}
	return u.Uid
}

const loginUnit = `[Service]
User=alice
PAMName=login
Environment=XDG_SESSION_TYPE=wayland XDG_SESSION_CLASS=user XDG_SEAT=seat0
Environment=WLR_BACKENDS=headless WLR_LIBINPUT_NO_DEVICES=1 WLR_RENDERER=pixman LIBSEAT_BACKEND=noop
ExecStart=%s
`

// logIn starts a logind session of alice's, of type wayland, whose leader runs a
// command, and returns its id once it has opened.
func logIn(t testing.TB, command string) string {
	t.Helper()
	id := beginLogin(t, command)
	waitFor(t, "an open session", func() bool { return stateOf(t, id) != "opening" })
	return id
}

// stateOf returns logind's word for the state of a session.
func stateOf(t testing.TB, id string) string {
	t.Helper()
	return sh(t, "loginctl show-session %s -p State --value", id)
}

// beginLogin is logIn without the wait for the session to open.
func beginLogin(t testing.TB, command string) string {
	t.Helper()
	uid := alice(t)
	addUnits(t, map[string]string{"t-login.service": fmt.Sprintf(loginUnit, command)})
	sh(t, "systemctl start t-login.service")
	var id string
	waitFor(t, "alice's session", func() bool {
		id, _ = try(`for s in $(loginctl list-sessions --no-legend | awk '{print $1}'); do
			loginctl show-session $s -p User -p Class -p Id | tr '\n' ' '; echo; done |
			sed -n 's/^Id=\([^ ]*\) .*User=%s .*Class=user .*/\1/p; s/^Id=\([^ ]*\) User=%s Class=user.*/\1/p' | tail -1`, uid, uid)
		return id != ""
	})
	t.Cleanup(func() {
		_, _ = try("systemctl kill -s KILL %s; loginctl kill-session -s KILL %s", fsm.SessionScope(id), id)
		waitFor(t, "the end of session "+id, func() bool { return !known(id) })
	})
	return id
}

// known tells whether logind knows a session.
func known(id string) bool {
	_, err := try("loginctl show-session %s", id)
	return err == nil
}

func wantTimedOut(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want one for the deadline", err)
	}
}
