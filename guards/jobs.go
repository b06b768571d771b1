package guards

import (
	"fmt"
	"slices"
	"strings"

	"github.com/modewatch/modewatch/fsm"
)

// userJobsSafe is check_user_jobs_safe: nothing that a person would not want to
// lose is under way: known programs, services started by hand or by a timer
// that the isolate would stop (D10), and inhibitor locks (section 10.2, G4).
var userJobsSafe = guard("check_user_jobs_safe", 13, soft, fsm.AboutJobs|fsm.AboutStopSets|fsm.AboutInhibitors, func(in Input) answer {
	f := in.Facts
	if !f.Jobs.OK {
		return cannotTell("the users' jobs", f.Jobs.Why())
	}
	if !f.Inhibitors.OK {
		return cannotTell("logind's inhibitor locks", f.Inhibitors.Why())
	}
	found := running(f.Jobs.Value, in.Policy.Jobs.Allow)
	if target := isolates(in); target != "" {
		set, why := stopSet(in, target)
		if why != "" {
			return cannotTell("what isolating "+target+" would stop", why)
		}
		found = append(found, lost(set, in.Policy)...)
	}
	found = append(found, inhibiting(f.Inhibitors.Value)...)
	if len(found) > 0 {
		return block(found[0], others(found))
	}
	return pass("no user job is known", "looked at processes, services and inhibitor locks")
})

func running(jobs []fsm.UserJob, allow []string) []string {
	var out []string
	for _, j := range jobs {
		if slices.Contains(allow, j.What) || slices.Contains(allow, j.Unit) && j.Unit != "" {
			continue
		}
		session := ""
		if j.Session != "" {
			session = "session " + j.Session
		}
		out = append(out, process(j.What, j.PID, j.UID, j.Unit, session)+" is running")
	}
	return out
}

// lost lists the services of a stop set that somebody started for a purpose of
// his own. What the controller starts itself is not among them.
func lost(set fsm.StopSet, p fsm.Policy) []string {
	var out []string
	for _, u := range set.Stops {
		if slices.Contains(p.Jobs.Allow, u.Name) || ours(u.Name, p.Units) {
			continue
		}
		how := ""
		switch u.Origin {
		case "hand":
			how = "started by hand"
		case "transient":
			how = "a transient unit"
		case "timer":
			how = "started by a timer"
		default:
			continue
		}
		out = append(out, fmt.Sprintf("%s (%s) is running and isolating %s would stop it", u.Name, how, set.Target))
	}
	return out
}

// ours tells whether the controller itself starts and stops the unit.
func ours(name string, u fsm.Units) bool {
	return slices.Contains(u.Watched(), name) || strings.HasPrefix(name, "mode-") || matchAny(u.Own, name)
}

func inhibiting(locks []fsm.Inhibitor) []string {
	var out []string
	for _, l := range locks {
		what := strings.Split(l.What, ":")
		if slices.Contains(what, "shutdown") || slices.Contains(what, "idle") {
			out = append(out, fmt.Sprintf("%s inhibits %s: %s", process(l.Who, l.PID, l.UID), l.What, l.Why))
		}
	}
	return out
}
