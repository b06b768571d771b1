package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/integration/lab"
)

// waitingHook is a hook that lasts until somebody makes /run/go.
const waitingHook = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart=sh -c 'until [ -e /run/go ]; do sleep 0.02; done; rm /run/go'\n"

// goOn lets the waiting hook end.
func (d *desk) goOn() {
	d.t.Helper()
	d.must(d.WriteFile("/run/go", ""))
}

// lateCauses are reasons to refuse that come up while the hook runs: each has to
// stop the attempt before it ends anything.
var lateCauses = []struct {
	name, guard string
	code        int
	cause       string // in the machine, by sh; $1 is alice's session's scope
	cure        string
	culprit     string
}{
	{"somebody records", "check_audio_idle", 10, "systemctl start reaper.service", "systemctl stop reaper.service", "reaper (PID "},
	{"a sound card is held", "check_audio_idle", 10, "systemctl start player.service", "systemctl stop player.service", "/dev/snd/pcmC0D0p"},
	{"a foreign process takes the GPU", "check_gpu_display_released", 11, "systemctl start miner.service", "systemctl stop miner.service", "miner.service"},
	{"the target is masked", "check_target_reachable", 18, "systemctl mask --runtime compute.target", "systemctl unmask --runtime compute.target", "compute.target is masked"},
	{"what must survive has become part of the stop set", "check_target_reachable", 18, "systemctl start tailscaled.service", "systemctl stop tailscaled.service", "tailscaled.service"},
	{"a NixOS switch begins", "check_target_reachable", 18, "systemctl start nixos-upgrade.service", "systemctl stop nixos-upgrade.service", "nixos-upgrade.service"},
	{"a site guard refuses", "tape", 14, "touch /run/tape", "rm /run/tape", "the tape runs"},
}

// sleeper is a unit that an isolate spares.
func sleeper(command string) string {
	return "[Unit]\nIgnoreOnIsolate=yes\n[Service]\nType=exec\nExecStart=" + command + "\n"
}

// holder is a sleeper that has a device node open before its start is over.
func holder(node string) string {
	return sleeper("sh -c 'mkdir -p $(dirname "+node+"); exec sleep infinity 9<>"+node+"'") +
		"ExecStartPost=sh -c 'until [ -e /proc/$MAINPID/fd/9 ]; do sleep 0.01; done'\n"
}

func TestAHardGuardThatTurnsBadBeforeThePointOfNoReturn(t *testing.T) {
	t.Parallel()
	files := inSystem(map[string]string{
		"mode-prepare-compute.service": waitingHook,
		"reaper.service":               sleeper("/usr/local/bin/reaper infinity") + "ExecStartPre=cp -n /usr/bin/sleep /usr/local/bin/reaper\n",
		"player.service":               holder("/dev/snd/pcmC0D0p"),
		"miner.service":                holder("/dev/dri/card0"),
		"tailscaled.service":           "[Service]\nExecStart=sleep infinity\n",
		"nixos-upgrade.service":        sleeper("sleep infinity"),
	})
	files["/etc/modewatch/guards.d/tape"] = "#!/bin/sh\n[ -e /run/tape ] || exit 0\necho the tape runs\nexit 14\n"
	d := newDesk(t, setup{files: files})
	d.rests(fsm.AtDesktop)
	d.atRest()
	for _, c := range lateCauses {
		before := d.picture()
		end := d.asked(fsm.Compute)
		d.doing(fsm.Run)
		d.Must(t, "sh", "-c", c.cause)
		d.goOn()
		a := d.came(end, fsm.Recovered, fsm.ExitRecovered)
		if v := d.verdict(a, c.guard, c.code); !strings.Contains(v.Reason, c.culprit) || !strings.Contains(a.Cause, c.culprit) {
			t.Errorf("%s: %q and %q do not name %q", c.name, v.Reason, a.Cause, c.culprit)
		}
		if a.Halt != fsm.HaltGuard || len(a.Steps) != 1 {
			t.Errorf("%s: by %s after %d steps", c.name, a.Halt, len(a.Steps))
		}
		refused := d.entries(a.ID, func(e lab.Entry) bool { return e["MODEWATCH_GUARD"] != "" })
		if len(refused) != 1 || refused[0]["MODEWATCH_GUARD"] != c.guard || refused[0]["MODEWATCH_CODE"] != fmt.Sprint(c.code) {
			t.Errorf("%s: the journal tells the refusals %v", c.name, refused)
		}
		d.rests(fsm.AtDesktop)
		d.unharmed(before)
		d.Must(t, "sh", "-c", c.cure)
	}
	// A soft guard is not judged again for a person's wish (D8).
	end := d.asked(fsm.Compute)
	d.doing(fsm.Run)
	d.spawn(d.alice, "rsync", "")
	d.goOn()
	d.came(end, fsm.Reached, 0)
	d.sees(fsm.Compute)
}

// atRest waits until alice's own manager has started all that it starts.
func (d *desk) atRest() {
	d.t.Helper()
	d.eventually("alice's audio", d.sounding)
}

// Audio that begins when the session is over, but before the host is isolated: the
// display manager, and with it the login, comes back.
func TestAHardGuardThatTurnsBadAfterTheSession(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{login: "dm", sway: lab.Sway{Stubborn: true}, files: inSystem(map[string]string{
		"reaper.service": sleeper("/usr/local/bin/reaper infinity") + "ExecStartPre=cp -n /usr/bin/sleep /usr/local/bin/reaper\n"})})
	d.rests(fsm.AtDesktop)
	d.atRest()
	end := d.asked(fsm.Compute)
	d.doing(fsm.EndSession)
	d.Must(t, "systemctl", "start", "reaper.service")
	a := d.came(end, fsm.Recovered, fsm.ExitRecovered)
	d.verdict(a, "check_audio_idle", 10)
	if !strings.Contains(a.Cause, "before isolate compute.target") {
		t.Errorf("it was stopped %s", a.Cause)
	}
	d.loginComesBack(a)
	d.sees(fsm.Desktop)
}

// A session that comes back right after the first has ended, by somebody whom
// nothing holds back.
func TestASessionThatComesBackMidway(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{sway: lab.Sway{Stubborn: true}})
	d.rests(fsm.AtDesktop)
	end := d.asked(fsm.Compute)
	d.doing(fsm.EndSession)
	bob, err := d.StartSway(t.Context(), "bob", lab.Sway{NoGPU: true})
	if err != nil {
		t.Fatal(err)
	}
	a := d.came(end, fsm.Degraded, fsm.ExitDegraded)
	if v := d.verdict(a, "check_graphical_session_absent", 17); !strings.Contains(v.Reason, "session "+bob.ID+" of bob") {
		t.Errorf("%q does not name bob", v.Reason)
	}
	if s := d.graphical(); len(s) != 1 || !alive(bob, s) {
		t.Errorf("bob's session was %+v, there is %+v", bob, s)
	}
	d.rests(fsm.AtDesktop)
	d.sees(fsm.Desktop)
}

// The GPU is taken between the isolate and the start of the model server.
func TestTheGPUIsTakenBeforeTheServerStarts(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{enable: []string{"lingers.service"}, files: inSystem(map[string]string{
		"lingers.service": lingers(3), "miner.service": holder("/dev/dri/card0")})})
	d.rests(fsm.AtDesktop)
	end := d.asked(fsm.Compute)
	d.doing(fsm.Isolate)
	d.Must(t, "systemctl", "start", "miner.service")
	a := d.came(end, fsm.Recovered, fsm.ExitRecovered)
	if v := d.verdict(a, "check_gpu_display_released", 11); !strings.Contains(v.Reason, "miner.service") {
		t.Errorf("%q does not name the holder", v.Reason)
	}
	d.sees(fsm.Desktop)
}

// On the way out of compute: the server that was stopped is started again.
func TestTheDesktopIsMaskedMidway(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{files: inSystem(map[string]string{"mode-prepare-desktop.service": waitingHook})})
	d.rests(fsm.AtDesktop)
	d.want(0, "request", "compute")
	end := d.asked(fsm.Desktop)
	d.doing(fsm.Run)
	d.Must(t, "systemctl", "mask", "--runtime", "desktop.target")
	d.goOn()
	a := d.came(end, fsm.Recovered, fsm.ExitRecovered)
	d.verdict(a, "check_target_reachable", 18)
	d.sees(fsm.Compute)
	d.Must(t, "systemctl", "unmask", "--runtime", "desktop.target")
	end = d.asked(fsm.Desktop)
	d.doing(fsm.Run)
	d.goOn()
	d.came(end, fsm.Reached, 0)
}

// An undo that a guard refuses leaves the host where it is, and says so until it
// is in order again.
func TestAnUndoThatIsRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{files: inSystem(map[string]string{"vllm@compute.service.d/50-no.conf": "[Service]\nRestart=no\n" +
		"ExecStartPre=+systemctl mask --runtime desktop.target\nExecStartPre=+false\n"})})
	d.rests(fsm.AtDesktop)
	a := d.fails(fsm.Compute, fsm.Degraded, fsm.ExitDegraded)
	d.verdict(a, "check_target_reachable", 18)
	refused := false
	for _, s := range a.Steps {
		refused = refused || s.Undo && s.Op == fsm.Op{Verb: fsm.Isolate, Arg: "desktop.target"} && s.Result == "refused" && strings.Contains(s.Cause, "masked")
	}
	if !refused || a.Final != fsm.Compute {
		t.Errorf("the refusal is not told, in %s: %+v", a.Final, a.Steps)
	}
	d.rests(fsm.FailedTransition)
	if got := strings.TrimSpace(d.mode("state").Stdout); got != "failed-transition" {
		t.Errorf("modewatch state says %q", got)
	}
	d.Must(t, "systemctl", "unmask", "--runtime", "desktop.target")
	d.want(0, "request", "desktop")
	d.sees(fsm.Desktop)
}

// Requests that do not end, or can no longer be counted, keep a server from being
// stopped where the configuration says so.
func TestADrainThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{login: "none", edit: []string{`drain.deadline = "5s"`, "drain.deadline = \"1s\"\ndrain.on_timeout = \"block\""}})
	d.rests(fsm.AtDesktop)
	d.want(0, "request", "compute")
	before := d.picture()
	for _, c := range []struct {
		first, later string
		code         int
	}{{"running=3", "", 15}, {"running=3", "broken=true", 25}, {"hang=true", "", 25}} {
		d.control(c.first)
		end := d.asked(fsm.Desktop)
		if c.later != "" {
			d.doing(fsm.Drain)
			d.control(c.later)
		}
		a := d.came(end, fsm.Blocked, c.code)
		if v := d.verdict(a, "check_vllm_drainable", c.code); !strings.Contains(v.Reason, "vllm@compute.service") {
			t.Errorf("%q does not name the server", v.Reason)
		}
		d.rests(fsm.AtCompute)
		d.unharmed(before)
		d.control("running=0\nbroken=false\nhang=false")
	}
	d.want(0, "request", "desktop")
}

// control tells the stand-in of vLLM what to pretend from now on.
func (d *desk) control(text string) {
	d.t.Helper()
	const tell = `exec 3<>/dev/tcp/127.0.0.1/8000 && printf 'POST /_control HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s' ${#1} "$1" >&3 && grep -q '200 OK' <&3`
	d.Must(d.t, "bash", "-c", tell, "bash", text)
}
