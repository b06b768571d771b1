package integration

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/integration/lab"
)

// fails wishes for a mode by "modewatch request" and wants the outcome and the
// exit code, told alike in every place.
func (d *desk) fails(m fsm.Mode, out fsm.Outcome, code int) fsm.Attempt {
	d.t.Helper()
	return d.came(d.asked(m), out, code)
}

// asked begins a request and returns what waits for its end.
func (d *desk) asked(m fsm.Mode) func() lab.Result {
	d.t.Helper()
	type end struct {
		r   lab.Result
		err error
	}
	ended := make(chan end, 1)
	ctx, cancel := context.WithTimeout(d.t.Context(), 90*time.Second)
	go func() {
		defer cancel()
		r, err := d.Run(ctx, "modewatch", "request", string(m))
		ended <- end{r, err}
	}()
	return func() lab.Result {
		d.t.Helper()
		e := <-ended
		if e.err != nil {
			d.t.Fatalf("modewatch request %s: %v\n%s", m, e.err, d.story())
		}
		return e.r
	}
}

// came wants how a request ended, and its record to be the truth.
func (d *desk) came(end func() lab.Result, out fsm.Outcome, code int) fsm.Attempt {
	d.t.Helper()
	r := end()
	a := d.last()
	if r.Code != code || a.Outcome != out || a.Exit != code {
		d.t.Fatalf("exit %d and %s (%d), want %d and %s: %s\n%s%s\n%s", r.Code, a.Outcome, a.Exit, code, out, a.Cause, r.Stdout, r.Stderr, d.story())
	}
	d.told(a)
	return a
}

// picture is what runs on the host: a line for each active unit with the
// invocation it is in, for each session, and for each process of the users.
func (d *desk) picture() []string {
	d.t.Helper()
	const look = `systemctl show --state=active -p Id,InvocationID '*.service' '*.scope' '*.target' '*.socket' '*.timer' |
	awk -F= '$1=="Id" {id=$2} $1=="InvocationID" {inv=$2} $0=="" {print "unit", id, inv} END {print "unit", id, inv}'
loginctl list-sessions --no-legend | awk '{print "session", $1, $3, $5, $6}'
for p in $(find /sys/fs/cgroup/user.slice -name cgroup.procs -exec cat {} + 2>/dev/null); do
	echo "process $p $(cat /proc/$p/comm 2>/dev/null)"
done | grep -E '(sway|sleep|systemd|pipewire|reaper|rsync)$'
ls /run/systemd/system.control 2>/dev/null | sed 's/^/control /'`
	lines := strings.Split(d.Must(d.t, "sh", "-c", look), "\n")
	slices.Sort(lines)
	return slices.Compact(lines)
}

// unharmed wants everything of an earlier picture to be there still.
func (d *desk) unharmed(before []string) {
	d.t.Helper()
	now := d.picture()
	for _, line := range before {
		if !slices.Contains(now, line) {
			d.t.Errorf("was there before and is not any more: %s", line)
		}
	}
	if d.t.Failed() {
		d.t.Fatalf("%s", d.story())
	}
}

// verdict is the verdict with which a guard refused, by its code.
func (d *desk) verdict(a fsm.Attempt, guard string, code int) fsm.Verdict {
	d.t.Helper()
	for _, v := range a.Verdicts {
		if v.Guard == guard && v.Code == code {
			return v
		}
	}
	d.t.Fatalf("%s is not on record with %d: %+v", guard, code, a.Verdicts)
	return fsm.Verdict{}
}

// result is how a step went, the last time it was done.
func (d *desk) result(a fsm.Attempt, v fsm.Verb) fsm.StepResult {
	d.t.Helper()
	for _, s := range slices.Backward(a.Steps) {
		if s.Op.Verb == v && !s.Undo {
			return s
		}
	}
	d.t.Fatalf("%s is not on record: %+v\n%s", v, a.Steps, d.story())
	return fsm.StepResult{}
}

// spawn runs a program of that name, which sleeps, in a session, and returns its
// pid. holding is a path that it holds open, or "".
func (d *desk) spawn(s lab.Session, name, holding string) int {
	d.t.Helper()
	const run = `cp -n /usr/bin/sleep "/tmp/$1"; [ -z "$2" ] || exec 3<"$2"
setsid "/tmp/$1" infinity >/dev/null 2>&1 </dev/null & echo $!`
	r, err := d.RunIn(d.t.Context(), s, "sh", "-c", run, "sh", name, holding)
	if err != nil || r.Code != 0 {
		d.t.Fatalf("cannot run %s in session %s: %v %s", name, s.ID, err, r.Stderr)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(r.Stdout))
	if err != nil {
		d.t.Fatal(err)
	}
	d.eventually(name+" to run", func() bool {
		comm, err := d.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		return err == nil && strings.TrimSpace(string(comm)) == name
	})
	return pid
}

// configure gives the daemon another configuration: the lab's, in which each of
// the pairs' first is replaced by its second, and more at its end.
func (d *desk) configure(more string, pairs ...string) {
	d.t.Helper()
	text := configured(more, pairs...)
	if err := d.WriteFile("/etc/modewatch/config.toml", text); err != nil {
		d.t.Fatal(err)
	}
	d.want(0, "config-check")
	d.Must(d.t, "systemctl", "reload", "modewatch.service")
	d.eventually("the daemon to have read it", func() bool { s := d.snapshot(); return s.State != fsm.Boot && s.Attempt == nil })
}

// configured is the lab's configuration with changes.
func configured(more string, pairs ...string) string {
	for i := 0; i+1 < len(pairs); i += 2 {
		if !strings.Contains(labConfig, pairs[i]) {
			panic("the lab's configuration has no " + pairs[i])
		}
	}
	return strings.NewReplacer(pairs...).Replace(labConfig) + more
}

// only returns those of list that pick picks.
func only[T any](list []T, pick func(T) bool) []T {
	var out []T
	for _, x := range list {
		if pick(x) {
			out = append(out, x)
		}
	}
	return out
}

// inSystem names files of the system's units by their names alone: a unit's, or
// UNIT.d/NAME.conf.
func inSystem(files map[string]string) map[string]string {
	out := map[string]string{}
	for name, text := range files {
		out["/etc/systemd/system/"+name] = text
	}
	return out
}

// lingers is a unit of the desktop that takes seconds to stop, and so keeps an
// isolate waiting.
func lingers(seconds int) string {
	return fmt.Sprintf(`[Service]
ExecStart=/bin/sh -c "trap '' TERM; while :; do sleep 0.2; done"
TimeoutStopSec=%d
[Install]
WantedBy=graphical.target
`, seconds)
}
