package main

import (
	"os"
	"path/filepath"
	"sync"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/config"
	"github.com/modewatch/modewatch/sinks/runfiles"
	"github.com/modewatch/modewatch/sources/gpu"
	"github.com/modewatch/modewatch/sources/procs"
)

// libexec is where the helper programs are, seen from where this one is. It is
// set by a build that installs them elsewhere.
var libexec = "../libexec/modewatch"

// gpuProbe is the path of the program that asks NVML: the installed one, or the
// one that was built beside this one.
func gpuProbe() string {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	installed := filepath.Join(filepath.Dir(self), libexec, "gpu-probe")
	built := filepath.Join(filepath.Dir(self), "modewatch-gpu")
	if _, err := os.Stat(installed); err != nil {
		if _, err := os.Stat(built); err == nil {
			return built
		}
	}
	return installed
}

func newGPU(cfg config.Config, proc *procs.Procs) *gpu.Source {
	return &gpu.Source{Policy: func() fsm.GPUPolicy { return cfg.Policy.GPU }, Program: gpuProbe(), Who: proc.Holders,
		Library: cfg.NVML.Library, Off: cfg.NVML.Off, Within: cfg.NVML.Timeout}
}

// topology keeps hardware-topology.json: what was last observed of the GPUs. It
// may be told by several goroutines.
type topology struct {
	mu     sync.Mutex
	dirs   runfiles.Dirs
	policy fsm.Policy
	report func(error)
}

// seen writes the cards down if they are others than those that stand there.
func (t *topology) seen(cards []fsm.Card) {
	doc := topologyOf(cards, t.policy)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report(t.dirs.WriteTopology(doc))
}

// gpus writes down which GPUs there are, before anything has to be known of them.
func (c *owner) gpus() {
	cards, err := c.host.gpu.Cards()
	if err != nil {
		c.report(err)
		return
	}
	c.host.cards(cards)
}

// topologyOf is the document of specification section 21.2: what is planned, what
// is there, and what it is for. A mode without AI units gives them no GPU.
func topologyOf(cards []fsm.Card, p fsm.Policy) runfiles.Topology {
	doc := runfiles.Topology{Planned: p.GPU.Planned, Present: []runfiles.TopologyGPU{}, Display: []string{}, AI: map[fsm.Mode]runfiles.TopologyAI{}}
	var ai []string
	for _, c := range cards {
		g := runfiles.TopologyGPU{UUID: c.UUID, PCI: c.PCI, Name: c.Name, Nodes: list(c.Nodes)}
		if c.Minor >= 0 {
			g.Minor = &c.Minor
		}
		doc.Present = append(doc.Present, g)
		if c.Display {
			doc.Display = append(doc.Display, identity(c))
		}
		if c.AI {
			ai = append(ai, identity(c))
		}
	}
	for _, m := range fsm.Modes {
		set := runfiles.TopologyAI{Units: list(p.Units.AI[m]), GPUs: []string{}}
		if len(set.Units) > 0 {
			set.GPUs = list(ai)
		}
		doc.AI[m] = set
	}
	return doc
}

// identity names a GPU in a way that outlives a change of the hardware, where one
// is known.
func identity(c fsm.Card) string {
	for _, id := range append([]string{c.UUID, c.PCI}, c.Nodes...) {
		if id != "" {
			return id
		}
	}
	return ""
}
