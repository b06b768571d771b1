package fsm

import "time"

// Subject names parts of Facts; a query asks for several by or-ing them.
type Subject uint

// The subjects, one bit each, in the order of the fields of Facts.
const (
	AboutHost Subject = 1 << iota
	AboutUnits
	AboutSessions
	AboutStopSets
	AboutAudio
	AboutGPU
	AboutLoad
	AboutMemory
	AboutJobs
	AboutInference
	AboutPlacement
	AboutInhibitors
	AboutSite
	AboutBudgets
	AboutHolds
	AboutIdle
	AboutWorkers
)

// Core is what classification needs; Everything is all there is.
const (
	Core       = AboutHost | AboutUnits | AboutSessions
	Everything = AboutWorkers<<1 - 1
)

// SubjectNames names each subject, for messages.
var SubjectNames = map[Subject]string{
	AboutHost: "host", AboutUnits: "units", AboutSessions: "sessions", AboutStopSets: "stop-sets",
	AboutAudio: "audio", AboutGPU: "gpu", AboutLoad: "load", AboutMemory: "memory", AboutJobs: "jobs",
	AboutInference: "inference", AboutPlacement: "placement", AboutInhibitors: "inhibitors", AboutSite: "site-guards",
	AboutBudgets: "budgets", AboutHolds: "holds", AboutIdle: "idle", AboutWorkers: "workers",
}

// Query asks the host for facts. Units are names beyond those the observer
// watches anyway; Targets are those whose isolate stop set is wanted.
type Query struct {
	About   Subject
	Units   []string
	Targets []string
	Budgets []Budget // of which the values in force are wanted
	// Ready asks the model servers for nothing but whether they are ready: their
	// requests are then not known.
	Ready bool
	// Wish is told to site guards, which may decide by it; empty otherwise.
	Wish Mode
}

// Reading is the answer of one probe. The zero Reading was never read: like a
// failed one it means "cannot tell", so forgetting a probe cannot pass a guard.
type Reading[T any] struct {
	OK    bool   `json:"ok"`
	Value T      `json:"value"`
	Cause string `json:"cause,omitempty"` // why it could not be read
}

// Read returns the reading of a probe that answered v and err.
func Read[T any](v T, err error) Reading[T] {
	if err != nil {
		return Reading[T]{Cause: err.Error()}
	}
	return Reading[T]{OK: true, Value: v}
}

// Why returns the cause of a reading that is not OK, never empty.
func (r Reading[T]) Why() string {
	if r.Cause == "" {
		return "not looked at"
	}
	return r.Cause
}

// Facts is one look at the host (specification section 23.1). Every field tells
// whether it could be read.
type Facts struct {
	At         time.Time                   `json:"at"`
	Host       Reading[Host]               `json:"host"`
	Units      Reading[map[string]Unit]    `json:"units"`
	Logins     Reading[Logins]             `json:"logins"`
	StopSets   Reading[map[string]StopSet] `json:"stop_sets"` // by target
	Audio      Reading[Audio]              `json:"audio"`
	GPU        Reading[GPU]                `json:"gpu"`
	Load       Reading[Load]               `json:"load"`
	Memory     Reading[Memory]             `json:"memory"`
	Jobs       Reading[[]UserJob]          `json:"jobs"`
	Inference  Reading[[]Inference]        `json:"inference"`
	Placement  Reading[Placement]          `json:"placement"`
	Inhibitors Reading[[]Inhibitor]        `json:"inhibitors"`
	Site       Reading[[]SiteVerdict]      `json:"site"`
	Budgets    Reading[[]Budget]           `json:"budgets"`
	Holds      Reading[[]Hold]             `json:"holds"`
	Idle       Reading[Idle]               `json:"idle"`
	Workers    Reading[[]Worker]           `json:"workers"` // those outside only if the GPU was asked for too
}

// Host is the state of the machine and its manager.
type Host struct {
	Manager      string `json:"manager"`       // SystemState: starting, running, degraded, stopping …
	ShuttingDown bool   `json:"shutting_down"` // PrepareForShutdown was seen
	Switching    string `json:"switching"`     // the unit of a NixOS switch in progress, else empty
	Pending      []Job  `json:"pending"`       // the manager's queued and running jobs
}

// Job is one job of the manager.
type Job struct {
	ID    uint32 `json:"id"`
	Unit  string `json:"unit"`
	Type  string `json:"type"`
	State string `json:"state"`
}

// Unit is the state of one systemd unit, by systemd's own words.
type Unit struct {
	Name string `json:"name"`
	Load string `json:"load"` // loaded, not-found, masked, error …
	// Runtime tells that a mask is one of run time only (UnitFileState is
	// masked-runtime), as mask-now makes it; one in /etc is its owner's.
	Runtime    bool   `json:"masked_runtime,omitempty"`
	Active     string `json:"active"` // active, reloading, inactive, failed, activating, deactivating
	Sub        string `json:"sub"`
	Result     string `json:"result,omitempty"` // success, timeout, exit-code …; empty where the type has none
	CanIsolate bool   `json:"can_isolate,omitempty"`
	Memory     uint64 `json:"memory,omitempty"` // bytes, 0 where not accounted
}

// Is tells whether the unit's ActiveState counts as up.
func (u Unit) Is(active bool) bool {
	up := u.Active == "active" || u.Active == "reloading"
	return up == active
}

// Gone tells whether nothing of the unit runs any more.
func (u Unit) Gone() bool { return u.Active == "inactive" || u.Active == "failed" || u.Active == "" }

// HeldBack tells whether the unit is masked at run time, as mask-now does it (D10).
func (u Unit) HeldBack() bool { return u.Load == "masked" && u.Runtime }

// Session is one logind session of Class=user or greeter (D3).
type Session struct {
	ID        string    `json:"id"`
	User      string    `json:"user"`
	UID       int       `json:"uid"`
	Class     string    `json:"class"`
	Type      string    `json:"type"`
	State     string    `json:"state"` // online, active, closing
	TTY       string    `json:"tty,omitempty"`
	Service   string    `json:"service,omitempty"` // PAM service: greetd, gdm-password, login, sshd …
	Scope     string    `json:"scope"`
	Remote    bool      `json:"remote,omitempty"`
	Since     time.Time `json:"since"`
	Graphical bool      `json:"graphical"`
	Why       string    `json:"why,omitempty"` // the evidence that it is graphical
}

// Logins is who is logged in, and whose user manager runs.
type Logins struct {
	Sessions []Session `json:"sessions"`
	Users    []User    `json:"users"`
}

// User is one user that logind knows, with what matters here of the user's own
// service manager.
type User struct {
	UID       int      `json:"uid"`
	Name      string   `json:"name"`
	Linger    bool     `json:"linger,omitempty"`
	Manager   bool     `json:"manager"`             // user@UID.service is active
	Graphical bool     `json:"graphical,omitempty"` // its graphical-session.target is active
	Audio     []string `json:"audio,omitempty"`     // active units of the audio stack
	// AudioLoaded tells whether the manager knows the audio stack at all.
	AudioLoaded bool `json:"audio_loaded,omitempty"`
}

// StopSet is what isolating a target would stop (D10).
type StopSet struct {
	Target string     `json:"target"`
	Stops  []StopUnit `json:"stops"`
}

// StopUnit is one unit of a stop set.
type StopUnit struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// Origin says how it came to run: enabled, hand, transient, timer, socket,
	// bus, path, dependency. Those of hand, transient and timer are user jobs.
	Origin string `json:"origin"`
	PID    int    `json:"pid,omitempty"`
}

// UserJob is a unit or process that a person would not want to lose.
type UserJob struct {
	What    string `json:"what"` // "rsync", "tmux: server", "borg.service"
	PID     int    `json:"pid,omitempty"`
	UID     int    `json:"uid"`
	Unit    string `json:"unit,omitempty"`
	Session string `json:"session,omitempty"`
	Pattern string `json:"pattern,omitempty"` // the configured pattern that it matched
}

// Load is pressure-stall information, percent of time over ten seconds.
type Load struct {
	CPUSome float64 `json:"cpu_some"`
}

// Memory is /proc/meminfo's MemAvailable, in bytes.
type Memory struct {
	Available uint64 `json:"available"`
}

// Inference is the state of one AI unit's server.
type Inference struct {
	Unit    string  `json:"unit"`
	Ready   bool    `json:"ready"` // /health answers 200
	Running float64 `json:"running"`
	Waiting float64 `json:"waiting"`
	Known   bool    `json:"known"` // Running and Waiting could be read
	Cause   string  `json:"cause,omitempty"`
}

// Placement says where the capabilities live (section 4.2).
type Placement struct {
	Studio string `json:"studio"` // local, external-mac-mini
}

// Inhibitor is one logind inhibitor lock of mode block that is not ours.
type Inhibitor struct {
	What string `json:"what"`
	Who  string `json:"who"`
	Why  string `json:"why"`
	UID  int    `json:"uid"`
	PID  int    `json:"pid"`
}

// Idle is for how long nobody has touched the machine (section 16, D13).
type Idle struct {
	Quiet  time.Duration `json:"quiet_ns"`         // since the last input; sleep is not counted
	Device string        `json:"device,omitempty"` // that gave it; empty: none since the clock was set
	Why    string        `json:"why,omitempty"`    // what set the clock, where no device did
	// Devices is how many are watched; 0 says that there is none to touch.
	Devices int      `json:"devices"`
	Denied  []string `json:"denied,omitempty"` // names of those that are configured not to count
	// Terminals are the pseudo-terminals, such as those of ssh.
	Terminals []Terminal `json:"terminals,omitempty"`
}

// Terminal is a pseudo-terminal and when somebody last typed on it, late by up to
// TerminalGrain.
type Terminal struct {
	Name  string    `json:"name"`
	UID   int       `json:"uid"` // its owner
	Typed time.Time `json:"typed"`
}

// SiteVerdict is the answer of one executable of guards.d. It can only refuse:
// code 0 pass, 10-19 block, anything else cannot tell.
type SiteVerdict struct {
	Name   string `json:"name"`
	Code   int    `json:"code"`
	Reason string `json:"reason"`
}
