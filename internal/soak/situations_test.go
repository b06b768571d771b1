package soak

import (
	"slices"

	"github.com/modewatch/modewatch/fsm"
)

// situation is a host as somebody's hand left it, for the steps that a plan has only
// then.
type situation struct {
	in     fsm.Mode
	change func(*world)
}

var none = func(*world) {}

// situations are drawn alike; the first stands for none.
var situations = []situation{
	{},
	{fsm.Desktop, unit("desktop.target", "inactive")},
	{fsm.Desktop, unit(ai, "active")},
	{fsm.Desktop, load(starter, "masked", true)},
	{fsm.Desktop, unit(starter, "active")},
	{fsm.Desktop, deskAIIs("active")},
	{fsm.Desktop, deskAIIs("inactive")},
	{fsm.Desktop, unit("compute.target", "active")},
	{fsm.Desktop, none},
	{fsm.StudioLocal, unit(ai, "active")},
	{fsm.StudioLocal, load(starter, "masked", true)},
	{fsm.StudioLocal, unit(starter, "active")},
	{fsm.StudioLocal, deskAIIs("active")},
	{fsm.StudioLocal, unit("audio-priority.service", "inactive")},
	{fsm.StudioLocal, unit("desktop.target", "inactive")},
	{fsm.StudioLocal, unit("desktop.target", "inactive")},
	{fsm.StudioLocal, deskAIIs("active")},
	{fsm.StudioLocal, deskAIIs("active")},
	{fsm.StudioLocal, deskAIIs("inactive")},
	{fsm.StudioLocal, none},
	{fsm.Compute, unit(ai, "inactive")},
	{fsm.Compute, unit(starter, "inactive")},
	{fsm.Compute, deskAIIs("active")},
	{fsm.Compute, deskAIIs("active")},
	{fsm.Compute, deskAIIs("active")},
	{fsm.Compute, silent},
	{fsm.Compute, silent},
	{fsm.Compute, none},
}

// The situations that trials are turned to.
var (
	targetless  = add(situation{fsm.StudioLocal, unit("desktop.target", "inactive")})
	foreignAI   = add(situation{fsm.Compute, deskAIIs("active")})
	quiet       = add(situation{fsm.Compute, silent})
	deskless    = add(situation{fsm.StudioLocal, deskAIIs("inactive")})
	plainDesk   = add(situation{fsm.Desktop, none})
	plainStudio = add(situation{fsm.StudioLocal, none})
)

func add(s situation) int {
	situations = append(situations, s)
	return len(situations) - 1
}

func deskAIIs(active string) func(*world) {
	return func(w *world) {
		if len(w.policy.Units.AI[fsm.Desktop]) > 0 {
			w.host.SetUnit(deskAI, active)
		}
	}
}

// silent is a user by ssh whose audio was stopped on the way into compute.
func silent(w *world) {
	w.host.Remote("bob", 1001)
	w.host.Change(func(_ *fsm.Facts, l *fsm.Logins, _ map[string]fsm.Unit) {
		users := slices.Clone(l.Users)
		for i := range users {
			users[i].Audio = nil
		}
		l.Users = users
	})
}

// stand puts the host into a mode, as a hand would.
func (w *world) stand(s situation) {
	w.host.Change(func(_ *fsm.Facts, _ *fsm.Logins, units map[string]fsm.Unit) {
		u := units[starter]
		u.Load, u.Runtime, u.Active = "loaded", false, "inactive"
		units[starter] = u
	})
	up := map[bool]string{true: "active", false: "inactive"}
	studio := up[s.in == fsm.StudioLocal]
	if s.in == fsm.Compute {
		w.host.Logout(1000)
		w.host.Logout(1001)
		w.host.SetUnit(w.policy.Units.Compute, "active")
	} else {
		w.host.SetUnit(w.policy.Units.Desktop, "active")
	}
	w.host.SetUnit(w.policy.Units.StudioPolicy, studio)
	w.host.SetUnit(w.policy.Units.AudioPriority, studio)
	w.host.SetUnit(ai, up[s.in == fsm.Compute])
	deskAIIs(up[s.in == fsm.Desktop])(w)
	if s.in == fsm.Compute {
		load(starter, "masked", true)(w)
	} else if !atScreen(w.truth()) {
		w.host.Login("alice", 1000)
	}
	s.change(w)
}
