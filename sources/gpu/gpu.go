// Package gpu tells what the driver of the GPUs knows of them: which GPUs there
// are, and on an NVIDIA host which processes NVML lists on them, with what they do
// and how much memory they have there (D16). It completes the open device nodes,
// which package procs sees and which are all there is of other makers' GPUs.
//
// NVML is asked in a program of its own (cmd/modewatch-gpu), only when somebody
// asks, and only where an NVIDIA driver is. If that gives no answer, nobody can
// tell who is on the GPUs: an error that names the cause and what to do about it.
package gpu

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sources/gpu/report"
)

// Source asks the driver. Its fields are set once, before it is used.
type Source struct {
	// Root is put before /dev, /proc and /sys; empty but in tests.
	Root   string
	Policy func() fsm.GPUPolicy
	// Program is the path of modewatch-gpu, Library that of NVML, or empty for
	// where drivers put it. Off turns NVML off: the device nodes decide alone.
	Program, Library string
	Off              bool
	// Within bounds one question to NVML.
	Within time.Duration
	// Who describes processes by their pids (procs.Holders).
	Who func(pids []int) (map[int]fsm.GPUHolder, error)

	mu    sync.Mutex
	stuck *stuck // a program that could not be killed
}

// Look returns the GPUs and, of those of NVIDIA, the processes on them. Display
// and AI are by the policy's patterns of device nodes. Looked says whether NVML
// was asked. It starts no program on a host that has no NVIDIA driver, or all of
// whose NVIDIA GPUs sleep: what is asked would wake them, and nobody can compute
// or draw on a GPU that sleeps but those who have its node open.
func (s *Source) Look(ctx context.Context) (fsm.GPU, error) {
	cards, err := s.Cards()
	if err != nil {
		return fsm.GPU{}, err
	}
	out := fsm.GPU{Cards: cards}
	switch {
	case !s.nvidia():
		return out, nil
	case s.Off:
		out.Looked = []string{`not NVML (gpus.nvml is "off")`}
		return out, nil
	case s.asleep():
		out.Looked = []string{"not NVML (the GPUs sleep)"}
		return out, nil
	}
	doc, err := s.ask(ctx)
	if err != nil {
		return fsm.GPU{}, err
	}
	return s.merge(out, doc)
}

// merge puts what NVML said over what the system's own files say.
func (s *Source) merge(out fsm.GPU, doc report.Document) (fsm.GPU, error) {
	policy := s.Policy()
	out.Driver, out.Looked = doc.Driver, []string{"NVML of driver " + doc.Driver}
	var pids []int
	for _, g := range doc.GPUs {
		for _, p := range g.Processes {
			pids = append(pids, p.PID)
		}
		for _, kind := range g.Unlisted {
			out.Looked = append(out.Looked, fmt.Sprintf("%s lists no %s processes", g.PCI, kind))
		}
	}
	slices.Sort(pids)
	who, err := s.Who(slices.Compact(pids))
	if err != nil {
		return fsm.GPU{}, err
	}
	for _, g := range doc.GPUs {
		i := s.card(&out, g, policy)
		for _, h := range holders(g, who) {
			h.Display = out.Cards[i].Display
			out.Holders = append(out.Holders, h)
		}
	}
	return out, nil
}

// card finds the GPU that NVML describes among the cards, by its PCI address or
// its device node, or adds it, and completes it.
func (s *Source) card(out *fsm.GPU, g report.GPU, policy fsm.GPUPolicy) int {
	node := nodeOf(g)
	i := slices.IndexFunc(out.Cards, func(c fsm.Card) bool { return c.PCI == g.PCI })
	if i < 0 {
		i = slices.IndexFunc(out.Cards, func(c fsm.Card) bool { return c.PCI == "" && slices.Contains(c.Nodes, node) })
	}
	if i < 0 {
		i = len(out.Cards)
		out.Cards = append(out.Cards, fsm.Card{Nodes: []string{node}})
	}
	c := &out.Cards[i]
	if !slices.Contains(c.Nodes, node) {
		c.Nodes = append(c.Nodes, node)
	}
	assign(c, policy)
	c.PCI, c.UUID, c.Name, c.Minor = g.PCI, g.UUID, g.Name, g.Minor
	c.Lit, c.MemoryTotal, c.MemoryUsed, c.Utilization = g.Display, g.MemoryTotal, g.MemoryUsed, g.Utilization
	return i
}

// assign tells what the policy wants of a card, by any of its nodes.
func assign(c *fsm.Card, policy fsm.GPUPolicy) {
	c.Display = slices.ContainsFunc(c.Nodes, func(n string) bool { return named(policy.Display, n) })
	c.AI = slices.ContainsFunc(c.Nodes, func(n string) bool { return named(policy.AI, n) })
}

// named tells whether one of the patterns is of the node. The configuration has
// been checked for patterns that are none.
func named(patterns []string, node string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := filepath.Match(p, node)
		return ok && err == nil
	})
}

func nodeOf(g report.GPU) string { return fmt.Sprintf("/dev/nvidia%d", g.Minor) }

// holders are the processes on one GPU, each once: one that draws and computes is
// listed twice by NVML, each time with all its memory.
func holders(g report.GPU, who map[int]fsm.GPUHolder) []fsm.GPUHolder {
	var out []fsm.GPUHolder
	for _, p := range g.Processes {
		i := slices.IndexFunc(out, func(h fsm.GPUHolder) bool { return h.PID == p.PID })
		if i >= 0 {
			out[i].Kind += "+" + string(p.Kind)
			out[i].Memory = max(out[i].Memory, p.Memory)
			continue
		}
		h := who[p.PID]
		h.PID, h.Node, h.Kind, h.Memory = p.PID, nodeOf(g), string(p.Kind), p.Memory
		out = append(out, h)
	}
	return out
}
