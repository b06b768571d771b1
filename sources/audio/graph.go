package audio

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// object is one object of a PipeWire graph as pw-dump prints it, no more of it
// than is asked here. Info is null once the object is gone.
type object struct {
	ID   int    `json:"id"`
	Type string `json:"type"`
	Info *info  `json:"info"`
}

type info struct {
	State  string `json:"state"` // of nodes and links
	Output int    `json:"output-node-id"`
	Input  int    `json:"input-node-id"`
	Props  props  `json:"props"`
}

type props struct {
	App          text `json:"application.name"`
	Binary       text `json:"application.process.binary"`
	PID          text `json:"application.process.id"`
	SecPID       text `json:"pipewire.sec.pid"`
	API          text `json:"client.api"`
	Client       text `json:"client.id"`
	Class        text `json:"media.class"`
	Name         text `json:"node.name"`
	Latency      text `json:"node.latency"`
	ForceQuantum text `json:"node.force-quantum"`
	ForceRate    text `json:"node.force-rate"`
}

// text is a property that some clients write as a number, others as a string.
type text string

// UnmarshalJSON takes strings, numbers and booleans as they are written.
func (t *text) UnmarshalJSON(data []byte) error {
	var s string
	if bytes.HasPrefix(data, []byte(`"`)) {
		if err := json.Unmarshal(data, &s); err != nil {
			return err
		}
	} else if s = string(data); s == "null" {
		s = ""
	}
	*t = text(s)
	return nil
}

func (t text) number() int {
	n, err := strconv.Atoi(string(t))
	if err != nil {
		return 0
	}
	return n
}

// The kinds of objects that are kept.
const (
	kindNode   = "Node"
	kindClient = "Client"
	kindLink   = "Link"
)

// Graph is what is known of the nodes, clients and links of one PipeWire server.
type Graph struct {
	nodes, clients, links map[int]info
}

func newGraph() *Graph {
	return &Graph{nodes: map[int]info{}, clients: map[int]info{}, links: map[int]info{}}
}

// update takes what pw-dump says next: objects that are new, changed or gone.
func (g *Graph) update(objects []object) {
	for _, o := range objects {
		if o.Info == nil {
			delete(g.nodes, o.ID)
			delete(g.clients, o.ID)
			delete(g.links, o.ID)
			continue
		}
		_, kind, _ := strings.Cut(o.Type, "Interface:")
		switch kind {
		case kindNode:
			g.nodes[o.ID] = *o.Info
		case kindClient:
			g.clients[o.ID] = *o.Info
		case kindLink:
			g.links[o.ID] = *o.Info
		}
	}
}

// linked counts the active links of a node.
func (g *Graph) linked(node int) (n int) {
	for _, l := range g.links {
		if l.State == "active" && (l.Output == node || l.Input == node) {
			n++
		}
	}
	return n
}

// fresh tells whether something was played or recorded a moment ago: a session
// manager suspends a sink or source only some seconds after its last use.
func (g *Graph) fresh() bool {
	for _, n := range g.nodes {
		if n.State != "suspended" && !n.stream() {
			return true
		}
	}
	return false
}

// stream tells whether a node is a client's end of sound or video: those have a
// class of their own, but JACK's and other filters have none.
func (n info) stream() bool {
	return strings.HasPrefix(string(n.Props.Class), "Stream/") || n.Props.API == "jack" || n.Props.Class == "" && n.Props.Client != ""
}

// latency is what a node asks for, as frames a second apart: 64/48000; 0 frames
// where it asks for nothing.
func (n info) latency() (frames, rate int) {
	if q := n.Props.ForceQuantum.number(); q > 0 {
		return q, max(n.Props.ForceRate.number(), 1)
	}
	f, r, ok := strings.Cut(string(n.Props.Latency), "/")
	if !ok {
		return 0, 1
	}
	return text(f).number(), max(text(r).number(), 1)
}
