package guards

import (
	"fmt"
	"slices"
	"strings"

	"github.com/modewatch/modewatch/fsm"
)

// targetReachable is check_target_reachable (section 24.1, D10): the manager is
// up and not in the hands of somebody else, the units that the plan starts can
// be started, and the isolate spares what must survive it.
var targetReachable = guard("check_target_reachable", 18, hard, fsm.AboutHost|fsm.AboutUnits|fsm.AboutStopSets, func(in Input) answer {
	if !in.Facts.Host.OK {
		return cannotTell("the state of the service manager", in.Facts.Host.Why())
	}
	if a := managerFree(in.Facts.Host.Value); a.kind != passes {
		return a
	}
	if !in.Facts.Units.OK {
		return cannotTell("the units of the plan", in.Facts.Units.Why())
	}
	var names []string
	for i, s := range remaining(in) {
		if a := startable(in, i, s); a.kind != passes {
			return a
		}
		if starts(s) {
			names = append(names, s.Arg)
		}
	}
	if target := isolates(in); target != "" {
		if a := spares(in, target); a.kind != passes {
			return a
		}
	}
	return pass(string(destination(in))+" can be reached", "to be started: "+strings.Join(names, ", "))
})

func managerFree(h fsm.Host) answer {
	switch {
	case h.ShuttingDown || h.Manager == "stopping":
		return block("the host is shutting down", "the service manager is "+h.Manager)
	case h.Switching != "":
		return block("a NixOS switch is in progress: wait for "+h.Switching, "")
	}
	switch h.Manager {
	case "running", "degraded":
		return pass("", "")
	case "initializing", "starting":
		return block("the boot has not ended: the service manager is "+h.Manager, jobs(h))
	case "maintenance":
		return block("the host is in rescue or emergency mode", "")
	}
	return cannotTell("the state of the service manager", fmt.Sprintf("it says %q", h.Manager))
}

func jobs(h fsm.Host) string {
	var names []string
	for _, j := range h.Pending {
		names = append(names, j.Type+" of "+j.Unit)
	}
	return fmt.Sprintf("%d jobs are pending: %s", len(names), strings.Join(names, ", "))
}

func starts(s fsm.Step) bool {
	return s.Verb == fsm.Run || s.Verb == fsm.Start || s.Verb == fsm.Isolate
}

// startable judges the unit that step i of the rest of the plan starts. One
// that the plan unmasks before may be masked now.
func startable(in Input, i int, s fsm.Step) answer {
	if !starts(s) {
		return pass("", "")
	}
	u := in.Facts.Units.Value[s.Arg]
	switch {
	case u.Load == "":
		return cannotTell("whether "+s.Arg+" can be started", "its state was not read")
	case u.Load == "not-found" && s.Optional, u.Load == "masked" && unmasked(remaining(in)[:i], s.Arg):
		return pass("", "")
	case u.Load == "masked":
		return block(s.Arg+" is masked: systemctl unmask "+s.Arg, "")
	case u.Load == "not-found":
		return block(s.Arg+" does not exist", "LoadState=not-found")
	case u.Load != "loaded":
		return block(s.Arg+" cannot be loaded: systemctl status "+s.Arg, "LoadState="+u.Load)
	case s.Verb == fsm.Isolate && !u.CanIsolate:
		return block(s.Arg+" cannot be isolated: it lacks AllowIsolate=yes", "")
	}
	return pass("", "")
}

func unmasked(before []fsm.Step, unit string) bool {
	return slices.ContainsFunc(before, func(s fsm.Step) bool { return s.Verb == fsm.UnmaskNow && s.Arg == unit })
}

// spares judges the isolate's stop set: our own unit and what D10 protects must
// not be in it.
func spares(in Input, target string) answer {
	set, why := stopSet(in, target)
	if why != "" {
		return cannotTell("what isolating "+target+" would stop", why)
	}
	protected := slices.Concat(in.Policy.Units.Own, in.Policy.Units.Protected)
	var all, lost []string
	for _, u := range set.Stops {
		all = append(all, u.Name)
		if matchAny(protected, u.Name) {
			lost = append(lost, u.Name)
		}
	}
	detail := fmt.Sprintf("the isolate would stop %d units: %s", len(all), strings.Join(all, ", "))
	if len(lost) > 0 {
		return block(fmt.Sprintf("isolating %s would stop %s: give it IgnoreOnIsolate=yes, or let %s want it",
			target, strings.Join(lost, ", "), target), detail)
	}
	return pass("", detail)
}
