package fsm

import (
	"fmt"
	"slices"
	"strings"
)

// GPU is which GPUs there are and who is on them (D16).
type GPU struct {
	Present []string    `json:"present"` // the display and AI device nodes that exist
	Holders []GPUHolder `json:"holders"`
	// Cards are the GPUs that these nodes belong to, each once.
	Cards  []Card   `json:"cards,omitempty"`
	Driver string   `json:"driver,omitempty"` // version of NVIDIA's driver, where it was asked
	Looked []string `json:"looked,omitempty"` // what was looked at beside the device nodes, or why not
}

// Card is one GPU. It is named by its UUID or PCI address, never by an index:
// CUDA, NVML and the device nodes each count in another order (D16).
type Card struct {
	PCI   string   `json:"pci,omitempty"` // as in /sys/bus/pci/devices: 0000:01:00.0
	UUID  string   `json:"uuid,omitempty"`
	Name  string   `json:"name,omitempty"`
	Minor int      `json:"minor"` // of its node /dev/nvidiaMINOR; -1 where it has none
	Nodes []string `json:"nodes,omitempty"`
	// Display and AI tell whether the policy names a node of it.
	Display bool `json:"display"`
	AI      bool `json:"ai"`
	// Lit, the memory in bytes and the load in percent are known where the
	// driver was asked.
	Lit         bool   `json:"lit,omitempty"` // a screen is driven
	MemoryTotal uint64 `json:"memory_total,omitempty"`
	MemoryUsed  uint64 `json:"memory_used,omitempty"`
	Utilization int    `json:"utilization,omitempty"`
}

// String names the GPU by the best that is known of it.
func (c Card) String() string {
	for _, id := range append([]string{c.UUID, c.PCI}, c.Nodes...) {
		if id != "" && c.Name != "" {
			return c.Name + " " + id
		} else if id != "" {
			return id
		}
	}
	return "a GPU that cannot be named"
}

// GPUHolder is one process on a GPU: it has a device node of it open, or the
// driver lists it, or both.
type GPUHolder struct {
	PID     int    `json:"pid"`
	UID     int    `json:"uid"`
	Comm    string `json:"comm"`
	Node    string `json:"node"`
	Display bool   `json:"display"` // the node belongs to the display GPU
	Unit    string `json:"unit,omitempty"`
	Session string `json:"session,omitempty"` // id of the session whose scope it is in
	Infra   bool   `json:"infra,omitempty"`   // named infrastructure, not counted
	// Kind is what it does there by the driver's word, such as "graphics" or
	// "compute+graphics", and Memory the bytes it has there, 0 where not known.
	// Both are empty where only its open device node tells of it.
	Kind   string `json:"kind,omitempty"`
	Memory uint64 `json:"memory,omitempty"`
}

// String names the holder so that a person can act on it.
func (h GPUHolder) String() string {
	s := fmt.Sprintf("%s (PID %d, uid %d", h.Comm, h.PID, h.UID)
	if h.Unit != "" {
		s += ", " + h.Unit
	}
	s += ") holds " + h.Node
	switch {
	case h.Memory > 0:
		return s + fmt.Sprintf(" (%s, %s)", h.Kind, mebibytes(h.Memory))
	case h.Kind != "":
		return s + " (" + h.Kind + ")"
	}
	return s
}

// mebibytes rounds up: nobody holds 0 MiB.
func mebibytes(n uint64) string { return fmt.Sprintf("%d MiB", (n+1<<20-1)>>20) }

// computes tells whether the driver lists it as one that computes.
func (h GPUHolder) computes() bool {
	return strings.Contains(h.Kind, "compute") || strings.Contains(h.Kind, "mps")
}

// ofUser tells whether it runs in a session, or under a user's own manager.
func (h GPUHolder) ofUser() bool { return h.Session != "" || strings.HasPrefix(h.Unit, "user@") }

// DisplayHolders returns the processes on the display GPU that count (D16).
func (g GPU) DisplayHolders() []GPUHolder {
	var out []GPUHolder
	for _, h := range g.Holders {
		if h.Display && !h.Infra {
			out = append(out, h)
		}
	}
	return out
}

// With returns g, which tells of open device nodes, with what the driver told
// put over it. A process that both see on one node is there once.
func (g GPU) With(driver GPU) GPU {
	g.Driver, g.Cards = driver.Driver, driver.Cards
	g.Looked = slices.Concat(g.Looked, driver.Looked)
	g.Holders = slices.Clone(g.Holders)
	for _, h := range driver.Holders {
		i := slices.IndexFunc(g.Holders, func(o GPUHolder) bool { return o.PID == h.PID && o.Node == h.Node })
		if i < 0 {
			g.Holders = append(g.Holders, h)
			continue
		}
		g.Holders[i].Kind, g.Holders[i].Memory = h.Kind, h.Memory
		g.Holders[i].Display = g.Holders[i].Display || h.Display
	}
	return g
}

// absentGPUs lists the planned GPUs that are not there (section 5.0, D2), by the
// number of the place that is empty. It says nothing where nobody looked.
func absentGPUs(f Facts, p Policy) []Deviation {
	if !f.GPU.OK {
		return nil
	}
	there := "there is none"
	if cards := f.GPU.Value.Cards; len(cards) > 0 {
		var names []string
		for _, c := range cards {
			names = append(names, c.String())
		}
		there = "there is " + strings.Join(names, ", ")
	}
	var out []Deviation
	for i := len(f.GPU.Value.Cards); i < p.GPU.Planned; i++ {
		out = append(out, Deviation{fmt.Sprintf("gpu-absent:%d", i), fmt.Sprintf("%d planned, %s", p.GPU.Planned, there)})
	}
	return out
}

// foreignHolders lists who is on the display GPU and does not belong there in
// mode m. It says nothing where the GPU was not looked at.
func foreignHolders(m Mode, f Facts, p Policy) []Deviation {
	var out []Deviation
	for _, h := range f.GPU.Value.Holders {
		if h.Infra || !h.Display || !foreign(h, m, p.Units) {
			continue
		}
		out = append(out, Deviation{fmt.Sprintf("gpu-foreign-holder:%s:%d", h.Node, h.PID), h.String()})
	}
	return out
}

// foreign tells: in compute whatever is of no AI unit; at a desk the AI units of
// other modes, and whatever computes there for nobody who is logged in (D16).
func foreign(h GPUHolder, m Mode, u Units) bool {
	ai := slices.Contains(u.AIUnits(), h.Unit)
	switch {
	case m == Compute:
		return !ai
	case slices.Contains(u.AI[m], h.Unit):
		return false
	}
	return ai || h.computes() && !h.ofUser()
}
