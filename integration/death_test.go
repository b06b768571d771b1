package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/integration/lab"
)

const intent = "/var/lib/mode-controller/intent.json"

// killer sends the daemon $1 the signal $4 when its write-ahead record names step $2:
// on the eve of that step, or, if $3 is wake, once it is over and the next is about
// to be recorded. strace has the daemon pause at both moments, so that none is missed by
// a look each 5 ms. It runs ahead of all else, so it must not spin: two of them
// would leave nothing of two CPUs to the service manager.
const killer = `#!/bin/bash
exec {never}<> <(:)
pause() { read -rt 0.005 -u $never; }
strace -f -q -o /dev/null -p $1 -P ` + intent + ` -e trace=renameat -e inject=renameat:delay_enter=100000:delay_exit=100000 &
until [[ $(</proc/$1/status) != *$'TracerPid:\t0'* ]]; do pause; done
echo armed
while :; do
	pause
	mapfile -t now <` + intent + `
	[[ ${now[0]} == *'"step":'$2','* ]] || continue
	[[ $3 != wake ]] || compgen -G '/var/lib/mode-controller/.intent.json*' && break
done &>/dev/null
kill -$4 $1
kill $! 2>/dev/null # who only stops is traced no more
wait
`

// mortal is a desk whose daemon comes back at once, with a hook before each mode
// and a user's audio that takes a while to stop, so that no plan lacks a step.
func mortal() setup {
	const hook = "[Service]\nType=oneshot\nExecStart=true\n"
	return setup{login: "dm", files: map[string]string{
		"/usr/local/bin/killer":                                    killer,
		"/var/lib/systemd/linger/alice":                            "", // her audio is there in compute, too
		"/etc/systemd/system/modewatch.service.d/again.conf":       "[Service]\nRestartSec=100ms\n",
		"/etc/systemd/system/mode-prepare-compute.service":         hook,
		"/etc/systemd/system/mode-prepare-desktop.service":         hook,
		"/etc/systemd/system/vllm@compute.service.d/50-delay.conf": "[Service]\nExecStartPre=sleep 0.1\n",
	}}
}

// death is one end of the daemon and what it leads to.
type death struct {
	at   string // the step
	n    int    // its number
	when string // "eve" or "wake" of it
	past bool   // the point of no return
}

func (x death) String() string { return "the " + x.when + " of " + x.at }

// deaths lists the steps of the plan towards a mode, from a dry run.
func (d *desk) deaths(m fsm.Mode) []death {
	d.t.Helper()
	var out []death
	past := false
	for i, s := range d.plan(m).Steps {
		past = past || s.Final
		if s.Waits() {
			continue // it changes nothing, and is not recorded
		}
		out = append(out, death{s.Op.String(), i + 1, "eve", past})
		switch s.Verb {
		case fsm.MaskNow, fsm.Stop, fsm.Isolate:
			out = append(out, death{s.Op.String(), i + 1, "wake", past})
		}
	}
	return out
}

func TestDeathAtEachStepToCompute(t *testing.T) {
	t.Parallel()
	d := newDesk(t, mortal())
	d.rests(fsm.AtDesktop)
	for _, x := range d.deaths(fsm.Compute) {
		sway := d.pid("lab-dm.service")
		d.dies(fsm.Compute, x)
		if x.past {
			d.sees(fsm.Compute)
			d.want(0, "request", "desktop")
			d.atDesk()
			continue
		}
		d.sees(fsm.Desktop)
		if now := d.pid("lab-dm.service"); now != sway {
			t.Errorf("alice's session was ended by a death at %s\n%s", x, d.story())
		}
	}
}

func TestDeathAtEachStepToDesktop(t *testing.T) {
	t.Parallel()
	d := newDesk(t, mortal())
	d.rests(fsm.AtDesktop)
	d.want(0, "request", "compute")
	isolated := false
	for _, x := range d.deaths(fsm.Desktop) {
		isolated = isolated || strings.HasPrefix(x.at, "isolate") && x.when == "wake"
		d.Must(t, "systemd-run", "--quiet", "--unit=witness", "--collect", "sleep", "infinity")
		vllm := d.pid("vllm@compute.service")
		d.dies(fsm.Desktop, x)
		d.sees(fsm.Compute)
		if witness := d.pid("witness.service"); !isolated && witness == "0" {
			t.Errorf("a target that was active was isolated again after a death at %s\n%s", x, d.story())
		}
		if now := d.pid("vllm@compute.service"); strings.HasPrefix(x.at, "run") && now != vllm {
			t.Errorf("the model was loaded again after a death at %s\n%s", x, d.story())
		}
		d.Must(t, "sh", "-c", "systemctl stop witness.service 2>/dev/null || true")
	}
}

// The plans with the studio: before the point of no return back, past it on.
func TestDeathAtEachStepOfTheStudio(t *testing.T) {
	for _, way := range [][2]fsm.Mode{{fsm.Desktop, fsm.StudioLocal}, {fsm.StudioLocal, fsm.Desktop}, {fsm.StudioLocal, fsm.Compute}, {fsm.Compute, fsm.StudioLocal}} {
		from, to := way[0], way[1]
		t.Run(fmt.Sprintf("%s to %s", from, to), func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, mortal())
			d.rests(fsm.AtDesktop)
			d.want(0, "request", string(from))
			for _, x := range d.deaths(to) {
				if from == fsm.Compute && strings.HasPrefix(x.at, "start") {
					break // alice is back by then: TestAUserWhoCameAfterTheDeathStays
				}
				d.dies(to, x)
				if !x.past {
					d.sees(from)
					continue
				}
				d.sees(to)
				d.atDeskUnless(to)
				d.want(0, "request", string(from))
				d.atDeskUnless(from)
			}
		})
	}
}

// atDeskUnless waits until alice is back in the modes that have a desk.
func (d *desk) atDeskUnless(m fsm.Mode) {
	d.t.Helper()
	if m != fsm.Compute {
		d.atDesk()
	}
}

// dies wishes for a mode, kills the daemon at a step, and wants the story to go on
// as D11 says. It returns when the host is at rest again.
func (d *desk) dies(m fsm.Mode, x death) {
	d.t.Helper()
	since, before := d.now(), len(d.recorded(""))
	gone := d.killedAt(x.n, x.when)
	d.want(0, "request", string(m), "--detach")
	gone()
	var a fsm.Attempt
	d.eventually("the interruption at "+x.String()+" to be told", func() bool {
		for _, r := range d.recorded("")[before:] {
			if r.Outcome == fsm.Interrupted && r.Begun.After(since) {
				a = r
				return true
			}
		}
		return false
	})
	if want := fmt.Sprintf("at step %d of ", x.n); !strings.Contains(a.Cause, want) || a.To != m {
		d.t.Fatalf("it died at %s (%d) on the way to %s, and tells of %s: %s", x, x.n, m, a.To, a.Cause)
	}
	d.calm("a death at " + x.String())
	d.wellTold(a, before)
}

// killedAt has the daemon killed at a moment, and returns what waits for that.
func (d *desk) killedAt(step int, when string) func() { return d.signalledAt(step, when, "KILL") }

// signalledAt has the daemon sent a signal at a moment, and returns what waits for
// that.
func (d *desk) signalledAt(step int, when, signal string) func() {
	d.t.Helper()
	cmd := d.Command(d.t.Context(), "nice", "-n", "-19", "/usr/local/bin/killer", d.pid("modewatch.service"), fmt.Sprint(step), when, signal)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = d.StartCommand(cmd)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 16)); err != nil {
		d.t.Fatalf("the killer is not ready: %v", err)
	}
	end := make(chan error, 1)
	go func() { end <- cmd.Wait() }()
	return func() {
		d.t.Helper()
		select {
		case err := <-end:
			if err != nil {
				d.t.Fatalf("the killer failed: %v", err)
			}
		case <-time.After(60 * time.Second):
			d.t.Fatalf("the daemon was not signalled at step %d\n%s", step, d.story())
		}
	}
}

// calm waits until a daemon is there again, and rests in a mode.
func (d *desk) calm(after string) {
	d.t.Helper()
	d.eventually("rest after "+after, func() bool {
		s := d.snapshot()
		_, resting := s.State.Mode()
		return resting && s.Attempt == nil && fmt.Sprint(s.PID) == d.pid("modewatch.service")
	})
	if _, err := d.ReadFile(intent); err == nil {
		d.t.Fatalf("the write-ahead record stays after %s\n%s", after, d.story())
	}
	if note := d.trouble(); note != "" {
		d.t.Errorf("after %s the table was refused: %s", after, note)
	}
}

// trouble is what the daemon told of the table's refusals: bugs of ours.
func (d *desk) trouble() string {
	entries, err := d.Journal(d.t.Context(), "-t", "modewatch", "MODEWATCH_NOTE="+fsm.NoteTable)
	if err != nil {
		return err.Error()
	}
	for _, e := range entries {
		return e["MESSAGE"]
	}
	return ""
}

// wellTold wants the interrupted attempt to be told once and before what followed
// from it, and each attempt to be in the history once.
func (d *desk) wellTold(a fsm.Attempt, before int) {
	d.t.Helper()
	d.told(a)
	if a.Final != fsm.Unknown && len(d.recorded("")) == before+1 && d.observed() != a.Final {
		d.t.Errorf("nothing followed, and the record says that the host is in %s", a.Final)
	}
	seen := map[string]bool{}
	for _, r := range d.recorded("") {
		if seen[r.ID] {
			d.t.Errorf("attempt %s is in the history twice", r.ID)
		}
		seen[r.ID] = true
	}
	after := d.recorded("")[before:]
	if after[0].ID != a.ID || len(after) > 2 || slices.ContainsFunc(after[1:], func(r fsm.Attempt) bool { return r.Wish.Reason != fsm.ByRecovery }) {
		d.t.Errorf("the history tells %s", ids(after))
	}
	told := d.ends()
	if i := slices.Index(told, a.ID); i < 0 || len(told)-i != len(after) {
		d.t.Errorf("the journal tells the ends of %v, the history those of %s", told, ids(after))
	}
}

// ends are the ids of the attempts whose end the journal tells, in order.
func (d *desk) ends() []string {
	d.t.Helper()
	entries, err := d.Journal(d.t.Context(), "-t", "modewatch")
	if err != nil {
		d.t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if e["MODEWATCH_EXIT"] != "" {
			out = append(out, e["MODEWATCH_ATTEMPT"])
		}
	}
	return out
}

func ids(list []fsm.Attempt) string {
	var out []string
	for _, a := range list {
		out = append(out, fmt.Sprintf("%s (%s → %s, %s by %s)", a.ID, a.From, a.To, a.Outcome, a.Wish.Reason))
	}
	return strings.Join(out, ", ")
}

// atDesk waits until alice is at her desk again, with sound.
func (d *desk) atDesk() {
	d.t.Helper()
	d.eventually("alice at her desk", func() bool {
		s := d.graphical()
		return len(s) == 1 && s[0].State == "active" && d.pid("lab-dm.service") == fmt.Sprint(s[0].Leader) && d.sounding()
	})
}

// sounding tells whether alice's audio is up.
func (d *desk) sounding() bool {
	r, err := d.RunAs(d.t.Context(), "alice", "systemctl", "--user", "is-active", "--quiet", "pipewire.service", "wireplumber.service")
	return err == nil && r.Code == 0
}

// A walk back that is cut short as well is begun again.
func TestDeathInTheWalkBack(t *testing.T) {
	t.Parallel()
	s := mortal()
	s.login = "none"
	s.files["/etc/systemd/system/vllm@compute.service.d/50-delay.conf"] = "[Service]\nExecStartPre=sleep 1.5\n"
	d := newDesk(t, s)
	d.rests(fsm.AtDesktop)
	d.want(0, "request", "compute")
	before := len(d.recorded(""))
	gone := d.killedAt(d.step(fsm.Desktop, "set-budgets desktop"), "eve")
	d.want(0, "request", "desktop", "--detach")
	gone()
	d.eventually("the walk back to start vLLM again", func() bool {
		a := d.snapshot().Attempt
		return a != nil && a.Doing == "undo" && a.Op.Verb == fsm.Start
	})
	d.Must(t, "kill", "-9", d.pid("modewatch.service"))
	d.eventually("the third daemon to have ended it", func() bool { return len(d.recorded("")) == before+3 })
	d.calm("the second death")
	d.sees(fsm.Compute)
	var told []fsm.Outcome
	for _, a := range d.recorded("")[before:] {
		told = append(told, a.Outcome)
		d.told(a)
	}
	if want := []fsm.Outcome{fsm.Interrupted, fsm.Interrupted, fsm.Reached}; !slices.Equal(told, want) {
		t.Errorf("the history tells %v, want %v\n%s", told, want, d.story())
	}
}

// Who logged in while the daemon was dead keeps the session: nothing is taken back.
func TestAUserWhoCameAfterTheDeathStays(t *testing.T) {
	t.Parallel()
	s := mortal()
	s.login = "none"
	s.files["/etc/systemd/system/modewatch.service.d/again.conf"] = "[Service]\nRestart=no\n"
	d := newDesk(t, s)
	d.rests(fsm.AtDesktop)
	d.want(0, "request", "compute")
	gone := d.killedAt(d.step(fsm.Desktop, "set-budgets desktop"), "eve")
	d.want(0, "request", "desktop", "--detach")
	gone()
	bob, err := d.StartSway(t.Context(), "bob", lab.Sway{})
	if err != nil {
		t.Fatal(err)
	}
	d.Must(t, "systemctl", "start", "modewatch.service")
	d.eventually("the end of what the daemon left", func() bool { a := d.last(); return a.Wish.Reason == fsm.ByRecovery })
	if a := d.last(); a.Outcome != fsm.Degraded || a.Exit != 41 || !strings.Contains(a.Cause, "session "+bob.ID+" of bob") {
		t.Errorf("it ended %s (%d): %s", a.Outcome, a.Exit, a.Cause)
	}
	d.told(d.last())
	d.calm("the death")
	if s := d.graphical(); len(s) != 1 || !alive(bob, s) {
		t.Errorf("bob's session was %+v, there is %+v\n%s", bob, s, d.story())
	}
	d.sees(fsm.Desktop)
}

// A host that lost its power in mid-attempt starts as every boot does; what was
// under way is only told.
func TestACrashOfTheHostInMidAttempt(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{files: inSystem(map[string]string{"slow.service": lingers(6)}), enable: []string{"slow.service"}})
	d.rests(fsm.AtDesktop)
	d.want(0, "request", "compute", "--detach")
	d.doing(fsm.Isolate)
	if err := d.Crash(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.rests(fsm.AtDesktop)
	d.sees(fsm.Desktop)
	all := d.recorded("")
	if a := all[len(all)-2]; a.Outcome != fsm.Interrupted || a.To != fsm.Compute {
		t.Errorf("the history tells %s", ids(all))
	}
	if a := all[len(all)-1]; a.Kind != fsm.Normalise || a.Outcome != fsm.Reached {
		t.Errorf("the boot ended as %s", ids(all))
	}
	if _, err := d.ReadFile(intent); err == nil {
		t.Error("the write-ahead record is still there")
	}
}

// Without a daemon the next attempt settles first what the dead one left.
func TestDeathOfASingleAttempt(t *testing.T) {
	for next, ends := range map[fsm.Mode][]fsm.Outcome{
		fsm.Compute: {fsm.Interrupted, fsm.Reached},
		fsm.Desktop: {fsm.Interrupted, fsm.Reached, fsm.Noop},
	} {
		t.Run("then "+string(next), func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, setup{noDaemon: true, files: inSystem(map[string]string{"slow.service": lingers(6)}), enable: []string{"slow.service"}})
			d.want(0, "request", "desktop")
			before := len(d.recorded(""))
			d.want(0, "request", "compute", "--detach")
			d.doing(fsm.Isolate)
			d.Must(t, "systemctl", "kill", "--signal=KILL", "mode-controller@compute.service")
			d.eventually("the unit to end", func() bool { return d.pid("mode-controller@compute.service") == "0" })
			d.want(0, "request", string(next))
			d.sees(next)
			var told []fsm.Outcome
			for _, a := range d.recorded("")[before:] {
				told = append(told, a.Outcome)
			}
			if !slices.Equal(told, ends) {
				t.Errorf("the history tells %s, want %v\n%s", ids(d.recorded("")[before:]), ends, d.story())
			}
		})
	}
}

// step is the number of a step in the plan towards a mode.
func (d *desk) step(m fsm.Mode, op string) int {
	d.t.Helper()
	for _, x := range d.deaths(m) {
		if x.at == op {
			return x.n
		}
	}
	d.t.Fatalf("the plan to %s has no step %q", m, op)
	return 0
}
