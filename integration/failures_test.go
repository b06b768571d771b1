package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/integration/lab"
)

// failure is one step that goes wrong on a real host, and what must come of it.
type failure struct {
	name   string
	setup  setup
	from   []fsm.Mode  // visited before; the host begins in desktop
	ready  func(*desk) // made right before the wish
	to     fsm.Mode
	at     fsm.Verb // the step that is under way when midway is called
	midway func(*desk)
	out    fsm.Outcome
	exit   int
	fails  fsm.Verb // the step that fails, "" for none
	cause  string   // what the record names
	ends   fsm.Mode // where the host is then, as the mode has to be; "" to see for oneself
	after  func(*desk, fsm.Attempt)
}

// failing is a unit that cannot start.
const failing = "[Service]\nType=oneshot\nExecStart=false\n"

var failures = []failure{
	{name: "the hook fails", setup: setup{files: inSystem(map[string]string{"mode-prepare-compute.service": failing})},
		out: fsm.Recovered, exit: 40, fails: fsm.Run, cause: "mode-prepare-compute.service", ends: fsm.Desktop, after: (*desk).seated},
	{name: "the hook hangs", setup: setup{edit: shorter("prepare", "1s"), files: inSystem(map[string]string{
		"mode-prepare-compute.service": "[Service]\nType=oneshot\nExecStart=sleep 30\n"})},
		out: fsm.Recovered, exit: 44, fails: fsm.Run, cause: "mode-prepare-compute.service", ends: fsm.Desktop, after: (*desk).seated},
	{name: "the display manager is masked by its owner meanwhile", setup: setup{login: "dm", files: inSystem(map[string]string{
		"mode-prepare-compute.service": "[Service]\nType=oneshot\nExecStart=systemctl mask lab-dm.service\n"})},
		out: fsm.Degraded, exit: 41, fails: fsm.MaskNow, cause: "masked by somebody else", ends: fsm.Desktop, after: (*desk).seated},
	{name: "the session ignores TERM", setup: setup{sway: lab.Sway{Stubborn: true}},
		out: fsm.Reached, exit: 0, ends: fsm.Compute, after: func(d *desk, a fsm.Attempt) { d.took(a, fsm.EndSession, 3) }},
	{name: "the audio hangs in stopping", setup: setup{edit: shorter("audio", "1s"), files: map[string]string{
		"/etc/systemd/user/wireplumber.service.d/50-hang.conf": "[Service]\nExecStop=sleep 60\n"}},
		out: fsm.Recovered, exit: 44, fails: fsm.StopAudio, cause: "audio"},
	{name: "the desktop's units hang in stopping", setup: setup{edit: []string{`stop = "15s"`, `stop = "2s"`}, files: map[string]string{
		"/etc/systemd/user/shell.service": "[Unit]\nBindsTo=graphical-session.target\nAfter=graphical-session.target\n[Service]\nExecStart=sleep infinity\nExecStop=sleep 60\n"}},
		ready: func(d *desk) { d.as("alice", "systemctl", "--user", "start", "shell.service") },
		out:   fsm.Recovered, exit: 44, fails: fsm.StopDesktop, cause: "graphical-session.target", ends: fsm.Desktop, after: (*desk).seated},
	{name: "the GPU is not released", setup: setup{sway: lab.Sway{Stubborn: true}, edit: []string{`gpu_release = "15s"`, `gpu_release = "11s"`}, files: inSystem(map[string]string{
		"miner.service": "[Unit]\nIgnoreOnIsolate=yes\n[Service]\nExecStart=sh -c 'exec sleep infinity 9</dev/dri/card0'\n"})},
		at: fsm.EndSession, midway: func(d *desk) { d.Must(d.t, "systemctl", "start", "miner.service") },
		out: fsm.Recovered, exit: 44, fails: fsm.AwaitRelease, cause: "miner.service", ends: fsm.Desktop},
	{name: "a stray unit hangs in stopping", setup: setup{edit: []string{`isolate = "20s"`, `isolate = "2s"`, `allow = [`, `allow = ["stray.service", `}, files: inSystem(map[string]string{
		"stray.service": lingers(60)})},
		ready: func(d *desk) { d.Must(d.t, "systemctl", "start", "stray.service") },
		out:   fsm.Recovered, exit: 44, fails: fsm.Isolate, cause: "stray.service", ends: fsm.Desktop},
	{name: "a unit of the desktop hangs in stopping", setup: setup{edit: []string{`isolate = "20s"`, `isolate = "2s"`}, enable: []string{"lingers.service"}, files: inSystem(map[string]string{
		"lingers.service": lingers(7)})},
		// The desktop wants it back, and has to wait for its end as well.
		out: fsm.Degraded, exit: 41, fails: fsm.Isolate, cause: "lingers.service", after: func(d *desk, _ fsm.Attempt) {
			d.rests(fsm.AtDesktop)
			d.sees(fsm.Desktop)
		}},
	{name: "what the target requires fails", setup: setup{files: inSystem(map[string]string{
		"broken.service": failing, "compute.target.d/50-needs.conf": "[Unit]\nRequires=broken.service\nAfter=broken.service\n"})},
		out: fsm.Recovered, exit: 40, fails: fsm.Isolate, cause: "job result dependency", ends: fsm.Desktop},
	{name: "a slice cannot have its budget", setup: setup{files: inSystem(map[string]string{
		"mode-prepare-compute.service": "[Service]\nType=oneshot\nExecStart=systemctl mask --runtime platform.slice\n"})},
		out: fsm.Degraded, exit: 41, fails: fsm.SetBudgets, cause: "platform.slice", ends: fsm.Desktop},
	{name: "the model server has no model", setup: setup{files: map[string]string{"/etc/modewatch/vllm/compute.env": "VLLM_MODEL=\n"}},
		// Whether the start or the wait after it sees the exit is a matter of milliseconds.
		out: fsm.Recovered, exit: 40, cause: "vllm@compute.service", ends: fsm.Desktop},
	{name: "the model server refuses to be started", setup: setup{files: inSystem(map[string]string{"vllm@compute.service.d/50-no.conf": "[Unit]\nRefuseManualStart=yes\n"})},
		out: fsm.Recovered, exit: 40, fails: fsm.Start, cause: "vllm@compute.service", ends: fsm.Desktop},

	{name: "the model server ignores TERM", from: []fsm.Mode{fsm.Compute}, to: fsm.Desktop,
		setup: setup{files: stubbornServer("1s")},
		out:   fsm.Reached, exit: 0, ends: fsm.Desktop, after: func(d *desk, a fsm.Attempt) { d.took(a, fsm.Stop, 1) }},
	{name: "the model server hangs in stopping", from: []fsm.Mode{fsm.Compute}, to: fsm.Desktop,
		setup: setup{edit: []string{`stop = "15s"`, `stop = "2s"`}, files: stubbornServer("7s")},
		out:   fsm.Degraded, exit: 41, fails: fsm.Stop, cause: "vllm@compute.service",
		after: func(d *desk, _ fsm.Attempt) { d.rests(fsm.AtCompute); d.sees(fsm.Compute) }},
	{name: "what the desktop requires fails", from: []fsm.Mode{fsm.Compute}, to: fsm.Desktop, setup: setup{files: inSystem(map[string]string{"broken.service": failing})},
		ready: func(d *desk) {
			d.must(d.WriteFile("/etc/systemd/system/desktop.target.d/50-needs.conf", "[Unit]\nRequires=broken.service\nAfter=broken.service\n"))
			d.Must(d.t, "systemctl", "daemon-reload")
		},
		out: fsm.Recovered, exit: 40, fails: fsm.Isolate, cause: "job result dependency", ends: fsm.Compute},
	{name: "the display manager does not come back", from: []fsm.Mode{fsm.Compute}, to: fsm.Desktop, setup: setup{login: "dm", edit: []string{`start = "15s"`, `start = "3s"`}},
		ready: func(d *desk) {
			d.must(d.WriteFile("/etc/systemd/system/lab-dm.service.d/50-no.conf", "[Service]\nExecStartPre=+false\n"))
			d.Must(d.t, "systemctl", "daemon-reload")
		},
		out: fsm.Recovered, exit: 40, fails: fsm.UnmaskNow, cause: "display-manager.service", ends: fsm.Compute},

	{name: "the marker fails", to: fsm.StudioLocal, setup: setup{files: inSystem(map[string]string{"studio-local-policy.service.d/50-no.conf": "[Service]\nExecStart=\nExecStart=false\n"})},
		out: fsm.Recovered, exit: 40, fails: fsm.Start, cause: "studio-local-policy.service", ends: fsm.Desktop, after: (*desk).seated},
	{name: "what enforces it fails", to: fsm.StudioLocal, setup: setup{files: inSystem(map[string]string{"audio-priority.service.d/50-no.conf": "[Service]\nExecStart=\nExecStart=false\n"})},
		out: fsm.Recovered, exit: 40, fails: fsm.Start, cause: "audio-priority.service", ends: fsm.Desktop, after: (*desk).seated},
	{name: "the marker does not stop", from: []fsm.Mode{fsm.StudioLocal}, to: fsm.Desktop, setup: setup{files: inSystem(map[string]string{"studio-local-policy.service.d/50-no.conf": "[Unit]\nRefuseManualStop=yes\n"})},
		out: fsm.Recovered, exit: 40, fails: fsm.Stop, cause: "studio-local-policy.service", ends: fsm.StudioLocal, after: (*desk).seated},
	{name: "the marker does not stop on the way to compute", from: []fsm.Mode{fsm.StudioLocal}, setup: setup{files: inSystem(map[string]string{"studio-local-policy.service.d/50-no.conf": "[Unit]\nRefuseManualStop=yes\n"})},
		out: fsm.Recovered, exit: 40, fails: fsm.Stop, cause: "studio-local-policy.service", ends: fsm.StudioLocal},
}

// shorter adds a deadline to the lab's.
func shorter(step, bound string) []string {
	return []string{`session_term = "3s"`, fmt.Sprintf("session_term = \"3s\"\n%s = %q", step, bound)}
}

// stubbornServer is a model server that only SIGKILL ends, after some time.
func stubbornServer(timeout string) map[string]string {
	return map[string]string{
		"/usr/local/bin/vllm-program":                             strings.Replace(vllmProgram, "-listen", "-ignore-term -listen", 1),
		"/etc/systemd/system/vllm@compute.service.d/50-hang.conf": "[Service]\nTimeoutStopSec=" + timeout + "\n",
	}
}

func TestEachStepThatFails(t *testing.T) {
	for _, f := range failures {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, f.setup)
			d.rests(fsm.AtDesktop)
			for _, m := range f.from {
				d.want(0, "request", string(m))
			}
			if f.ready != nil {
				f.ready(d)
			}
			if f.to == "" {
				f.to = fsm.Compute
			}
			end := d.asked(f.to)
			if f.midway != nil {
				d.doing(f.at)
				f.midway(d)
			}
			a := d.came(end, f.out, f.exit)
			f.check(d, a)
		})
	}
}

// check looks at the record and at the host.
func (f failure) check(d *desk, a fsm.Attempt) {
	d.t.Helper()
	if !strings.Contains(a.Cause, f.cause) {
		d.t.Errorf("the cause %q does not name %q", a.Cause, f.cause)
	}
	if f.fails != "" {
		want := "failed"
		if a.Halt == fsm.HaltTimeout {
			want = "timeout"
		}
		if r := d.result(a, f.fails); r.Result != want || r.Cause == "" {
			d.t.Errorf("%s is told as %s: %q, want %s", r.Op, r.Result, r.Cause, want)
		}
	}
	if f.ends != "" {
		d.sees(f.ends)
	}
	if f.out != fsm.Degraded {
		d.rests(fsm.Resting(a.Final))
	}
	if f.after != nil {
		f.after(d, a)
	}
	if note := d.trouble(); note != "" {
		d.t.Errorf("the table was refused: %s", note)
	}
	if d.t.Failed() {
		d.t.Fatalf("%s: %s\n%s", a.Outcome, a.Cause, d.story())
	}
}

// seated wants alice's session to have lived through it.
func (d *desk) seated(fsm.Attempt) {
	d.t.Helper()
	if !alive(d.alice, d.graphical()) {
		d.t.Errorf("alice's session %+v is not among %+v", d.alice, d.graphical())
	}
}

// alive tells whether a session is among others, and not about to end.
func alive(s lab.Session, among []lab.Session) bool {
	return slices.ContainsFunc(among, func(o lab.Session) bool {
		return o.ID == s.ID && o.Leader == s.Leader && o.State != "closing"
	})
}

// loginComesBack wants the display manager to be let run again in the end.
func (d *desk) loginComesBack(fsm.Attempt) {
	d.t.Helper()
	d.eventually("a login", func() bool { return len(d.graphical()) == 1 && d.Active(d.t.Context(), "display-manager.service") })
	d.rests(fsm.AtDesktop)
}

// took wants a step to have lasted at least some seconds: it had to wait for the
// escalation.
func (d *desk) took(a fsm.Attempt, v fsm.Verb, seconds float64) {
	d.t.Helper()
	r := d.result(a, v)
	if took := r.Ended.Sub(r.Began).Seconds(); r.Result != "done" || took < seconds {
		d.t.Errorf("%s was %s after %.1f s, before anything could have escalated", r.Op, r.Result, took)
	}
}

// as runs a command as a user, which has to succeed.
func (d *desk) as(user string, command ...string) {
	d.t.Helper()
	if r, err := d.RunAs(d.t.Context(), user, command...); err != nil || r.Code != 0 {
		d.t.Fatalf("%v as %s: %v, exit %d\n%s", command, user, err, r.Code, r.Stderr)
	}
}

func (d *desk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}
