// Package sim is a host in memory, good enough to run the real engine: units
// with isolate as systemd does it, sessions, holders of a GPU, requests of an
// AI unit, and faults. modewatch demo and the engine's tests run on it.
package sim

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// Host is the simulated host. Its fields may be set before it is used; while
// in use, change it by Change.
type Host struct {
	mu       sync.Mutex
	policy   fsm.Policy
	units    map[string]fsm.Unit
	facts    fsm.Facts // everything but units and logins
	logins   fsm.Logins
	faults   []Fault
	blurs    []Blur
	took     map[fsm.Verb]time.Duration
	origins  map[string]string // how services came to run
	survives map[string]bool   // services that ignore isolates
	jobs     map[string]int    // how many jobs there were, by what they are about
	done     []fsm.Op
	sessions int
	boots    int
	touched  time.Time // when somebody last touched the machine
	// Hint is called after each change, as the sources of a real host do.
	Hint func(fsm.Subject)
	Character
}

// Character is how a host behaves when all goes well. The zero value answers
// everything at once.
type Character struct {
	StopsTake   time.Duration // what an isolate stops
	Lingers     time.Duration // a session that ends is closing for so long
	Managed     bool          // desktops run under their user's own manager
	StarterEnds bool          // stopping what starts sessions ends them (D10)
	Autologin   string        // who is logged in when what starts sessions comes up
	LoginTakes  time.Duration // until that
	AIHolds     bool          // AI units hold the display GPU, as on a host with one
	WorkersStay time.Duration // the workers of an AI unit after its stop
	ReadyTakes  time.Duration // until an AI unit that was started answers
}

// New returns a host with every unit of the policy loaded and inactive, that
// has finished booting, and that everything can be read of.
func New(p fsm.Policy) *Host {
	h := &Host{touched: time.Now(), policy: p, units: map[string]fsm.Unit{}, took: map[fsm.Verb]time.Duration{},
		origins: map[string]string{}, survives: map[string]bool{}, jobs: map[string]int{}, Hint: func(fsm.Subject) {}}
	for _, name := range p.Units.Watched() {
		h.units[name] = fsm.Unit{Name: name, Load: "loaded", Active: "inactive", Sub: "dead"}
	}
	for _, m := range fsm.Modes {
		delete(h.units, p.Units.Prepare[m]) // sites add these
	}
	for _, target := range []string{p.Units.Desktop, p.Units.Compute} {
		u := h.units[target]
		u.CanIsolate = true
		h.units[target] = u
	}
	h.facts = fsm.Facts{
		Host: fsm.Read(fsm.Host{Manager: "running"}, nil), Audio: fsm.Read(fsm.Audio{Looked: []string{"simulated"}}, nil),
		GPU: fsm.Read(fsm.GPU{Present: []string{"/dev/dri/card0"}, Cards: []fsm.Card{
			{PCI: "0000:00:02.0", Minor: -1, Nodes: []string{"/dev/dri/card0"}, Display: true, AI: true}}}, nil), Load: fsm.Read(fsm.Load{}, nil),
		Memory: fsm.Read(fsm.Memory{Available: 64 << 30}, nil), Jobs: fsm.Read([]fsm.UserJob(nil), nil),
		Inference: fsm.Read([]fsm.Inference(nil), nil), Placement: fsm.Read(fsm.Placement{Studio: "local"}, nil),
		Inhibitors: fsm.Read([]fsm.Inhibitor(nil), nil), Site: fsm.Read([]fsm.SiteVerdict(nil), nil),
		StopSets: fsm.Read(map[string]fsm.StopSet{}, nil), Budgets: fsm.Read(p.InForce(fsm.Unknown), nil),
		Holds: fsm.Read([]fsm.Hold(nil), nil), Idle: fsm.Read(fsm.Idle{Device: "simulated keyboard", Devices: 1}, nil),
		Workers: fsm.Read([]fsm.Worker(nil), nil),
	}
	return h
}

// Desk returns a host at rest in desktop: alice works in a wayland session that
// holds the display GPU, and her audio stack runs.
func Desk(p fsm.Policy) *Host {
	h := New(p)
	h.set(p.Units.Desktop, "active")
	h.login("alice", 1000)
	return h
}

// Change lets f change the facts, as somebody on the host would.
func (h *Host) Change(f func(*fsm.Facts, *fsm.Logins, map[string]fsm.Unit)) {
	h.mu.Lock()
	f(&h.facts, &h.logins, h.units)
	h.mu.Unlock()
	h.Hint(fsm.Everything)
}

// Touch is a person's hand on an input device.
func (h *Host) Touch() {
	h.mu.Lock()
	h.touched = time.Now()
	h.mu.Unlock()
	h.Hint(fsm.AboutIdle)
}

// Takes makes operations with the verb last d.
func (h *Host) Takes(v fsm.Verb, d time.Duration) { h.mu.Lock(); h.took[v] = d; h.mu.Unlock() }

// Done returns the operations that took effect, in order.
func (h *Host) Done() []fsm.Op { h.mu.Lock(); defer h.mu.Unlock(); return slices.Clone(h.done) }

// Attend does nothing: every change is hinted at.
func (h *Host) Attend(bool) {}

// Clone returns a host in the same condition, without faults and history: the
// machine as a restarted controller finds it.
func (h *Host) Clone() *Host {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := &Host{policy: h.policy, units: maps.Clone(h.units), facts: h.facts, took: map[fsm.Verb]time.Duration{},
		origins: maps.Clone(h.origins), survives: maps.Clone(h.survives), jobs: map[string]int{},
		sessions: h.sessions, Hint: func(fsm.Subject) {}, Character: h.Character}
	c.logins = fsm.Logins{Sessions: slices.Clone(h.logins.Sessions), Users: slices.Clone(h.logins.Users)}
	c.facts.GPU.Value.Holders = slices.Clone(h.facts.GPU.Value.Holders)
	c.facts.Inference.Value = slices.Clone(h.facts.Inference.Value)
	return c
}
