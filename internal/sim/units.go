package sim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/modewatch/modewatch/fsm"
)

func (h *Host) unitOp(op fsm.Op, kind FaultKind) error {
	u, ok := h.units[op.Arg]
	if !ok {
		return missing(op.Arg)
	}
	half := kind == HalfDone
	switch op.Verb {
	case fsm.Start, fsm.Isolate:
		if u.Load == "masked" {
			return fmt.Errorf("cannot start %s: it is masked", op.Arg)
		}
		if op.Verb == fsm.Isolate {
			return h.isolate(op.Arg, half)
		}
		if half {
			h.set(op.Arg, "failed")
			return nil
		}
		h.up(op.Arg)
	case fsm.Run:
		h.set(op.Arg, map[bool]string{false: "inactive", true: "failed"}[half])
	case fsm.Stop:
		if half {
			h.set(op.Arg, "deactivating")
			return nil
		}
		h.down(op.Arg)
	case fsm.MaskNow:
		u.Load, u.Runtime = "masked", true
		h.units[op.Arg] = u
		if !half {
			h.down(op.Arg)
		}
	case fsm.UnmaskNow:
		u.Load, u.Runtime = "loaded", false
		h.units[op.Arg] = u
		if !half {
			h.up(op.Arg)
		}
	}
	return nil
}

// isolate stops what the target does not want, and starts it. The job of the
// target is done long before those stops are.
func (h *Host) isolate(target string, half bool) error {
	if h.units[target].Is(true) {
		return fmt.Errorf("cannot isolate %s: it is active", target)
	}
	stops := h.stopSet(target).Stops
	if half {
		stops = stops[:len(stops)/2]
	}
	for _, s := range stops {
		if h.StopsTake == 0 {
			h.down(s.Name)
			continue
		}
		h.set(s.Name, "deactivating")
		h.after(h.StopsTake, func() {
			if h.units[s.Name].Active == "deactivating" {
				h.down(s.Name)
			}
		})
	}
	if !half {
		h.up(target)
	}
	return nil
}

// up is what a start that went well leads to.
func (h *Host) up(name string) {
	h.set(name, "active")
	h.conflicts(name)
	h.serving(name, true)
	if slices.Contains(h.policy.Units.Starters, name) && h.Autologin != "" {
		user := h.Autologin
		h.after(h.LoginTakes, func() {
			if h.units[name].Is(true) && len(h.logins.Graphical()) == 0 {
				h.login(user, 1000)
			}
		})
	}
}

// down is what a stop that went well leads to.
func (h *Host) down(name string) {
	h.set(name, "inactive")
	h.serving(name, false)
	if h.StarterEnds && slices.Contains(h.policy.Units.Starters, name) {
		for _, s := range h.logins.Graphical() {
			h.endSession(s.ID, "")
		}
	}
}

// conflicts stops the counterpart of a target that came up.
func (h *Host) conflicts(target string) {
	switch target {
	case h.policy.Units.Desktop:
		h.set(h.policy.Units.Compute, "inactive")
	case h.policy.Units.Compute:
		h.set(h.policy.Units.Desktop, "inactive")
		h.set(h.policy.Units.StudioPolicy, "inactive")
		h.set(h.policy.Units.AudioPriority, "inactive")
	}
}

// stopSet is what isolating target stops: here all that is up and is neither a
// target's own business nor the controller's, nor told to survive.
func (h *Host) stopSet(target string) fsm.StopSet {
	s := fsm.StopSet{Target: target}
	for name, u := range h.units {
		if u.Is(true) && name != target && !strings.HasSuffix(name, ".target") && !strings.HasSuffix(name, ".scope") && !h.survives[name] {
			origin := h.origins[name]
			if origin == "" {
				origin = "dependency"
			}
			s.Stops = append(s.Stops, fsm.StopUnit{Name: name, Origin: origin})
		}
	}
	slices.SortFunc(s.Stops, func(a, b fsm.StopUnit) int { return strings.Compare(a.Name, b.Name) })
	return s
}

// Service puts a service on the host that runs; origin says how it came to, as in
// fsm.StopUnit, and survives whether it ignores isolates.
func (h *Host) Service(name, origin string, survives bool) {
	h.mu.Lock()
	h.set(name, "active")
	h.origins[name], h.survives[name] = origin, survives
	h.mu.Unlock()
	h.Hint(fsm.AboutUnits)
}

func (h *Host) set(name, active string) {
	u, ok := h.units[name]
	if !ok {
		u = fsm.Unit{Name: name, Load: "loaded"}
	}
	u.Active, u.Result = active, "success"
	if active == "failed" {
		u.Result = "exit-code"
	}
	h.units[name] = u
}

// SetUnit starts, stops or fails a unit as somebody by hand would, or a crash.
func (h *Host) SetUnit(name, active string) {
	h.mu.Lock()
	switch active {
	case "active":
		h.up(name)
	case "inactive":
		h.down(name)
	default:
		h.down(name)
		h.set(name, active)
	}
	h.mu.Unlock()
	h.Hint(fsm.Everything)
}
