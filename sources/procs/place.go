package procs

import (
	"strconv"
	"strings"
)

// place is where a process is, by its cgroup.
type place struct {
	unit    string // the system manager's unit: vllm.service, session-3.scope, user@1000.service
	inner   string // the unit of the user's manager within it, else unit
	session string // the id of the session whose scope it is
}

// user tells whether the process belongs to a session or a user's manager.
func (p place) user() bool { return p.session != "" || strings.HasPrefix(p.unit, "user@") }

// place returns where pid is; a process that is gone is nowhere.
func (t *table) place(pid int) place {
	data, err := t.read(strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return place{}
	}
	return placeOf(string(data))
}

// placeOf reads the text of /proc/PID/cgroup: the unified hierarchy, or
// systemd's own on a host that still has both.
func placeOf(text string) place {
	best := place{}
	for line := range strings.Lines(text) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 || parts[1] != "" && parts[1] != "name=systemd" {
			continue
		}
		if p := placeIn(parts[2]); p.unit != "" {
			best = p
		}
	}
	return best
}

func placeIn(path string) place {
	var p place
	for name := range strings.SplitSeq(path, "/") {
		if !unitName(name) {
			continue
		}
		if p.unit == "" {
			p.unit = name
		}
		p.inner = name
	}
	if id, ok := strings.CutPrefix(p.unit, "session-"); ok {
		p.session, _ = strings.CutSuffix(id, ".scope")
	}
	return p
}

func unitName(name string) bool {
	return strings.HasSuffix(name, ".service") || strings.HasSuffix(name, ".scope") ||
		strings.HasSuffix(name, ".socket") || strings.HasSuffix(name, ".mount") || strings.HasSuffix(name, ".swap")
}
