package config

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// check looks for what the types do not tell: words that are none of those
// known, values out of range, and values that contradict each other.
func (d *document) check(r raw) {
	d.words(r)
	d.numbers(r)
	d.durations(r)
	d.paths(r)
	d.patterns(r)
	d.unitNames(r)
	d.roles(r)
	d.servers(r.VLLM)
	d.budgets(r.Slices)
	d.overall(r)
}

func (d *document) words(r raw) {
	one := func(key, is string, of ...string) {
		if slices.Contains(of, is) {
			return
		}
		write := "write one of " + quoted(of)
		if near := nearest(is, of); near != "" {
			write = fmt.Sprintf("did you mean %q? known are %s", near, quoted(of))
		}
		d.fault([]string{key}, fmt.Sprintf("is %q", is), write)
	}
	one("log_level", r.LogLevel, LogLevels...)
	one("transitions.studio_to_compute", r.Transitions.StudioToCompute, fsm.StudioDirect, fsm.StudioViaDesktop)
	one("vllm.drain.on_timeout", r.VLLM.Drain.OnTimeout, fsm.DrainStop, fsm.DrainBlock)
}

func quoted(words []string) string {
	var out []string
	for _, w := range words {
		out = append(out, fmt.Sprintf("%q", w))
	}
	return strings.Join(out, ", ")
}

func (d *document) numbers(r raw) {
	between := func(key string, is, low, high float64) {
		if is < low || is > high {
			d.fault([]string{key}, fmt.Sprintf("is %v", is), fmt.Sprintf("write a number from %v to %v", low, high))
		}
	}
	between("gpus.planned", float64(r.GPUs.Planned), 1, 64)
	between("guards.cpu_load_safe.max_pressure", r.Guards.CPULoad.MaxPressure, 1, 100)
	between("history.max", float64(r.History.Max), 1, 100000)
	if r.Guards.Memory.Model >= 1<<62 {
		d.fault([]string{"guards.memory_headroom.model"}, "is more memory than there is", `write the size of the model, such as "40GiB"`)
	}
	if r.Guards.Memory.Floor >= 1<<62 {
		d.fault([]string{"guards.memory_headroom.floor"}, "is more memory than there is", `write a size such as "2GiB"`)
	}
}

// userStopDelay is how long logind keeps a user's manager after the last
// session, by default (UserStopDelaySec).
const userStopDelay = 10 * time.Second

func (d *document) durations(r raw) {
	const longest = 24 * time.Hour
	for key, is := range map[string]time.Duration{
		"transitions.overall":         r.Transitions.Overall,
		"transitions.deadlines.start": r.Transitions.Deadlines.Start, "transitions.deadlines.stop": r.Transitions.Deadlines.Stop,
		"transitions.deadlines.isolate":      r.Transitions.Deadlines.Isolate,
		"transitions.deadlines.session_term": r.Transitions.Deadlines.SessionTerm, "transitions.deadlines.session_kill": r.Transitions.Deadlines.SessionKill,
		"transitions.deadlines.gpu_release": r.Transitions.Deadlines.GPURelease, "transitions.deadlines.audio": r.Transitions.Deadlines.Audio,
		"transitions.deadlines.prepare": r.Transitions.Deadlines.Prepare, "transitions.deadlines.budgets": r.Transitions.Deadlines.Budgets,
		"transitions.deadlines.observe": r.Transitions.Deadlines.Observe,
		"vllm.ready":                    r.VLLM.Ready, "vllm.drain.deadline": r.VLLM.Drain.Deadline, "guards.site_timeout": r.Guards.SiteTimeout,
	} {
		if is <= 0 || is > longest {
			d.fault([]string{key}, fmt.Sprintf("is %s", is), fmt.Sprintf("write a duration above 0 and up to %s", longest))
		}
	}
	observe := r.Transitions.Deadlines.Observe
	if is := r.Guards.SiteTimeout; is >= observe {
		d.fault([]string{"guards.site_timeout", "transitions.deadlines.observe"}, fmt.Sprintf("leaves no time: a site guard may take %s, an observation has %s", is, observe),
			"write a site_timeout below transitions.deadlines.observe")
	}
	if is := r.Transitions.Deadlines.GPURelease; is > 0 && is <= userStopDelay {
		d.fault([]string{"transitions.deadlines.gpu_release"}, fmt.Sprintf("is %s, but logind lets a user's processes go only %s after the last session", is, userStopDelay),
			`write "30s" (D16)`)
	}
}

func (d *document) paths(r raw) {
	for _, p := range [][2]string{
		{"paths.run_dir", r.Paths.Run}, {"paths.lib_dir", r.Paths.Lib}, {"paths.placement", r.Paths.Placement}, {"guards.site_dir", r.Guards.SiteDir},
	} {
		if !filepath.IsAbs(p[1]) || filepath.Clean(p[1]) != p[1] {
			d.fault([]string{p[0]}, fmt.Sprintf("is %q", p[1]), "write an absolute path without dots or doubled slashes")
		}
	}
	if r.Paths.Run == r.Paths.Lib {
		d.fault([]string{"paths.run_dir", "paths.lib_dir"}, "is the same as paths.lib_dir, but one must be gone at the next boot and the other must not", "write two directories")
	}
}

// entry is a list with its key.
type entry struct {
	key  string
	list []string
}

// patterns checks lists of patterns and of names of executables.
func (d *document) patterns(r raw) {
	devices := []entry{{"gpus.display", r.GPUs.Display}, {"gpus.ai", r.GPUs.AI}, {"guards.audio_idle.nodes", r.Guards.Audio.Nodes}}
	for _, e := range devices {
		for _, p := range e.list {
			if !strings.HasPrefix(p, "/dev/") {
				d.fault([]string{e.key}, fmt.Sprintf("has %q, which is no device node", p), `write patterns such as "/dev/dri/card*"`)
			}
		}
		d.compile(e.key, e.list)
	}
	if len(r.GPUs.Display) == 0 {
		d.fault([]string{"gpus.display"}, "is empty, so that nobody could tell whether the display GPU is released", `write patterns such as "/dev/dri/card*"`)
	}
	if len(r.Guards.Audio.Processes)+len(r.Guards.Audio.Nodes) == 0 {
		d.fault([]string{"guards.audio_idle.processes", "guards.audio_idle.nodes"}, "and guards.audio_idle.nodes are empty, so that nobody could tell whether audio is in use", `write at least ["reaper"]`)
	}
	d.compile("units.protected", r.Units.Protected)
	d.compile("units.own", r.Units.Own)
	d.compile("triggers.idle.deny", r.Triggers.Idle.Deny)
	executables := []entry{
		{"sessions.compositors", r.Sessions.Compositors}, {"gpus.infrastructure", r.GPUs.Infra}, {"guards.audio_idle.processes", r.Guards.Audio.Processes},
		{"guards.audio_idle.ignore", r.Guards.Audio.Ignore}, {"guards.user_jobs_safe.processes", r.Guards.Jobs.Processes},
	}
	for _, e := range executables {
		for _, name := range e.list {
			if strings.ContainsAny(name, "/*?[") {
				d.fault([]string{e.key}, fmt.Sprintf("has %q, which is no name of an executable", name), "write the name alone, without its directory and without wildcards")
			}
		}
	}
}

func (d *document) compile(key string, list []string) {
	for _, p := range list {
		if _, err := path.Match(p, ""); err != nil {
			d.fault([]string{key}, fmt.Sprintf("has %q, which is no pattern", p), "write a name with *, ? and [a-z] as wildcards")
		}
	}
}
