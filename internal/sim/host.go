// Package sim is a host in memory, good enough to run the real engine: units
// with isolate as systemd does it, sessions, holders of a GPU, requests of an
// AI unit, and faults. modewatch demo and the engine's tests run on it.
package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// Fault makes the next operation that matches go wrong.
type Fault struct {
	Op   fsm.Op // the zero Arg matches any
	Kind FaultKind
	Left int // how often; 0 is once, -1 for ever
}

// FaultKind says how an operation goes wrong.
type FaultKind string

// The faults.
const (
	Fails       FaultKind = "fails"        // reports failure, changes nothing
	Hangs       FaultKind = "hangs"        // never answers until its deadline
	LiesDone    FaultKind = "lies-done"    // reports success, changes nothing
	LiesFailed  FaultKind = "lies-failed"  // takes effect, reports failure
	ComesBack   FaultKind = "comes-back"   // an ended session is followed by a new one
	KeepsHolder FaultKind = "keeps-holder" // a process of an ended session keeps the GPU
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
	took     map[fsm.Verb]time.Duration
	done     []fsm.Op
	sessions int
	// Hint is called after each change, as the sources of a real host do.
	Hint func(fsm.Subject)
}

// New returns a host with every unit of the policy loaded and inactive, that
// has finished booting, and that everything can be read of.
func New(p fsm.Policy) *Host {
	h := &Host{policy: p, units: map[string]fsm.Unit{}, took: map[fsm.Verb]time.Duration{}, Hint: func(fsm.Subject) {}}
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
		GPU: fsm.Read(fsm.GPU{Present: []string{"/dev/dri/card0"}}, nil), Load: fsm.Read(fsm.Load{}, nil),
		Memory: fsm.Read(fsm.Memory{Available: 64 << 30}, nil), Jobs: fsm.Read([]fsm.UserJob(nil), nil),
		Inference: fsm.Read([]fsm.Inference(nil), nil), Placement: fsm.Read(fsm.Placement{Studio: "local"}, nil),
		Inhibitors: fsm.Read([]fsm.Inhibitor(nil), nil), Site: fsm.Read([]fsm.SiteVerdict(nil), nil),
		StopSets: fsm.Read(map[string]fsm.StopSet{}, nil), Budgets: fsm.Read(p.InForce(fsm.Unknown), nil),
		Holds: fsm.Read([]fsm.Hold(nil), nil), Idle: fsm.Read(fsm.Idle{Device: "simulated keyboard", Devices: 1}, nil),
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

// Break plans faults.
func (h *Host) Break(f ...Fault) { h.mu.Lock(); h.faults = append(h.faults, f...); h.mu.Unlock() }

// Takes makes operations with the verb last d.
func (h *Host) Takes(v fsm.Verb, d time.Duration) { h.mu.Lock(); h.took[v] = d; h.mu.Unlock() }

// Done returns the operations that took effect, in order.
func (h *Host) Done() []fsm.Op { h.mu.Lock(); defer h.mu.Unlock(); return slices.Clone(h.done) }

// Attend does nothing: every change is hinted at.
func (h *Host) Attend(bool) {}

// Observe answers from memory.
func (h *Host) Observe(_ context.Context, q fsm.Query) fsm.Facts {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := fsm.Facts{At: time.Now()}.Merge(h.facts, q.About)
	f.At = time.Now()
	if q.About&fsm.AboutUnits != 0 && !strings.HasPrefix(h.facts.Units.Cause, "broken") {
		f.Units = fsm.Read(cloneUnits(h.units), nil)
	}
	if q.About&fsm.AboutSessions != 0 && !strings.HasPrefix(h.facts.Logins.Cause, "broken") {
		f.Logins = fsm.Read(fsm.Logins{Sessions: slices.Clone(h.logins.Sessions), Users: slices.Clone(h.logins.Users)}, nil)
	}
	if q.About&fsm.AboutStopSets != 0 && h.facts.StopSets.OK {
		sets := map[string]fsm.StopSet{}
		for _, t := range q.Targets {
			sets[t] = h.stopSet(t)
		}
		f.StopSets = fsm.Read(sets, nil)
	}
	return f
}

func cloneUnits(m map[string]fsm.Unit) map[string]fsm.Unit {
	out := make(map[string]fsm.Unit, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

// stopSet is what isolating target stops: here all that is up and is neither a
// target's own business nor the controller's.
func (h *Host) stopSet(target string) fsm.StopSet {
	s := fsm.StopSet{Target: target}
	for name, u := range h.units {
		if u.Is(true) && name != target && !strings.HasSuffix(name, ".target") {
			s.Stops = append(s.Stops, fsm.StopUnit{Name: name, Origin: "dependency"})
		}
	}
	slices.SortFunc(s.Stops, func(a, b fsm.StopUnit) int { return strings.Compare(a.Name, b.Name) })
	return s
}

func (h *Host) set(name, active string) {
	u, ok := h.units[name]
	if !ok {
		u = fsm.Unit{Name: name, Load: "loaded"}
	}
	u.Active, u.Result = active, "success"
	h.units[name] = u
}

func (h *Host) login(name string, uid int) {
	h.sessions++
	id := fmt.Sprint(h.sessions)
	h.logins.Sessions = append(h.logins.Sessions, fsm.Session{ID: id, User: name, UID: uid, Class: "user", Type: "wayland",
		State: "active", Scope: fsm.SessionScope(id), Since: time.Now(), Graphical: true, Why: "type wayland"})
	h.logins.Users = append(h.logins.Users, fsm.User{UID: uid, Name: name, Manager: true, AudioLoaded: true,
		Audio: []string{"pipewire.service"}})
	h.facts.GPU.Value.Holders = append(h.facts.GPU.Value.Holders, fsm.GPUHolder{PID: 800 + h.sessions, UID: uid, Comm: "sway",
		Node: "/dev/dri/card0", Display: true, Session: id, Unit: fsm.SessionScope(id)})
}

var errFault = errors.New("simulated fault")

// missing is the error of an operation on a unit that does not exist.
type missing string

func (m missing) Error() string  { return "cannot find unit " + string(m) }
func (m missing) NotFound() bool { return true }

// Clone returns a host in the same condition, without faults and history: the
// machine as a restarted controller finds it.
func (h *Host) Clone() *Host {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := &Host{policy: h.policy, units: cloneUnits(h.units), facts: h.facts, took: map[fsm.Verb]time.Duration{},
		sessions: h.sessions, Hint: func(fsm.Subject) {}}
	c.logins = fsm.Logins{Sessions: slices.Clone(h.logins.Sessions), Users: slices.Clone(h.logins.Users)}
	c.facts.GPU.Value.Holders = slices.Clone(h.facts.GPU.Value.Holders)
	c.facts.Inference.Value = slices.Clone(h.facts.Inference.Value)
	return c
}

// Login opens a graphical session for a user, as a greeter would.
func (h *Host) Login(name string, uid int) {
	h.mu.Lock()
	h.login(name, uid)
	h.mu.Unlock()
	h.Hint(fsm.Core)
}
