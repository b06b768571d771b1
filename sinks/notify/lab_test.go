package notify

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// The tests named TestLab are for root in a booted container. Build them by
// go test -c. A unit of systemd runs this program again as the daemon.
func needLab(t *testing.T) {
	t.Helper()
	if os.Getenv("MODEWATCH_IN_LAB") != "1" {
		t.Skip("SKIP-REASON: needs the lab (MODEWATCH_IN_LAB=1)")
	}
}

// ctl runs a command of systemd and returns its output.
func ctl(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// serve is the daemon: it pings as it should unless told not to.
func serve(pings bool) {
	hup, end := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	signal.Notify(end, syscall.SIGTERM)
	now := time.Now()
	s := fsm.Snapshot{At: now, State: fsm.AtCompute, Since: now, Observation: fsm.Observation{Mode: fsm.Compute}}
	_, _ = Status(s), Ready()
	for beat, _ := Beat(context.Background()); ; {
		select {
		case <-beat:
			if pings {
				Alive()
			}
		case <-hup:
			s.Wish = &fsm.Wish{Mode: fsm.Desktop}
			_, _, _ = Reloading(), Status(s), Ready()
		case <-end:
			_ = Stopping()
			return
		}
	}
}

func TestLabSystemdBelieves(t *testing.T) {
	needLab(t)
	if as := os.Getenv("MODEWATCH_LAB_CHILD"); as != "" {
		serve(as == "pings")
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	start := func(unit, as string) {
		ctl(t, "systemd-run", "--quiet", "--unit", unit, "-p", "Type=notify-reload", "-p", "WatchdogSec=1s", "-p", "Restart=no",
			"-E", "MODEWATCH_IN_LAB=1", "-E", "MODEWATCH_LAB_CHILD="+as, self, "-test.run", "^TestLabSystemdBelieves$")
	}
	show := func(unit, property string) string { return ctl(t, "systemctl", "show", "-P", property, unit) }
	start("lab-good", "pings")
	start("lab-mute", "mute")
	if got := show("lab-good", "StatusText"); !strings.HasPrefix(got, "compute since ") {
		t.Errorf("status %q", got)
	}
	ctl(t, "systemctl", "reload", "lab-good")
	if got := show("lab-good", "StatusText"); !strings.HasSuffix(got, "; wish desktop") {
		t.Errorf("status after the reload %q", got)
	}
	for deadline := time.Now().Add(20 * time.Second); show("lab-mute", "ActiveState") != "failed"; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a daemon that does not ping lives on")
		}
	}
	if got := show("lab-mute", "Result"); got != "watchdog" {
		t.Errorf("the mute daemon ended by %s", got)
	}
	if got := show("lab-good", "ActiveState") + " " + show("lab-good", "NRestarts"); got != "active 0" {
		t.Errorf("the pinging daemon is %s", got)
	}
	ctl(t, "systemctl", "stop", "lab-good")
	ctl(t, "systemctl", "reset-failed", "lab-mute")
}
