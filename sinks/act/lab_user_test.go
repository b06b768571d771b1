package act

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// aliceManager has alice's manager run for the test, with her audio stack.
func aliceManager(t testing.TB) string {
	t.Helper()
	uid := alice(t)
	sh(t, "systemctl start user@%s.service", uid)
	t.Cleanup(func() { sh(t, "systemctl stop user@%s.service", uid) })
	return uid
}

// alices runs systemctl on alice's manager.
func alices(t testing.TB, format string, args ...any) string {
	t.Helper()
	return sh(t, "systemctl --user -M alice@.host "+format, args...)
}

func aliceUnit(t testing.TB, unit string) string {
	t.Helper()
	return alices(t, "show %s -p ActiveState --value", unit)
}

func TestLabAudioStopsAndStarts(t *testing.T) {
	a, _ := newActor(t, testPolicy)
	uid := aliceManager(t)
	alices(t, "start pipewire.socket wireplumber.service")
	pid := alices(t, "show pipewire.service -p MainPID --value")
	if pid == "0" {
		t.Fatal("PipeWire does not run")
	}
	for range 2 {
		if err := do(t, a, fsm.StopAudio, uid); err != nil {
			t.Fatal(err)
		}
		for _, unit := range []string{"pipewire.socket", "pipewire.service", "wireplumber.service"} {
			if state := aliceUnit(t, unit); state != "inactive" {
				t.Errorf("%s is %s after the stop", unit, state)
			}
		}
	}
	if _, err := try("setpriv --reuid=%s --clear-groups env XDG_RUNTIME_DIR=/run/user/%s timeout 2 pw-cli info 0", uid, uid); err == nil {
		t.Error("a client woke PipeWire")
	}
	for range 2 {
		if err := do(t, a, fsm.StartAudio, uid); err != nil {
			t.Fatal(err)
		}
		for _, unit := range []string{"pipewire.socket", "pipewire.service", "wireplumber.service"} {
			if state := aliceUnit(t, unit); state != "active" {
				t.Errorf("%s is %s after the start", unit, state)
			}
		}
	}
	if again := alices(t, "show pipewire.service -p MainPID --value"); again == pid || again == "0" {
		t.Errorf("PipeWire's process was %s and is %s", pid, again)
	}
}

func TestLabMaskedAudioStaysMasked(t *testing.T) {
	a, j := newActor(t, testPolicy)
	uid := aliceManager(t)
	alices(t, "stop wireplumber.service")
	alices(t, "mask --runtime --now wireplumber.service 2>&1")
	t.Cleanup(func() { sh(t, "rm /run/user/%s/systemd/user/wireplumber.service", uid) })
	if err := do(t, a, fsm.StopAudio, uid); err != nil {
		t.Error(err)
	}
	if err := do(t, a, fsm.StartAudio, uid); err != nil {
		t.Error(err)
	}
	if state := aliceUnit(t, "pipewire.socket"); state != "active" {
		t.Errorf("pipewire.socket is %s", state)
	}
	if !j.has("wireplumber.service is masked") {
		t.Errorf("told: %s", j)
	}
}

func TestLabAudioOfNobody(t *testing.T) {
	a, j := newActor(t, testPolicy)
	for _, verb := range []fsm.Verb{fsm.StopAudio, fsm.StartAudio, fsm.StopDesktop} {
		if err := do(t, a, verb, "4242"); err != nil {
			t.Errorf("%s of a user without a manager: %v", verb, err)
		}
	}
	if !j.has("the user's manager is not running") {
		t.Errorf("told: %s", j)
	}
	if err := do(t, a, fsm.StopAudio, "alice"); err == nil {
		t.Error("a name is taken for a uid")
	}
	policy := testPolicy
	policy.Units.Audio = []string{"no-such-audio.service"}
	none, _ := newActor(t, policy)
	uid := aliceManager(t)
	if err := do(t, none, fsm.StopAudio, uid); err != nil {
		t.Errorf("stop of a stack that is not installed: %v", err)
	}
	if err := do(t, none, fsm.StartAudio, uid); !errors.Is(err, ErrNotFound) {
		t.Errorf("start of a stack that is not installed: %v", err)
	}
}

// The first call on a private socket is lost where it is short, see dialPrivate.
func TestLabUserManagerAlwaysAnswers(t *testing.T) {
	a, _ := newActor(t, testPolicy)
	uid := aliceManager(t)
	for range 100 {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		m, err := a.userManager(ctx, uid)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		m.Close()
	}
}

func TestLabHangingUserManager(t *testing.T) {
	a, _ := newActor(t, testPolicy)
	uid := aliceManager(t)
	pid := show(t, "user@"+uid+".service", "MainPID")
	sh(t, "kill -STOP %s", pid)
	t.Cleanup(func() { sh(t, "kill -CONT %s", pid) })
	began := time.Now()
	wantTimedOut(t, doWithin(t, a, fsm.StopAudio, uid, 300*time.Millisecond))
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestLabUserManagerEndsMeanwhile(t *testing.T) {
	a, j := newActor(t, testPolicy)
	uid := aliceManager(t)
	writeFile(t, "/run/systemd/user/wireplumber.service.d/slow.conf",
		"[Service]\nExecStop=/bin/sleep 30\nTimeoutStopSec=60\n")
	t.Cleanup(func() { sh(t, "rm -r /run/systemd/user/wireplumber.service.d") })
	alices(t, "daemon-reload")
	alices(t, "start wireplumber.service")
	ended := make(chan error, 1)
	go func() { ended <- do(t, a, fsm.StopAudio, uid) }()
	waitFor(t, "the stop", func() bool { return aliceUnit(t, "wireplumber.service") == "deactivating" })
	sh(t, "systemctl kill -s KILL user@%s.service; systemctl stop user@%s.service user-runtime-dir@%s.service", uid, uid, uid)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if !j.has("ended meanwhile") {
		t.Errorf("told: %s", j)
	}
}

func TestLabUserManagerReexecutes(t *testing.T) {
	a, _ := newActor(t, testPolicy)
	uid := aliceManager(t)
	alices(t, "start pipewire.socket wireplumber.service")
	alices(t, "daemon-reexec")
	if err := do(t, a, fsm.StopAudio, uid); err != nil {
		t.Error(err)
	}
	if state := aliceUnit(t, "pipewire.service"); state != "inactive" {
		t.Errorf("pipewire.service is %s", state)
	}
}

func TestLabDesktopStops(t *testing.T) {
	a, _ := newActor(t, testPolicy)
	uid := aliceManager(t)
	writeFile(t, "/run/systemd/user/t-shell.service",
		"[Unit]\nBindsTo=graphical-session.target\nBefore=graphical-session.target\n[Service]\nType=exec\nExecStart=/bin/sleep 600\n")
	t.Cleanup(func() { sh(t, "rm /run/systemd/user/t-shell.service") })
	alices(t, "daemon-reload")
	alices(t, "start t-shell.service")
	if state := aliceUnit(t, "graphical-session.target"); state != "active" {
		t.Fatalf("the desktop is %s", state)
	}
	for range 2 {
		if err := do(t, a, fsm.StopDesktop, uid); err != nil {
			t.Fatal(err)
		}
	}
	for _, unit := range []string{"graphical-session.target", "t-shell.service"} {
		if state := aliceUnit(t, unit); state != "inactive" {
			t.Errorf("%s is %s", unit, state)
		}
	}
	if strings.Contains(show(t, "user@"+uid+".service", "ActiveState"), "failed") {
		t.Error("the manager went with the desktop")
	}
}
