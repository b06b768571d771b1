package main

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/config"
	"github.com/modewatch/modewatch/internal/engine"
)

// diagnosis is one line of doctor: what was looked at, how it is, what that means, and
// what to do about it.
type diagnosis struct {
	Level string `json:"level"` // ok, warn or fail
	What  string `json:"what"`
	Found string `json:"found"`
	Do    string `json:"do,omitempty"`
}

func fine(what, format string, a ...any) diagnosis {
	return diagnosis{"ok", what, fmt.Sprintf(format, a...), ""}
}

func doubt(what, do, format string, a ...any) diagnosis {
	return diagnosis{"warn", what, fmt.Sprintf(format, a...), do}
}

func ill(what, do, format string, a ...any) diagnosis {
	return diagnosis{"fail", what, fmt.Sprintf(format, a...), do}
}

// examined is all that the checks go by. An error says that it could not be told.
type examined struct {
	cfg      config.Config
	config   error
	previews map[fsm.Mode]engine.Preview // to desktop and to compute
	live     view
	onBus    error // the service does not answer; nil: it does
	version  string
	polkit   error
	actions  []string // those of polkit that are ours
	login    login
	manager  []string // the names of the display manager that runs, none if none does
	group    group
	desired  string // what is wrong with the file, "" if nothing
	free     uint64 // bytes in the directory of the history
	freeErr  error
	pods     string // a control group of pods outside of platform.slice
	database error  // the journal's catalogue does not have our texts
}

// login is how logind is set.
type login struct {
	stopDelay time.Duration
	err       error
}

// group is the operators.
type group struct {
	there   bool
	members []string
}

// runDoctor looks at all that a safe transition needs, and exits with 1 if any of it
// fails. Pasted into a report it tells how a host is set up.
func runDoctor(e env, _ []string) (int, error) {
	x := e.examine()
	found := diagnose(x)
	code := 0
	if slices.ContainsFunc(found, func(d diagnosis) bool { return d.Level == "fail" }) {
		code = exitError
	}
	if e.asJSON {
		return code, e.printJSON(struct {
			Schema  int         `json:"schema"`
			Version string      `json:"version"`
			Found   []diagnosis `json:"found"`
		}{fsm.Schema, version, found})
	}
	p := e.page(0)
	p.doctor(found)
	return code, e.show(p)
}

func (p *page) doctor(found []diagnosis) {
	for _, d := range found {
		word := map[string]string{"ok": p.good("ok  "), "warn": p.warn("warn"), "fail": p.bad("fail")}[d.Level]
		p.hang(word+"  ", fmt.Sprintf("%s: %s", p.strong(d.What), d.Found))
		if d.Do != "" {
			p.hang("      ", p.dim("→ "+d.Do))
		}
	}
}

// diagnose judges what was found, without an effect.
func diagnose(x examined) []diagnosis {
	if x.config != nil {
		return []diagnosis{ill("configuration", "modewatch config-check tells every fault", "%v", x.config)}
	}
	out := []diagnosis{fine("configuration", "valid")}
	for _, m := range []fsm.Mode{fsm.Desktop, fsm.Compute} {
		out = append(out, x.reachable(m))
	}
	return append(out, x.survivors(), x.starters(), x.daemon(), x.bus(), x.mayCommand(), x.logind(), x.operators(), x.file(), x.gpus(), x.holders(), x.cluster(), x.catalogue(), x.disk())
}

// reachable tells whether the targets are there, may be isolated, and whether what must
// survive would.
func (x examined) reachable(m fsm.Mode) diagnosis {
	what := string(m)
	for _, v := range x.previews[m].Verdicts {
		switch {
		case v.Guard != "check_target_reachable":
		case v.OK:
			return fine(what, "its target can be reached")
		case v.Code >= 20:
			return doubt(what, advice(v), "%s", v.Reason)
		default:
			return ill(what, advice(v), "%s", v.Reason)
		}
	}
	if x.previews[m].Plan.Empty() && x.previews[m].Observation.Mode == m {
		return fine(what, "this host is in it")
	}
	return doubt(what, "modewatch dry-run "+what+" tells more", "cannot tell whether it can be reached")
}

// survivors tells whether ssh, k3s, the bus and logind would outlive an isolate.
func (x examined) survivors() diagnosis {
	const what = "what must survive"
	f := x.previews[fsm.Compute].Facts
	if !f.StopSets.OK {
		f = x.previews[fsm.Desktop].Facts
	}
	if !f.StopSets.OK {
		return doubt(what, "run it as root", "cannot tell what an isolate would stop: %s", f.StopSets.Why())
	}
	var lost []string
	for target, set := range f.StopSets.Value {
		if load := f.Units.Value[target].Load; load == "masked" || load == "not-found" {
			return doubt(what, "repair "+target+" first", "cannot tell: %s is %s, and wants nothing", target, load)
		}
		for _, u := range set.Stops {
			if slices.ContainsFunc(append(slices.Clone(x.cfg.Policy.Units.Protected), x.cfg.Policy.Units.Own...), func(p string) bool { ok, _ := path.Match(p, u.Name); return ok }) {
				lost = append(lost, fmt.Sprintf("%s by %s", u.Name, target))
			}
		}
	}
	if len(lost) > 0 {
		return ill(what, "install the drop-ins (make install), or give these units IgnoreOnIsolate=yes", "an isolate would stop %s", strings.Join(lost, ", "))
	}
	return fine(what, "ssh, k3s, the bus, logind and modewatch outlive an isolate")
}

// starters tells whether what starts sessions again is known (D10).
func (x examined) starters() diagnosis {
	const what = "session starters"
	known := x.cfg.Policy.Units.Starters
	if len(x.manager) > 0 && !slices.ContainsFunc(x.manager, func(name string) bool { return slices.Contains(known, name) }) {
		return ill(what, "name it in units.session_starters", "%s runs and is not held back in compute: it would start a session there", x.manager[0])
	}
	return fine(what, "%s", orDash(strings.Join(known, ", ")))
}

func (x examined) daemon() diagnosis {
	if !x.live.Live || x.live.Once {
		return doubt("daemon", "systemctl enable --now modewatch.service", "not running: wishes are followed by mode-controller@MODE.service alone")
	}
	return fine("daemon", "runs, PID %d", x.live.Snapshot.PID)
}

func (x examined) bus() diagnosis {
	const what = "bus"
	switch {
	case x.onBus == nil && x.version != version:
		return doubt(what, "systemctl restart modewatch.service", "the daemon is %q, this program %q", x.version, version)
	case x.onBus == nil:
		return fine(what, "org.modewatch1 answers")
	case !x.live.Live:
		return doubt(what, "start the daemon", "nobody is org.modewatch1: %v", x.onBus)
	}
	return ill(what, "is /usr/share/dbus-1/system.d/org.modewatch1.conf there? then systemctl reload dbus.service", "the daemon is not on it: %v", x.onBus)
}

func (x examined) mayCommand() diagnosis {
	const what = "polkit"
	switch {
	case x.polkit != nil:
		return doubt(what, "install polkit, or wish by file", "does not answer, so that only root may command by the bus: %v", x.polkit)
	case len(x.actions) < 6:
		return ill(what, "is /usr/share/polkit-1/actions/org.modewatch1.policy there?", "knows %d of our 6 actions", len(x.actions))
	}
	return fine(what, "knows our actions")
}

func (x examined) logind() diagnosis {
	const what = "logind"
	release := x.cfg.Policy.Deadlines.GPURelease
	switch {
	case x.login.err != nil:
		return ill(what, "systemctl status systemd-logind.service", "does not answer: %v", x.login.err)
	case x.login.stopDelay >= release:
		return doubt(what, "make deadlines.gpu_release longer, or UserStopDelaySec= shorter", "keeps a user's manager for %s after the last session; the GPU is waited for no longer than %s", span(x.login.stopDelay), span(release))
	}
	return fine(what, "answers; a user's manager ends %s after the last session", span(x.login.stopDelay))
}

func (x examined) operators() diagnosis {
	const what = "group modewatch"
	switch {
	case !x.group.there:
		return ill(what, "systemd-sysusers, then systemctl restart modewatch.service", "does not exist: only root may wish by file")
	case len(x.group.members) == 0:
		return doubt(what, "usermod -aG modewatch USER", "has no members: by file only root may wish, by the bus whoever sits here")
	}
	return fine(what, "%s", strings.Join(x.group.members, ", "))
}

func (x examined) file() diagnosis {
	if x.desired != "" {
		return doubt("desired", "systemd-tmpfiles --create modewatch.conf", "%s", x.desired)
	}
	return fine("desired", "the group may write it, and nobody else")
}

func (x examined) gpus() diagnosis {
	const what = "GPUs"
	g := x.previews[fsm.Compute].Facts.GPU
	planned := x.cfg.Policy.GPU.Planned
	switch {
	case !g.OK:
		return doubt(what, "run it as root; [gpus] nvml = \"off\" leaves NVML out", "cannot be read: %s", g.Why())
	case len(g.Value.Present) == 0:
		return doubt(what, "is its driver loaded?", "there is none")
	case len(g.Value.Cards) > 0 && len(g.Value.Cards) < planned:
		return doubt(what, "is it plugged in, and its driver loaded?", "%d of %d planned are there", len(g.Value.Cards), planned)
	}
	return fine(what, "%s", strings.Join(g.Value.Present, ", "))
}

func (x examined) holders() diagnosis {
	const what = "display GPU"
	g := x.previews[fsm.Compute].Facts.GPU
	var who []string
	for _, h := range g.Value.DisplayHolders() {
		who = append(who, h.String())
	}
	switch {
	case !g.OK:
		return doubt(what, "run it as root", "cannot tell who holds it")
	case len(who) == 0:
		return fine(what, "nobody holds it")
	}
	return fine(what, "held by %s", strings.Join(slices.Compact(who), ", "))
}

func (x examined) cluster() diagnosis {
	if x.pods != "" {
		return doubt("k3s", "give its kubelet --kubelet-arg=cgroup-root=/platform.slice", "its pods run in %s, beside platform.slice and its budgets", x.pods)
	}
	return fine("k3s", "no pods outside of platform.slice")
}

func (x examined) catalogue() diagnosis {
	if x.database != nil {
		return doubt("catalogue", "journalctl --update-catalog", "journalctl -x cannot explain our messages: %v", x.database)
	}
	return fine("catalogue", "journalctl -x explains our messages")
}

// roomNeeded is what the history and the record written ahead need at most, and some.
const roomNeeded = 16 << 20

func (x examined) disk() diagnosis {
	switch {
	case x.freeErr != nil:
		return doubt("disk", "start modewatch.service once", "cannot tell: %v", x.freeErr)
	case x.free < roomNeeded:
		return ill("disk", "make room: no step runs that cannot be written ahead", "%d KiB are free in %s", x.free>>10, x.cfg.LibDir)
	}
	return fine("disk", "%d MiB are free in %s", x.free>>20, x.cfg.LibDir)
}
