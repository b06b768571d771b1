package config

import (
	"fmt"
	"net"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// unitWord is a unit name without its type: what systemd allows in one.
var unitWord = regexp.MustCompile(`^[A-Za-z0-9:_.\\-]+(@[A-Za-z0-9:_.\\-]+)?$`)

// unitFault says why a name is not that of a unit of the type, or "".
func unitFault(name, kind string) string {
	stem, ok := strings.CutSuffix(name, kind)
	switch {
	case !ok:
		return fmt.Sprintf("has %q, which does not end with %s", name, kind)
	case strings.HasSuffix(stem, "@"):
		return fmt.Sprintf("has %q, a template without an instance", name)
	case len(name) > 255 || !unitWord.MatchString(stem):
		return fmt.Sprintf("has %q, which is no name of a unit", name)
	}
	return ""
}

func (d *document) unitNames(r raw) {
	u := r.Units
	check := func(key, kind string, names ...string) {
		for _, name := range names {
			if why := unitFault(name, kind); why != "" {
				d.fault([]string{key}, why, fmt.Sprintf("write a name such as %q", "NAME"+kind))
			}
		}
	}
	check("units.desktop_target", ".target", u.Desktop)
	check("units.compute_target", ".target", u.Compute)
	check("units.graphical_session", ".target", u.Graphical)
	check("units.studio_policy", ".service", u.StudioPolicy)
	check("units.audio_priority", ".service", u.AudioPriority)
	check("units.session_starters", ".service", u.Starters...)
	check("units.nixos_switch", ".service", u.Switch...)
	for _, name := range u.Audio {
		if unitFault(name, ".socket") != "" {
			check("units.user_audio", ".service", name)
		}
	}
	for _, m := range fsm.Modes {
		if name := u.Prepare.byMode()[m]; name != "" {
			check(dotted("units", "prepare", string(m)), ".service", name)
		}
	}
	for _, m := range fsm.Modes {
		check(dotted("vllm", "units", string(m)), ".service", r.VLLM.Units.byMode()[m]...)
	}
	if len(u.Own) == 0 {
		d.fault([]string{"units.own"}, "is empty, so that an isolate might stop the controller itself", `write ["modewatch.service", "mode-controller@*.service"]`)
	}
}

// role is a unit that the controller starts or stops, and the key that says so.
type role struct{ key, unit string }

func rolesOf(r raw) []role {
	u := r.Units
	out := []role{{"units.desktop_target", u.Desktop}, {"units.compute_target", u.Compute},
		{"units.studio_policy", u.StudioPolicy}, {"units.audio_priority", u.AudioPriority}}
	for _, name := range u.Starters {
		out = append(out, role{"units.session_starters", name})
	}
	for _, m := range fsm.Modes {
		for _, name := range r.VLLM.Units.byMode()[m] {
			out = append(out, role{dotted("vllm", "units", string(m)), name})
		}
	}
	return out
}

// roles checks that no unit has two parts to play, and that none is both to be
// stopped and never to be stopped.
func (d *document) roles(r raw) {
	all := rolesOf(r)
	for i, a := range all {
		for _, b := range all[:i] {
			ai := strings.HasPrefix(a.key, "vllm.units.") && strings.HasPrefix(b.key, "vllm.units.")
			if a.unit == b.unit && !ai {
				d.fault([]string{a.key, b.key}, fmt.Sprintf("has %s, which %s names as well", a.unit, b.key), "give each part a unit of its own")
			}
		}
		for _, e := range []entry{{"units.protected", r.Units.Protected}, {"units.own", r.Units.Own}} {
			for _, p := range e.list {
				if ok, err := path.Match(p, a.unit); ok && err == nil {
					d.fault([]string{e.key, a.key}, fmt.Sprintf("has %q, which forbids to stop %s of %s", p, a.unit, a.key), "drop it, or name another unit there")
				}
			}
		}
	}
}

// servers checks the addresses of the AI units: loopback only (section 17).
func (d *document) servers(v rawVLLM) {
	d.address("vllm.url", v.URL)
	for unit, address := range v.URLs {
		key := dotted("vllm", "urls", unit)
		if !slices.Contains(v.Units.all(), unit) {
			write := "name the unit in [vllm.units], or drop this"
			if near := nearest(unit, v.Units.all()); near != "" {
				write = fmt.Sprintf("did you mean %q?", near)
			}
			d.fault([]string{key}, "is the address of a unit that [vllm.units] does not name", write)
		}
		d.address(key, address)
	}
	of := urls(v)
	for _, m := range fsm.Modes {
		names := v.Units.byMode()[m]
		for i, a := range names {
			for _, b := range names[:i] {
				if of[a] == of[b] {
					d.fault([]string{dotted("vllm", "units", string(m)), dotted("vllm", "urls", a)},
						fmt.Sprintf("gives %s and %s the same address %s", b, a, of[a]), "write one for each in [vllm.urls]")
				}
			}
		}
	}
}

func (d *document) address(key, text string) {
	const write = `write an address such as "http://127.0.0.1:8000"`
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		d.fault([]string{key}, fmt.Sprintf("is %q, which is no http address", text), write)
	case u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback():
		d.fault([]string{key}, fmt.Sprintf("is %q, which is not on this host's loopback (section 17)", text), write)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		d.fault([]string{key}, fmt.Sprintf("is %q, which says more than the server", text), write)
	}
}

// budgets checks the slices: ranges, and that what one mode sets, each sets.
// What a mode did not set would stay as the mode before had it.
func (d *document) budgets(s rawSlices) {
	modes := []struct {
		name string
		rawBudgets
	}{{"desktop", s.Desktop}, {"studio-local", s.StudioLocal}, {"compute", s.Compute}}
	for _, m := range modes {
		for i, sl := range m.slices() {
			d.budget([]string{"slices", m.name, sl.key}, sl.rawBudget)
			for j, p := range sl.properties() {
				for _, other := range modes {
					if twin := other.slices()[i].properties()[j]; p.value != 0 && twin.value == 0 {
						d.fault([]string{dotted("slices", m.name, sl.key, p.key), dotted("slices", other.name, sl.key, p.key)},
							fmt.Sprintf("is set, but %s does not set it, and the value would stay in force there", other.name),
							fmt.Sprintf("set it in [slices.%s.%s] too", other.name, sl.key))
					}
				}
			}
		}
	}
}

func (d *document) budget(at []string, b rawBudget) {
	key := func(name string) []string { return []string{dotted(append(slices.Clone(at), name)...)} }
	for _, w := range []struct {
		name string
		is   int
	}{{"cpu_weight", b.CPUWeight}, {"io_weight", b.IOWeight}} {
		if w.is < 0 || w.is > 10000 {
			d.fault(key(w.name), fmt.Sprintf("is %d", w.is), "write a weight from 1 to 10000, or 0 to leave it as it is")
		}
	}
	if b.MemoryHigh != 0 && b.MemoryMax != 0 && b.MemoryHigh > b.MemoryMax {
		d.fault([]string{key("memory_high")[0], key("memory_max")[0]}, fmt.Sprintf("is %s, above memory_max, which is %s", b.MemoryHigh, b.MemoryMax), "write less")
	}
}

// overall checks that the bound of a whole attempt covers the deadlines of the
// longest plan there is, on a host where all is up, with one person on it.
func (d *document) overall(r raw) {
	if len(d.faults) > 0 {
		return // a fault in what it sums would only be told twice
	}
	p := policy(r)
	var longest fsm.Plan
	var most time.Duration
	for _, o := range []fsm.Mode{fsm.Desktop, fsm.StudioLocal, fsm.Compute} {
		for _, to := range fsm.Modes {
			plan, err := fsm.PlanFor(fsm.Observation{Mode: o}, to, busiest(p, o), p)
			var sum time.Duration
			for _, s := range plan.Steps {
				sum += s.Deadline
			}
			if err == nil && sum > most {
				longest, most = plan, sum
			}
		}
	}
	if r.Transitions.Overall < most {
		d.fault([]string{"transitions.overall"}, fmt.Sprintf("is %s, but the deadlines of the steps %s → %s sum up to %s", r.Transitions.Overall, longest.From, longest.To, most),
			fmt.Sprintf("write at least %q, or shorten deadlines", most))
	}
}

// busiest is a host in mode m for which plans have all their steps.
func busiest(p fsm.Policy, m fsm.Mode) fsm.Facts {
	set := map[string]fsm.Unit{}
	for _, name := range p.Units.Watched() {
		set[name] = fsm.Unit{Name: name, Load: "loaded", Active: "inactive"}
	}
	up := func(names ...string) {
		for _, name := range names {
			set[name] = fsm.Unit{Name: name, Load: "loaded", Active: "active"}
		}
	}
	up(p.Units.Target(m))
	up(p.Units.AI[m]...)
	logins := fsm.Logins{Users: []fsm.User{{UID: 1000, Name: "user", Manager: true, Graphical: true, AudioLoaded: true}}}
	if m == fsm.Compute {
		for _, name := range p.Units.Starters {
			set[name] = fsm.Unit{Name: name, Load: "masked", Runtime: true}
		}
	} else {
		up(p.Units.Starters...)
		logins.Sessions = []fsm.Session{{ID: "1", UID: 1000, Class: "user", Graphical: true}}
		logins.Users[0].Audio = p.Units.Audio
	}
	return fsm.Facts{Units: fsm.Reading[map[string]fsm.Unit]{OK: true, Value: set}, Logins: fsm.Reading[fsm.Logins]{OK: true, Value: logins}}
}
