package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// Who is on the host and on its GPU: sessions, their compositors, AI units.

func (h *Host) login(name string, uid int) {
	h.sessions++
	id := fmt.Sprint(h.sessions)
	h.logins.Sessions = append(h.logins.Sessions, fsm.Session{ID: id, User: name, UID: uid, Class: "user", Type: "wayland",
		State: "active", Scope: fsm.SessionScope(id), Since: time.Now(), Graphical: true, Why: "type wayland"})
	h.user(name, uid)
	h.hold(fsm.GPUHolder{PID: 800 + h.sessions, UID: uid, Comm: "sway",
		Node: "/dev/dri/card0", Display: true, Session: id, Unit: fsm.SessionScope(id)})
}

func (h *Host) user(name string, uid int) {
	known := func(u fsm.User) bool { return u.UID == uid }
	if !slices.ContainsFunc(h.logins.Users, known) {
		h.logins.Users = append(h.logins.Users, fsm.User{UID: uid, Name: name, Manager: true, AudioLoaded: true,
			Graphical: h.Managed, Audio: []string{"pipewire.service"}})
	}
}

// hold puts a process on the GPU. The list is made anew: whoever looked before keeps
// what was so then.
func (h *Host) hold(g fsm.GPUHolder) {
	h.facts.GPU.Value.Holders = append(slices.Clip(slices.Clone(h.facts.GPU.Value.Holders)), g)
}

// letGo takes processes off the GPU.
func (h *Host) letGo(which func(fsm.GPUHolder) bool) {
	h.facts.GPU.Value.Holders = slices.DeleteFunc(slices.Clone(h.facts.GPU.Value.Holders), which)
}

// Login opens a graphical session for a user, as a greeter would.
func (h *Host) Login(name string, uid int) {
	h.mu.Lock()
	h.login(name, uid)
	h.mu.Unlock()
	h.Hint(fsm.Core)
}

// Remote opens a session without a screen for a user, as ssh would.
func (h *Host) Remote(name string, uid int) {
	h.mu.Lock()
	h.sessions++
	id := fmt.Sprint(h.sessions)
	h.logins.Sessions = append(slices.Clone(h.logins.Sessions), fsm.Session{ID: id, User: name, UID: uid, Class: "user", Type: "tty",
		State: "active", Scope: fsm.SessionScope(id), Remote: true, Since: time.Now()})
	h.user(name, uid)
	h.mu.Unlock()
	h.Hint(fsm.Core)
}

// Logout ends a user's graphical sessions as the user would.
func (h *Host) Logout(uid int) {
	h.mu.Lock()
	for _, s := range h.logins.Graphical() {
		if s.UID == uid {
			h.endSession(s.ID, "")
		}
	}
	h.mu.Unlock()
	h.Hint(fsm.Core)
}

// endSession ends a session: at once, or after it has been closing for a while.
func (h *Host) endSession(id string, kind FaultKind) {
	if h.Lingers == 0 && kind != HalfDone {
		h.gone(id, kind)
		return
	}
	for i := range h.logins.Sessions {
		if s := &h.logins.Sessions[i]; s.ID == id {
			s.State = "closing"
			h.set(s.Scope, "deactivating")
		}
	}
	if kind != HalfDone {
		h.after(h.Lingers, func() { h.gone(id, kind) })
	}
}

func (h *Host) gone(id string, kind FaultKind) {
	i := slices.IndexFunc(h.logins.Sessions, func(s fsm.Session) bool { return s.ID == id })
	if i < 0 {
		return
	}
	s := h.logins.Sessions[i]
	h.logins.Sessions = slices.Delete(slices.Clone(h.logins.Sessions), i, i+1)
	delete(h.units, s.Scope)
	if kind != KeepsHolder {
		h.letGo(func(g fsm.GPUHolder) bool { return g.Session == id })
	}
	last := !slices.ContainsFunc(h.logins.Sessions, func(o fsm.Session) bool { return o.UID == s.UID })
	h.logins.Users = slices.DeleteFunc(slices.Clone(h.logins.Users), func(u fsm.User) bool { return u.UID == s.UID && !u.Linger && last })
	for i := range h.logins.Users {
		if u := &h.logins.Users[i]; u.UID == s.UID && s.Graphical {
			u.Graphical = false
		}
	}
	if kind == ComesBack {
		h.login(s.User, s.UID)
	}
}

// serving lets an AI unit that came up answer, or one that went be silent; and, where
// AI units hold the GPU, come on it or leave it.
func (h *Host) serving(unit string, up bool) {
	if !slices.Contains(h.policy.Units.AIUnits(), unit) {
		return
	}
	others := func(i fsm.Inference) bool { return i.Unit == unit }
	h.facts.Inference.Value = slices.DeleteFunc(slices.Clone(h.facts.Inference.Value), others)
	if up {
		h.facts.Inference.Value = append(h.facts.Inference.Value, fsm.Inference{Unit: unit, Ready: h.ReadyTakes == 0, Known: true})
		if h.ReadyTakes > 0 {
			h.after(h.ReadyTakes, func() { h.ready(unit) })
		}
	}
	if !h.AIHolds {
		return
	}
	leave := func() {
		h.letGo(func(g fsm.GPUHolder) bool { return g.Unit == unit })
		h.facts.Workers.Value = slices.DeleteFunc(slices.Clone(h.facts.Workers.Value), func(w fsm.Worker) bool { return w.Unit == unit })
	}
	switch {
	case up:
		leave()
		h.hold(fsm.GPUHolder{PID: 700, Comm: "vllm", Node: "/dev/dri/card0", Display: true, Unit: unit, Kind: "compute"})
		h.facts.Workers.Value = append(slices.Clip(h.facts.Workers.Value), fsm.Worker{PID: 700, Comm: "vllm", Unit: unit})
	case h.WorkersStay > 0:
		h.after(h.WorkersStay, func() {
			if h.units[unit].Gone() {
				leave()
			}
		})
	default:
		leave()
	}
}

func (h *Host) ready(unit string) {
	list := slices.Clone(h.facts.Inference.Value)
	for i := range list {
		if list[i].Unit == unit {
			list[i].Ready = true
		}
	}
	h.facts.Inference.Value = list
}

// Reboot is the host after a boot, while its manager still starts: nobody is there,
// nothing of /run is left, and what starts sessions runs.
func (h *Host) Reboot(starting time.Duration) {
	h.mu.Lock()
	h.boots++
	h.faults, h.blurs = nil, nil
	for name, u := range h.units {
		if strings.HasSuffix(name, ".scope") {
			delete(h.units, name)
			continue
		}
		if u.Runtime {
			u.Load, u.Runtime = "loaded", false
		}
		u.Active, u.Result = "inactive", ""
		if h.survives[name] {
			u.Active = "active"
		}
		h.units[name] = u
	}
	h.logins = fsm.Logins{}
	f := &h.facts
	f.GPU.Value.Holders, f.Workers.Value, f.Inference.Value = nil, nil, nil
	f.Audio.Value.Users, f.Jobs.Value, f.Holds.Value, f.Inhibitors.Value = nil, nil, nil, nil
	f.Budgets = fsm.Read(h.policy.InForce(fsm.Unknown), nil)
	f.Host.Value = fsm.Host{Manager: "starting"}
	h.touched = time.Now()
	for _, name := range h.policy.Units.Starters {
		h.up(name)
	}
	h.after(starting, func() { h.facts.Host.Value.Manager = "running" })
	h.mu.Unlock()
	h.Hint(fsm.Everything)
}
