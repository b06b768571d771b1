package soak

import (
	"slices"

	"github.com/modewatch/modewatch/fsm"
)

// situation is a host as somebody's hand left it, for the steps that a plan has only
// then.
type situation struct {
	name   string
	in     fsm.Mode
	change func(*world)
}

var none = func(*world) {}

// situations are drawn alike; the first stands for none.
var situations = []situation{
	{"as it was left", "", none},
	{"desktop without its target", fsm.Desktop, unit("desktop.target", "inactive")},
	{"desktop with compute's AI unit", fsm.Desktop, unit(ai, "active")},
	{"desktop with the login held back", fsm.Desktop, load(starter, "masked", true)},
	{"desktop with a display manager", fsm.Desktop, unit(starter, "active")},
	{"desktop with its AI unit", fsm.Desktop, deskAIIs("active")},
	{"desktop without its AI unit", fsm.Desktop, deskAIIs("inactive")},
	{"desktop with compute.target", fsm.Desktop, unit("compute.target", "active")},
	{"desktop", fsm.Desktop, none},
	{"studio with compute's AI unit", fsm.StudioLocal, unit(ai, "active")},
	{"studio with the login held back", fsm.StudioLocal, load(starter, "masked", true)},
	{"studio with a display manager", fsm.StudioLocal, unit(starter, "active")},
	{"studio with the desktop's AI unit", fsm.StudioLocal, deskAIIs("active")},
	{"studio without audio-priority", fsm.StudioLocal, unit("audio-priority.service", "inactive")},
	{"studio without desktop.target", fsm.StudioLocal, unit("desktop.target", "inactive")},
	{"studio without any AI unit", fsm.StudioLocal, deskAIIs("inactive")},
	{"studio", fsm.StudioLocal, none},
	{"compute without its AI unit", fsm.Compute, unit(ai, "inactive")},
	{"compute with the login let in", fsm.Compute, unit(starter, "inactive")},
	{"compute with the desktop's AI unit", fsm.Compute, deskAIIs("active")},
	{"compute with a silent user", fsm.Compute, silent},
	{"compute", fsm.Compute, none},
}

// The situations that trials are turned to.
var (
	targetless  = called("studio without desktop.target")
	foreignAI   = called("compute with the desktop's AI unit")
	quiet       = called("compute with a silent user")
	deskless    = called("studio without any AI unit")
	plainDesk   = called("desktop")
	plainStudio = called("studio")
)

func called(name string) (id situationID) {
	if err := named(&id, len(situations), []byte(name)); err != nil {
		panic(err)
	}
	return id
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
