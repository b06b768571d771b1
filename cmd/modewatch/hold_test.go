package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

func holdRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, desk())
	r.must(os.Mkdir(filepath.Join(r.cfg.RunDir, "holds"), 0o755))
	return r
}

func (r *rig) held() []fsm.Hold {
	r.t.Helper()
	list, err := filesOf(r.cfg).holds()
	r.must(err)
	return list
}

func TestHoldMisused(t *testing.T) {
	r := holdRig(t)
	for want, args := range map[string][]string{
		"hold needs a command":      {"hold"},
		"not both":                  {"hold", "--why", "x", "--for", "1h", "--", "true"},
		"not a time to come":        {"hold", "--why", "x", "--for", "-1h"},
		"say --why":                 {"hold", "--for", "1h"},
		"nothing but its id":        {"hold", "--release", "x", "--for", "1h"},
		"invalid argument":          {"hold", "--for", "soon"},
		"hold has no --json output": {"hold", "--json", "--", "true"},
	} {
		if code, out, err := r.run(args...); code != fsm.ExitMisuse || !strings.Contains(err, want) || out != "" {
			t.Errorf("%v: exit %d, %q, %q", args, code, out, err)
		}
	}
	if list := r.held(); len(list) != 0 {
		t.Errorf("held all the same: %v", list)
	}
}

// A command is held for as long as it runs, and its exit code is ours.
func TestHoldACommand(t *testing.T) {
	r := holdRig(t)
	seen := filepath.Join(t.TempDir(), "seen")
	for script, want := range map[string]int{"cp holds/*.json " + seen + "; exit 7": 7, "kill -9 $$": 137, "exit 0": 0} {
		code, out, err := r.run("hold", "--why", "rendering", "--", "sh", "-c", "cd "+r.cfg.RunDir+"; "+script)
		if code != want || out != "" || err != "" {
			t.Errorf("%s: exit %d, %q, %q; want %d", script, code, out, err, want)
		}
		if list := r.held(); len(list) != 0 {
			t.Errorf("%s: held after its end: %v", script, list)
		}
	}
	if text, err := os.ReadFile(seen); err != nil || !strings.Contains(string(text), `"rendering"`) {
		t.Errorf("while it ran: %q, %v", text, err)
	}
	if code, _, err := r.run("hold", "--", "/no/such/command"); code != exitNoCommand || !strings.Contains(err, "/no/such/command") || len(r.held()) != 0 {
		t.Errorf("no command: exit %d, %q, %v", code, err, r.held())
	}
	if code, _, err := r.run("hold", "--", "sh", "-c", "rm "+r.cfg.RunDir+"/holds/*.json"); code != 0 || err != "" {
		t.Errorf("released by somebody else: exit %d, %q", code, err)
	}
}

func TestHoldForATime(t *testing.T) {
	r := holdRig(t)
	defer r.alive(daemonName, resting(atDesk)).Release()
	code, out, err := r.run("hold", "--why", "guests", "--for", "2h")
	list := r.held()
	if code != 0 || err != "" || len(list) != 1 || !strings.Contains(out, "hold --release "+list[0].ID) {
		t.Fatalf("exit %d, %q, %q, %v", code, out, err, list)
	}
	if left := time.Until(list[0].Until); left < 119*time.Minute || left > 121*time.Minute {
		t.Errorf("it lasts %v", left)
	}
	if _, out, _ := r.run("status"); !strings.Contains(out, "held        guests, held by uid ") || !strings.Contains(out, list[0].ID) {
		t.Errorf("status does not tell: %s", out)
	}
	if code, out, _ := r.run("status", "--json"); code != 0 || !strings.Contains(out, `"why": "guests"`) {
		t.Errorf("status --json: exit %d, %s", code, out)
	}
	if code, _, err := r.run("hold", "--release", list[0].ID); code != 0 || err != "" || len(r.held()) != 0 {
		t.Errorf("release: exit %d, %q, %v", code, err, r.held())
	}
	if code, _, err := r.run("hold", "--release", list[0].ID); code != exitError || !strings.Contains(err, "there is no hold") {
		t.Errorf("twice: exit %d, %q", code, err)
	}
}

func TestHoldWithoutController(t *testing.T) {
	r := newRig(t, desk())
	if code, _, err := r.run("hold", "--", "true"); code != exitError || !strings.Contains(err, "systemctl start modewatch") {
		t.Errorf("exit %d, %q", code, err)
	}
}

// What cannot be read is told, and keeps status from telling nothing of the rest.
func TestStatusWithAnUnreadableHold(t *testing.T) {
	r := holdRig(t)
	defer r.alive(daemonName, resting(atDesk)).Release()
	r.must(os.WriteFile(filepath.Join(r.cfg.RunDir, "holds", "bad.json"), []byte("x"), 0o644))
	if code, out, _ := r.run("status"); code != 0 || !strings.Contains(out, `the hold "bad.json" in`) || !strings.Contains(out, "desktop") {
		t.Errorf("exit %d, %s", code, out)
	}
}
