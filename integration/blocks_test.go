package integration

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/integration/lab"
)

// cause is one real reason for a refusal: how it is made, and how it is ended.
type cause struct {
	name    string
	make    string // shell, in the machine
	end     string
	code    int
	guard   string
	culprit string // what the reason must name
}

// hold keeps a device node open in a service of its own, out of reach of every
// plan: it survives isolates.
const hold = "systemd-run -q --unit=%s -p IgnoreOnIsolate=yes sh -c 'exec 9<%s; exec sleep 1000'; sleep 0.3"

// causes refuse the way from desktop to compute.
var causes = []cause{
	{"a recording program", "cp /bin/sleep /usr/local/bin/reaper; systemd-run -q --unit=rec -p IgnoreOnIsolate=yes -p User=alice /usr/local/bin/reaper 1000; sleep 0.3",
		"systemctl stop rec", 10, "check_audio_idle", "reaper (PID "},
	{"a held sound card", "mkdir -p /dev/snd; touch /dev/snd/pcmC0D0p; " + fmt.Sprintf(hold, "card", "/dev/snd/pcmC0D0p"),
		"systemctl stop card", 10, "check_audio_idle", "/dev/snd/pcmC0D0p"},
	{"a foreign holder of the GPU", fmt.Sprintf(hold, "miner", "/dev/dri/card0"), "systemctl stop miner", 11, "check_gpu_display_released", "miner.service"},
	{"a service by systemd-run", "systemd-run -q --unit=render sleep 1000", "systemctl stop render", 13, "check_user_jobs_safe", "render.service"},
	{"a service by hand", "systemctl start byhand.service", "systemctl stop byhand.service", 13, "check_user_jobs_safe", "byhand.service"},
	{"a block inhibitor", "systemd-run -q --unit=burn -p IgnoreOnIsolate=yes systemd-inhibit --what=shutdown --who=burner --why=burning --mode=block sleep 1000; sleep 0.5",
		"systemctl stop burn", 13, "check_user_jobs_safe", "burn"},
	{"a masked target", "systemctl mask -q compute.target", "systemctl unmask -q compute.target", 18, "check_target_reachable", "compute.target"},
	{"a protected unit in the stop set", "systemctl start tailscaled.service", "systemctl stop tailscaled.service", 18, "check_target_reachable", "tailscaled.service"},
	{"a site guard", "mkdir -p /etc/modewatch/guards.d; printf '#!/bin/sh\\necho backup runs\\nexit 17\\n' >/etc/modewatch/guards.d/backup; chmod 755 /etc/modewatch/guards.d/backup",
		"rm /etc/modewatch/guards.d/backup", 17, "backup", "backup runs"},
	{"a site guard that hangs", "printf '#!/bin/sh\\nsleep 1000\\n' >/etc/modewatch/guards.d/stuck; chmod 755 /etc/modewatch/guards.d/stuck",
		"rm /etc/modewatch/guards.d/stuck", 20, "stuck", "stuck"},
	{"a hung logind", "kill -STOP $(systemctl show -P MainPID systemd-logind)", "kill -CONT $(systemctl show -P MainPID systemd-logind)",
		28, "check_target_reachable", "sessions"},
}

func TestEachGuardBlocksForItsCause(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{config: "[guards]\nsite_timeout = \"1s\"\n", files: map[string]string{
		"/etc/systemd/system/byhand.service":     "[Service]\nExecStart=sleep 1000\n",
		"/etc/systemd/system/tailscaled.service": "[Service]\nExecStart=sleep 1000\n",
	}})
	d.rests(fsm.AtDesktop)
	for _, c := range causes {
		t.Run(c.name, func(t *testing.T) {
			d.Must(t, "sh", "-c", c.make)
			before := d.everything()
			r := d.mode("request", "compute", "--json")
			after := d.everything()
			d.Must(t, "sh", "-c", c.end)
			if r.Code != c.code {
				t.Fatalf("exit %d, want %d\n%s%s", r.Code, c.code, r.Stdout, r.Stderr)
			}
			var a fsm.Attempt
			if err := json.Unmarshal([]byte(r.Stdout), &a); err != nil {
				t.Fatal(err)
			}
			if a.Outcome != fsm.Blocked || len(a.Steps) != 0 || d.last().ID != a.ID {
				t.Errorf("it ended %s after %d steps; last-transition.json is %s's", a.Outcome, len(a.Steps), d.last().ID)
			}
			if !blames(a.Verdicts, c) {
				t.Errorf("no verdict of %s (%d) names %q: %+v", c.guard, c.code, c.culprit, a.Verdicts)
			}
			if !told(d, a.ID, c) {
				t.Errorf("the journal does not tell:\n%s", d.story())
			}
			if before != after {
				t.Errorf("something changed:\n%s\nbecame\n%s", before, after)
			}
			if got := strings.TrimSpace(d.mode("desired").Stdout); got != "compute" {
				t.Errorf("the wish became %q", got)
			}
			d.eventually("rest after the cause", func() bool { return d.snapshot().State == fsm.AtDesktop })
		})
	}
	d.want(0, "request", "compute") // nothing of it is left
}

func blames(verdicts []fsm.Verdict, c cause) bool {
	for _, v := range verdicts {
		if v.Guard == c.guard && v.Code == c.code && strings.Contains(v.Reason+" "+v.Detail+" "+v.Guard, c.culprit) {
			return true
		}
	}
	return false
}

// told tells whether the journal has the refusal with its fields.
func told(d *desk, attempt string, c cause) bool {
	entries, err := d.Journal(d.t.Context(), "-t", "modewatch", "MODEWATCH_ATTEMPT="+attempt, "MODEWATCH_GUARD="+c.guard)
	for _, e := range entries {
		if e["MODEWATCH_CODE"] == fmt.Sprint(c.code) {
			return err == nil
		}
	}
	return false
}

// everything is what a refusal must not change: units with their main process,
// and sessions.
func (d *desk) everything() string {
	d.t.Helper()
	out := d.Must(d.t, "sh", "-c", `for u in $(systemctl list-units --plain --no-legend --state=active --type=service,target,scope,socket | awk '{print $1}'); do
		echo "$u $(systemctl show -P MainPID $u)"; done; ls /run/systemd/sessions`)
	var lines []string
	for line := range strings.Lines(out) {
		// What the look itself starts: hostnamed and the like come and go.
		if !strings.HasPrefix(line, "systemd-hostnamed") && !strings.HasSuffix(line, ".ref\n") {
			lines = append(lines, line)
		}
	}
	sort.Strings(lines)
	return strings.Join(lines, "")
}

// The guards that need a host of their own kind.
func TestGuardsOfOtherHosts(t *testing.T) {
	blocked := func(name string, s setup, code int, culprit string, prepare func(*desk), args ...string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, s)
			d.rests(fsm.AtDesktop)
			if prepare != nil {
				prepare(d)
			}
			if r := d.want(code, args...); !strings.Contains(r.Stdout+r.Stderr, culprit) {
				t.Errorf("%q is not named:\n%s%s", culprit, r.Stdout, r.Stderr)
			}
		})
	}
	blocked("load", setup{edit: []string{"max_pressure = 100", "max_pressure = 1"}}, 12, "CPU",
		func(d *desk) { d.busy() }, "request", "compute")
	blocked("memory", setup{config: "[guards.memory_headroom]\nmodel = \"900 GiB\"\n"}, 14, "GiB", nil, "request", "compute")
	blocked("no session", setup{login: "none"}, 16, "session", nil, "request", "studio-local")
	blocked("studio elsewhere", setup{}, 19, "external-mac-mini", func(d *desk) {
		d.placement(`{"schema":1,"studio":"external-mac-mini"}`)
	}, "request", "studio-local")
	blocked("studio who knows where", setup{}, 29, "placement", func(d *desk) { d.placement("{") }, "request", "studio-local")
	blocked("vLLM busy", setup{edit: []string{`drain.deadline = "5s"`, "drain.on_timeout = \"block\"\ndrain.deadline = \"1s\""}}, 15, "vllm@compute.service", func(d *desk) {
		d.want(0, "request", "compute")
		d.Must(d.t, "sh", "-c", "echo running=3 >/run/vllm.control")
	}, "request", "desktop")
	blocked("vLLM unreadable", setup{}, 25, "vllm@compute.service", func(d *desk) {
		d.want(0, "request", "compute")
		d.Must(d.t, "sh", "-c", "echo broken=true >/run/vllm.control")
	}, "request", "desktop")
}

// busy loads the CPUs until the pressure shows.
func (d *desk) busy() {
	d.t.Helper()
	d.Must(d.t, "sh", "-c", "for i in 1 2 3 4 5 6; do systemd-run -q -p IgnoreOnIsolate=yes sh -c 'while :; do :; done'; done")
	d.eventually("pressure", func() bool {
		r, err := d.Run(d.t.Context(), "modewatch", "guard", "check_cpu_load_safe", "--to", "compute")
		return err == nil && r.Code == 12
	})
}

func (d *desk) placement(text string) {
	d.t.Helper()
	d.Must(d.t, "rm", "-f", "/run/mode-controller/capability-placement.json")
	if err := d.WriteFile("/run/mode-controller/capability-placement.json", text); err != nil {
		d.t.Fatal(err)
	}
}

// A hard guard that turns bad in mid-attempt stops it before the point of no
// return: the site's hook takes two seconds, in which somebody starts to record.
func TestAGuardThatTurnsBadMidway(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{files: map[string]string{
		"/etc/systemd/system/mode-prepare-compute.service": "[Unit]\nDescription=hook\n[Service]\nType=oneshot\nExecStart=sleep 2\n"}})
	d.rests(fsm.AtDesktop)
	d.Must(t, "cp", "/bin/sleep", "/usr/local/bin/reaper")
	since := d.now()
	d.echo(fsm.Compute)
	d.eventually("the hook to run", func() bool { a := d.snapshot().Attempt; return a != nil && a.Op.Verb == fsm.Run })
	d.Must(t, "systemd-run", "-q", "--unit=rec", "-p", "User=alice", "/usr/local/bin/reaper", "1000")
	a := d.ended(fsm.Compute, since)
	if a.Outcome != fsm.Recovered || a.Halt != fsm.HaltGuard || a.Exit != 40 || !strings.Contains(a.Cause, "reaper") {
		t.Errorf("it ended %s (%d) by %s: %s", a.Outcome, a.Exit, a.Halt, a.Cause)
	}
	sessions, err := d.Sessions(t.Context())
	if err != nil || !hasSession(sessions, d.alice.ID) {
		t.Errorf("alice's session is gone (%v)", err)
	}
	d.settledIn(fsm.Desktop)
}

func hasSession(sessions []lab.Session, id string) bool {
	for _, s := range sessions {
		if s.ID == id && s.State != "closing" {
			return true
		}
	}
	return false
}

// settledIn wants the observed mode, now and a second later.
func (d *desk) settledIn(m fsm.Mode) {
	d.t.Helper()
	for range 2 {
		if got := strings.TrimSpace(d.mode("current").Stdout); got != string(m) {
			d.t.Fatalf("current is %s, want %s\n%s", got, m, d.story())
		}
		time.Sleep(500 * time.Millisecond)
	}
}
