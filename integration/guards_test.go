package integration

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/integration/lab"
	"github.com/modewatch/modewatch/sinks/runfiles"
)

// reason is one real cause for which a guard refuses.
type reason struct {
	name  string
	to    fsm.Mode // compute, if empty
	guard string
	code  int
	// arise brings it about and returns whom the verdict must name.
	arise func(*desk) string
	cure  func(*desk)
	// forgets: logind does not know the sessions any more afterwards.
	forgets bool
}

// sh is a cause or a cure by shell.
func sh(script, culprit string) func(*desk) string {
	return func(d *desk) string {
		d.t.Helper()
		d.Must(d.t, "sh", "-c", script)
		return culprit
	}
}

func cured(script string) func(*desk) { return func(d *desk) { d.Must(d.t, "sh", "-c", script) } }

// inSession is the cause that a program of that name runs in alice's session.
func inSession(name string) func(*desk) string {
	return func(d *desk) string { return fmt.Sprintf("%s (PID %d, uid 1000", name, d.spawn(d.alice, name, "")) }
}

// audible is the cause that a program of alice's uses her PipeWire.
func audible(command, culprit string) func(*desk) string {
	return func(d *desk) string {
		d.in(d.alice, "export XDG_RUNTIME_DIR=/run/user/1000; setsid "+command+" >/dev/null 2>&1 </dev/null &")
		d.eventually(command+" to be heard", func() bool { return d.mode("guard", "check_audio_idle").Code == 10 })
		return culprit
	}
}

func gone(name string) func(*desk) { return cured("pkill -KILL -x '" + name + "'") }

// started and stopped are the cause that a unit runs, and its cure.
func started(unit, culprit string) func(*desk) string { return sh("systemctl start "+unit, culprit) }
func stopped(unit string) func(*desk)                 { return cured("systemctl stop " + unit) }

// reasons refuse a host at its desk the way into compute, or into studio-local.
var reasons = []reason{
	{name: "somebody records", guard: "check_audio_idle", code: 10, arise: inSession("reaper"), cure: gone("reaper")},
	{name: "a sound card is held", guard: "check_audio_idle", code: 10, arise: started("player.service", "/dev/snd/pcmC0D0p"), cure: stopped("player.service")},
	{name: "somebody plays silence", guard: "check_audio_idle", code: 10, arise: audible("pacat --playback --raw /dev/zero", "pacat (PID "), cure: gone("pacat")},
	{name: "a JACK client runs", guard: "check_audio_idle", code: 10, arise: audible("pw-jack -p 64 jack_metro -b 60", "is a running JACK client at 64/48000"), cure: gone("jack_metro")},
	{name: "PipeWire hangs", guard: "check_audio_idle", code: 20, arise: sh("pkill -STOP -x pipewire", "cannot read the PipeWire graph of uid 1000"), cure: cured("pkill -CONT -x pipewire")},
	{name: "the program that reads the graph is missing", guard: "check_audio_idle", code: 20, arise: sh("mv /usr/bin/pw-dump /root", "pw-dump is not installed"), cure: cured("mv /root/pw-dump /usr/bin")},
	{name: "the program that reads the graph talks junk", guard: "check_audio_idle", code: 20, arise: sh("mv /usr/bin/pw-dump /root; cp /usr/bin/echo /usr/bin/pw-dump", "cannot understand what pw-dump says"), cure: cured("mv /root/pw-dump /usr/bin")},
	{name: "a service that stays holds the GPU", guard: "check_gpu_display_released", code: 11, arise: started("miner.service", "miner.service"), cure: stopped("miner.service")},
	{name: "a remote session holds the GPU", guard: "check_gpu_display_released", code: 11, arise: remoteHolder, cure: func(d *desk) {
		d.Must(d.t, "loginctl", "terminate-user", "bob")
		d.eventually("bob to be gone", func() bool { return !d.Active(d.t.Context(), "user-runtime-dir@1001.service") })
	}},
	{name: "a transfer runs in the session", guard: "check_user_jobs_safe", code: 13, arise: inSession("rsync"), cure: gone("rsync")},
	{name: "a program that outlives its terminal", guard: "check_user_jobs_safe", code: 13, arise: func(d *desk) string {
		d.in(d.alice, "cp -n /usr/bin/sleep /tmp/render; nohup setsid /tmp/render infinity >/dev/null 2>&1 </dev/null &")
		return "render (PID "
	}, cure: gone("render")},
	{name: "a transient service", guard: "check_user_jobs_safe", code: 13, arise: sh("systemd-run --quiet --unit=train sleep infinity", "train.service (a transient unit)"), cure: stopped("train.service")},
	{name: "a service by hand", guard: "check_user_jobs_safe", code: 13, arise: started("byhand.service", "byhand.service (started by hand)"), cure: stopped("byhand.service")},
	{name: "the job of a timer", guard: "check_user_jobs_safe", code: 13, arise: func(d *desk) string {
		d.Must(d.t, "systemctl", "start", "nightly.timer")
		d.eventually("the timer's job", func() bool { return d.Active(d.t.Context(), "nightly.service") })
		return "nightly.service (started by a timer)"
	}, cure: stopped("nightly.timer nightly.service")},
	{name: "a lock against the shutdown", guard: "check_user_jobs_safe", code: 13, arise: started("burner.service", "inhibits shutdown: burning"), cure: stopped("burner.service")},
	{name: "somebody holds this host", guard: "check_holds", code: 13, arise: func(d *desk) string {
		d.as("bob", "modewatch", "hold", "--why", "guests", "--for", "1h")
		return "guests, held by uid 1001"
	}, cure: cured("modewatch hold --release $(basename /run/mode-controller/holds/*.json .json)")},
	{name: "a command holds this host, and is killed", to: fsm.StudioLocal, guard: "check_holds", code: 13, arise: sh(
		"cp -n /usr/bin/sleep /tmp/rendering; setsid modewatch hold --why rendering -- /tmp/rendering infinity >/dev/null 2>&1 </dev/null & "+
			"until pgrep -x rendering >/dev/null; do sleep 0.01; done", "rendering, held by uid 0 (PID "),
		cure: cured("pkill -KILL -f '^modewatch hold'; pkill -KILL -x rendering")},
	{name: "a hold that cannot be read", to: fsm.StudioLocal, guard: "check_holds", code: 23, arise: sh("echo junk >/run/mode-controller/holds/junk.json", "it is no JSON hold of uid 0"),
		cure: cured("rm /run/mode-controller/holds/junk.json")},
	{name: "the target is masked", guard: "check_target_reachable", code: 18, arise: sh("systemctl mask --runtime compute.target", "compute.target is masked"), cure: cured("systemctl unmask --runtime compute.target")},
	{name: "the target does not exist", guard: "check_target_reachable", code: 18, arise: sh("mv /usr/lib/systemd/system/compute.target /root; systemctl daemon-reload", "compute.target does not exist"), cure: cured("mv /root/compute.target /usr/lib/systemd/system; systemctl daemon-reload")},
	{name: "the target cannot be isolated", guard: "check_target_reachable", code: 18, arise: dropped("compute.target", "[Unit]\nAllowIsolate=no\n", "lacks AllowIsolate=yes"), cure: undropped("compute.target")},
	{name: "the model server is masked", guard: "check_target_reachable", code: 18, arise: sh("systemctl mask --runtime vllm@compute.service", "vllm@compute.service is masked"), cure: cured("systemctl unmask --runtime vllm@compute.service")},
	{name: "what must survive would be stopped", guard: "check_target_reachable", code: 18, arise: started("tailscaled.service", "would stop tailscaled.service"), cure: stopped("tailscaled.service")},
	{name: "a NixOS switch is in progress", guard: "check_target_reachable", code: 18, arise: started("nixos-upgrade.service", "nixos-upgrade.service"), cure: stopped("nixos-upgrade.service")},
	{name: "a site guard", guard: "tape", code: 11, arise: sh("touch /run/tape-11", "the tape runs"), cure: cured("rm /run/tape-*")},
	{name: "a site guard that cannot tell", guard: "tape", code: 20, arise: sh("touch /run/tape-3", "the tape runs"), cure: cured("rm /run/tape-*")},
	{name: "a site guard that hangs", guard: "tape", code: 20, arise: sh("touch /run/tape-hangs", "did not answer within 1s"), cure: cured("rm /run/tape-*")},
	{name: "a site guard that others may write", guard: "tape", code: 20, arise: sh("chmod 0777 /etc/modewatch/guards.d/tape", "may be written by others"), cure: cured("chmod 0755 /etc/modewatch/guards.d/tape")},
	{name: "the CPU pressure cannot be read", guard: "check_cpu_load_safe", code: 22, arise: hidden("/proc/pressure/cpu", "cannot read the CPU pressure"), cure: shown("/proc/pressure/cpu")},
	{name: "the memory cannot be read", guard: "check_memory_headroom", code: 24, arise: hidden("/proc/meminfo", "cannot read the available memory"), cure: shown("/proc/meminfo")},

	{name: "the studio is elsewhere", to: fsm.StudioLocal, guard: "check_studio_capability_local", code: 19, arise: sh(`echo '{"schema":1,"studio":"external-mac-mini"}' >/etc/modewatch/capability-placement.json`, "external-mac-mini"), cure: local},
	{name: "the placement is junk", to: fsm.StudioLocal, guard: "check_studio_capability_local", code: 29, arise: sh("head -c 300 /dev/urandom >/etc/modewatch/capability-placement.json", "capability-placement.json"), cure: local},
	{name: "there is no placement", to: fsm.StudioLocal, guard: "check_studio_capability_local", code: 29, arise: sh("rm /etc/modewatch/capability-placement.json", "no such file"), cure: local},
}

func local(d *desk) {
	d.must(d.WriteFile("/etc/modewatch/capability-placement.json", `{"schema":1,"studio":"local"}`))
}

// dropped is the cause that a unit has another setting, and undropped its cure.
func dropped(unit, text, culprit string) func(*desk) string {
	return func(d *desk) string {
		d.must(d.WriteFile("/etc/systemd/system/"+unit+".d/99-reason.conf", text))
		d.Must(d.t, "systemctl", "daemon-reload")
		return culprit
	}
}

func undropped(unit string) func(*desk) {
	return cured("rm /etc/systemd/system/" + unit + ".d/99-reason.conf; systemctl daemon-reload")
}

// hidden is the cause that a file of the kernel says nothing.
func hidden(path, culprit string) func(*desk) string {
	return sh("touch /run/nothing; mount --bind /run/nothing "+path+"; "+inDaemon+"mount --bind /run/nothing "+path, culprit)
}

func shown(path string) func(*desk) {
	return cured("umount " + path + "; " + inDaemon + "umount " + path)
}

// inDaemon has a command see the daemon's mounts.
const inDaemon = "nsenter --mount --target $(systemctl show -P MainPID modewatch.service) "

// remoteHolder has bob hold the GPU from a session by ssh, which is his own affair.
func remoteHolder(d *desk) string {
	d.t.Helper()
	d.must(d.MakeNode(d.t.Context(), "/dev/dri/renderD128"))
	d.as("alice", "sh", "-c", "ssh -f bob@127.0.0.1 'exec sleep infinity 9</dev/dri/renderD128' >/dev/null 2>&1 </dev/null")
	d.eventually("bob to hold the GPU", func() bool {
		h, err := d.Holders(d.t.Context(), "/dev/dri/renderD128")
		return err == nil && len(h) == 1
	})
	sessions, err := d.Sessions(d.t.Context())
	d.must(err)
	for _, s := range sessions {
		if s.User == "bob" {
			return "this plan does not end session " + s.ID + " of bob (sshd)"
		}
	}
	d.t.Fatal("bob has no session")
	return ""
}

// in runs a script in a session.
func (d *desk) in(s lab.Session, script string) {
	d.t.Helper()
	if r, err := d.RunIn(d.t.Context(), s, "sh", "-c", script); err != nil || r.Code != 0 {
		d.t.Fatalf("%s: %v, exit %d\n%s", script, err, r.Code, r.Stderr)
	}
}

// reasonable is a desk on which all reasons can arise.
func reasonable() setup {
	files := inSystem(map[string]string{
		"player.service": holder("/dev/snd/pcmC0D0p"), "miner.service": holder("/dev/dri/card0"),
		"byhand.service": "[Service]\nExecStart=sleep infinity\n", "nightly.service": "[Service]\nExecStart=sleep infinity\n",
		"nightly.timer":      "[Timer]\nOnActiveSec=10ms\nAccuracySec=1ms\n",
		"tailscaled.service": "[Service]\nExecStart=sleep infinity\n", "nixos-upgrade.service": sleeper("sleep infinity"),
		"burner.service": sleeper("systemd-inhibit --what=shutdown --who=burner --why=burning sleep infinity") +
			"ExecStartPost=sh -c 'until systemd-inhibit --list | grep -q burner; do sleep 0.01; done'\n",
	})
	files["/etc/modewatch/guards.d/tape"] = `#!/bin/sh
set -- /run/tape-*
case $1 in
*-hangs) exec sleep 1000 ;;
*-[0-9]*) echo the tape runs; exit "${1##*-}" ;;
esac
`
	return setup{files: files, config: "\n[guards]\nsite_timeout = \"1s\"\n"}
}

// Each reason is told alike by the request, by dry looks, in the files and in the
// journal; nothing is stopped for it, and it passes with its cause.
func TestEachReasonToRefuse(t *testing.T) {
	half := len(reasons) / 2
	for name, some := range map[string][]reason{"first": reasons[:half], "second": reasons[half:]} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, reasonable())
			d.rests(fsm.AtDesktop)
			d.atRest()
			for _, r := range some {
				d.refuses(r)
			}
			d.want(0, "why", "compute") // each has gone with its cause
			d.want(0, "why", "studio-local")
		})
	}
}

func (d *desk) refuses(r reason) {
	d.t.Helper()
	if r.to == "" {
		r.to = fsm.Compute
	}
	culprit := r.arise(d)
	before := d.picture()
	a := d.fails(r.to, fsm.Blocked, r.code)
	d.blames(r, a, culprit)
	d.looks(r, culprit)
	d.rests(fsm.AtDesktop)
	d.unharmed(before)
	r.cure(d)
	if d.t.Failed() {
		d.t.Fatalf("%s: %s", r.name, d.story())
	}
}

// blames wants a record to name the guard, its code and who is to blame, in each
// of its places.
func (d *desk) blames(r reason, a fsm.Attempt, culprit string) {
	d.t.Helper()
	if v := d.verdict(a, r.guard, r.code); !strings.Contains(v.Reason, culprit) || v.OK {
		d.t.Errorf("%s: the verdict %+v does not name %q", r.name, v, culprit)
	}
	if len(a.Steps) != 0 || a.Halt != fsm.HaltGuard || a.Success {
		d.t.Errorf("%s: %d steps, halt %s, success %v", r.name, len(a.Steps), a.Halt, a.Success)
	}
	var judged runfiles.Guards
	d.json("/run/mode-controller/last-guards.json", &judged)
	found := false
	for _, v := range judged.Verdicts {
		found = found || v.Guard == r.guard && v.Code == r.code && strings.Contains(v.Reason, culprit)
	}
	if !found {
		d.t.Errorf("%s: last-guards.json has %+v", r.name, judged.Verdicts)
	}
	all := d.entries(a.ID, func(lab.Entry) bool { return true })
	told := only(all, func(e lab.Entry) bool { return e["MODEWATCH_GUARD"] == r.guard })
	if len(told) != 1 || told[0]["MODEWATCH_CODE"] != fmt.Sprint(r.code) || !strings.Contains(told[0]["MODEWATCH_CAUSE"], culprit) {
		d.t.Errorf("%s: the journal tells %v", r.name, told)
	}
	var edges []string
	for _, e := range only(all, func(e lab.Entry) bool { return e["MODEWATCH_EVENT"] != "" }) {
		edges = append(edges, e["MODEWATCH_EVENT"])
	}
	if want := map[fsm.Mode]string{fsm.Compute: "begin fail recovered-desktop", fsm.StudioLocal: "fail recovered-desktop"}[r.to]; strings.Join(edges, " ") != want {
		d.t.Errorf("%s: the edges are %q, want %s", r.name, edges, want)
	}
}

// looks wants why and guard to exit as the request did, and to say it.
func (d *desk) looks(r reason, culprit string) {
	d.t.Helper()
	for _, args := range [][]string{{"why", string(r.to), "--json"}, {"guard", r.guard, "--to", string(r.to), "--json"}} {
		got := d.want(r.code, args...)
		if !strings.Contains(unescaped(got.Stdout), culprit) {
			d.t.Errorf("%s: modewatch %v does not name %q\n%s", r.name, args, culprit, got.Stdout)
		}
	}
}

// unescaped undoes what JSON does to < and >.
func unescaped(text string) string {
	var s string
	if json.Unmarshal([]byte(`"`+strings.NewReplacer(`"`, `\"`, "\n", `\n`).Replace(text)+`"`), &s) != nil {
		return text
	}
	return s
}
