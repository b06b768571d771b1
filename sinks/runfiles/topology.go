package runfiles

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/modewatch/modewatch/fsm"
)

const topologyName = "hardware-topology.json"

// Topology is hardware-topology.json: the GPUs that are planned, those that are
// there, and what each is for (section 21.2). GPUs are named by their UUID, else
// by their PCI address, else by a device node; never by an index (D16).
type Topology struct {
	Schema  int                     `json:"schema"`
	Planned int                     `json:"planned"`
	Present []TopologyGPU           `json:"present"`
	Display []string                `json:"display"` // the GPUs that the display is on
	AI      map[fsm.Mode]TopologyAI `json:"ai"`
}

// TopologyGPU is one GPU that is there. What is not known of it is left out.
type TopologyGPU struct {
	UUID  string   `json:"uuid,omitempty"`
	PCI   string   `json:"pci,omitempty"`
	Minor *int     `json:"minor,omitempty"` // of its node /dev/nvidiaMINOR
	Name  string   `json:"name,omitempty"`
	Nodes []string `json:"nodes"`
}

// TopologyAI is who computes in a mode, and on which GPUs.
type TopologyAI struct {
	Units []string `json:"units"`
	GPUs  []string `json:"gpus"`
}

// WriteTopology replaces hardware-topology.json if it says something else, also
// where there is a link in its place.
func (d Dirs) WriteTopology(t Topology) error {
	t.Schema = fsm.Schema
	path := d.run(topologyName)
	data, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	data = append(data, '\n')
	if old, err := readFile(path); err == nil && bytes.Equal(old, data) {
		return nil
	}
	return Replace(path, data, false)
}

// ReadTopology reads hardware-topology.json; nil if there is none.
func (d Dirs) ReadTopology() (*Topology, error) { return read[Topology](d.run(topologyName)) }
