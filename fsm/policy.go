package fsm

import "time"

// Policy is the configuration as the decisions use it. internal/config makes it
// from the file as written; its zero value is not valid.
type Policy struct {
	Units     Units
	Deadlines Deadlines
	Gate      Gate
	Sessions  SessionPolicy
	GPU       GPUPolicy
	Audio     AudioPolicy
	Load      LoadPolicy
	Memory    MemoryPolicy
	Jobs      JobPolicy
	Inference InferencePolicy
	Idle      IdlePolicy
	Budgets   map[Mode][]Budget
	// StudioToCompute is StudioDirect or StudioViaDesktop (section 12.6).
	StudioToCompute string
	// Force permits bypassing soft guards (section 19.8, D15).
	Force bool
	// Overall bounds a whole attempt, beyond the deadlines of its steps.
	Overall time.Duration
}

// The two ways of section 12.6.
const (
	StudioDirect     = "direct"
	StudioViaDesktop = "via-desktop"
)

// Units names the units that the controller works with.
type Units struct {
	Own           []string          // never to be stopped: modewatch.service and the like
	Desktop       string            // desktop.target
	Compute       string            // compute.target
	StudioPolicy  string            // studio-local-policy.service, the marker
	AudioPriority string            // audio-priority.service
	Graphical     string            // the user manager's graphical-session.target
	AI            map[Mode][]string // the AI units that belong to a mode
	Starters      []string          // display managers and autologin gettys, held back in compute (D10)
	Prepare       map[Mode]string   // mode-prepare-MODE.service, run first where it exists (section 12.1)
	Protected     []string          // patterns of units an isolate must never stop (D10)
	Audio         []string          // the user's audio stack, sockets first
	Switch        []string          // units that tell a NixOS switch is running
}

// Deadlines bounds the waits of the steps.
type Deadlines struct {
	Start       time.Duration // a unit's start
	Stop        time.Duration // a unit's stop
	Isolate     time.Duration
	SessionTerm time.Duration // from terminating a session to killing it
	SessionKill time.Duration // from killing it to giving up
	GPURelease  time.Duration // longer than logind's UserStopDelaySec (D16)
	Ready       time.Duration // until an AI unit answers /health
	Drain       time.Duration // until a draining AI unit has no request
	Audio       time.Duration
	Prepare     time.Duration
	Budgets     time.Duration
	Observe     time.Duration // for all probes of one observation
}

// Gate is the v1 gate (D5).
type Gate struct {
	Background  bool // triggers.background
	DesiredFile bool // triggers.desired_file
}

// SessionPolicy tells what counts as graphical (D3).
type SessionPolicy struct {
	Compositors []string // exact names of executables
}

// GPUPolicy describes the topology (section 5, D16).
type GPUPolicy struct {
	Planned int
	// Display are patterns of the device nodes of the display GPU; AI those of
	// the GPUs that compute uses. On a single-GPU host they overlap.
	Display []string
	AI      []string
	Infra   []string // holders that never count, by exact name of executable
}

// AudioPolicy tells which processes are low-latency audio by name alone.
type AudioPolicy struct {
	Processes []string
	Nodes     []string // patterns of PCM device nodes
	Ignore    []string // holders of PCM nodes that do not count by themselves
}

// LoadPolicy holds the CPU threshold.
type LoadPolicy struct {
	CPUSome float64 // percent of avg10 above which the guard blocks
}

// MemoryPolicy holds the memory thresholds in bytes.
type MemoryPolicy struct {
	Model uint64 // size of the model to be loaded; 0: not known
	Floor uint64 // wanted when no model size is known
}

// Need returns the bytes that must be available to enter m, by D14's formula.
func (p MemoryPolicy) Need(m Mode) uint64 {
	if p.Model > 0 && m == Compute {
		return p.Model + p.Model/10 + 1<<30
	}
	return p.Floor
}

// JobPolicy tells which processes and units are a person's jobs.
type JobPolicy struct {
	Processes []string // exact names of executables
	Allow     []string // unit or process names that never count
	Studio    bool     // judge also on desktop → studio-local
}

// InferencePolicy tells how to reach and drain the AI units.
type InferencePolicy struct {
	// URL is the base address by unit name, loopback only.
	URL map[string]string
	// Ready says whether compute is only reached when /health answers.
	Ready bool
	// OnTimeout is DrainStop or DrainBlock for operators' wishes; automatic
	// wishes always block (D14).
	OnTimeout string
}

// IdlePolicy tells how to find out that nobody is at the machine (D13).
type IdlePolicy struct {
	Watch bool     // the input devices, though no background trigger needs it (D5)
	Deny  []string // patterns of the names of devices that do not count
}

// What to do when a drain runs out of time.
const (
	DrainStop  = "stop"
	DrainBlock = "block"
)

// Watched returns the names of the system units that observation always reads.
func (u Units) Watched() []string {
	out := []string{u.Desktop, u.Compute, u.StudioPolicy, u.AudioPriority}
	out = append(out, u.AIUnits()...)
	out = append(out, u.Starters...)
	for _, m := range Modes {
		if p := u.Prepare[m]; p != "" {
			out = append(out, p)
		}
	}
	return out
}

// AIUnits returns every AI unit of every mode, each once, in mode order.
func (u Units) AIUnits() []string {
	var out []string
	seen := map[string]bool{}
	for _, m := range Modes {
		for _, unit := range u.AI[m] {
			if !seen[unit] {
				seen[unit] = true
				out = append(out, unit)
			}
		}
	}
	return out
}

// Target returns the target that stands behind m: studio-local is an overlay
// on desktop (section 19.1).
func (u Units) Target(m Mode) string {
	if m == Compute {
		return u.Compute
	}
	return u.Desktop
}
