package audio

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// users tells which clients use the graph: whoever plays, records or processes,
// silence included; whoever is connected with a low latency and not suspended;
// and clients that the policy denies, whatever they do. Allowed ones are skipped.
func (g *Graph) users(p fsm.AudioPolicy, uid int) []fsm.AudioUse {
	var out []fsm.AudioUse
	for _, id := range slices.Sorted(maps.Keys(g.clients)) {
		if c := g.clients[id]; named(p.Deny, c) {
			out = append(out, g.use(c, info{}, uid, "is connected to PipeWire, which "+strings.Join(p.Deny, ", ")+" may not be"))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(g.nodes)) {
		n := g.nodes[id]
		c := g.clients[n.Props.Client.number()]
		if !n.stream() || named(p.Allow, n) || named(p.Allow, c) {
			continue
		}
		if how := g.how(id, n, p.LowLatency); how != "" {
			out = append(out, g.use(c, n, uid, how))
		}
	}
	return merged(out)
}

// how says in which way a node is in use, "" if it is not.
func (g *Graph) how(id int, n info, low time.Duration) string {
	frames, rate := n.latency()
	quantum := ""
	if frames > 0 {
		quantum = fmt.Sprintf(" at %d/%d", frames, rate)
	}
	switch {
	case n.State == "running":
		return fmt.Sprintf("%s%s in PipeWire, %s", n.does(), quantum, counted(g.linked(id), "link"))
	case n.State == "idle" && frames > 0 && time.Duration(frames)*time.Second/time.Duration(rate) <= low:
		return "is connected to PipeWire with low latency," + quantum
	}
	return ""
}

// does says what a running node is for.
func (n info) does() string {
	class := string(n.Props.Class)
	switch {
	case n.Props.API == "jack":
		return "is a running JACK client"
	case strings.HasPrefix(class, "Stream/Output/"):
		return "plays"
	case strings.HasPrefix(class, "Stream/Input/"):
		return "records"
	}
	return "processes sound"
}

// use names the client. A client of PulseAudio's protocol is known by its own word
// alone, for the socket's other end is PipeWire's server for that protocol.
func (g *Graph) use(c, n info, uid int, how string) fsm.AudioUse {
	pid := c.Props.SecPID.number()
	if c.Props.API == "pipewire-pulse" || n.Props.API == "pipewire-pulse" || pid == 0 {
		pid = cmp.Or(c.Props.PID.number(), n.Props.PID.number(), pid)
	}
	app := string(cmp.Or(n.Props.App, c.Props.App))
	comm := path.Base(string(cmp.Or(c.Props.Binary, n.Props.Binary)))
	if comm == "." {
		comm = cmp.Or(app, string(n.Props.Name), "unknown")
	}
	if app != "" && app != comm {
		how = fmt.Sprintf("(%s) %s", app, how)
	}
	return fsm.AudioUse{PID: pid, UID: uid, Comm: comm, How: how}
}

// named tells whether a client or node goes by one of names, exactly.
func named(names []string, i info) bool {
	for _, name := range []text{i.Props.App, i.Props.Binary, i.Props.Name} {
		if name != "" && slices.Contains(names, string(name)) {
			return true
		}
	}
	return false
}

// merged has each process and way of use once: one plays several streams.
func merged(all []fsm.AudioUse) []fsm.AudioUse {
	var out []fsm.AudioUse
	for _, u := range all {
		if !slices.Contains(out, u) {
			out = append(out, u)
		}
	}
	return out
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
