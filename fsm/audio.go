package fsm

import (
	"fmt"
	"slices"
	"strings"
)

// Audio is what is known of low-latency audio in use.
type Audio struct {
	Users  []AudioUse `json:"users"`  // empty: nobody
	Looked []string   `json:"looked"` // what was looked at, told in the verdict
}

// AudioGraphs is what the graphs of the PipeWire servers that run tell.
type AudioGraphs struct {
	Servers []AudioServer
	Users   []AudioUse
}

// AudioUse is one process that uses audio.
type AudioUse struct {
	PID  int    `json:"pid"`
	UID  int    `json:"uid"`
	Comm string `json:"comm"`
	How  string `json:"how"` // "configured process", "holds /dev/snd/pcmC0D0p", "plays in PipeWire, 2 links"
}

// AudioServer is one PipeWire server: its process, its user and the directory of
// its socket.
type AudioServer struct {
	PID int    `json:"pid"`
	UID int    `json:"uid"`
	Dir string `json:"dir"`
}

// WithGraphs returns a with what the graphs tell. They know better than the sound
// card: a server may keep its stream running for nobody, so that what the kernel
// says of a server itself no longer counts.
func (a Audio) WithGraphs(g AudioGraphs) Audio {
	if len(g.Servers) == 0 {
		a.Looked = append(slices.Clone(a.Looked), "no PipeWire runs")
		return a
	}
	out := Audio{Looked: slices.Clone(a.Looked)}
	for _, u := range a.Users {
		if !slices.ContainsFunc(g.Servers, func(s AudioServer) bool { return s.PID == u.PID }) {
			out.Users = append(out.Users, u)
		}
	}
	for _, u := range g.Users {
		i := slices.IndexFunc(out.Users, func(o AudioUse) bool { return o.PID == u.PID && u.PID != 0 })
		if i < 0 {
			out.Users = append(out.Users, u)
		} else {
			out.Users[i].How += ", " + u.How
		}
	}
	var of []string
	for _, s := range g.Servers {
		of = append(of, fmt.Sprint(s.UID))
	}
	slices.Sort(of)
	out.Looked = append(out.Looked, "the PipeWire graph of uid "+strings.Join(slices.Compact(of), ", "))
	return out
}
