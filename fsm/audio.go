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
	// Servers are the PipeWire servers that run, whose graphs tell more.
	Servers []AudioServer `json:"servers,omitempty"`
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

// WithGraphs returns a with what the graphs of its servers tell. They know better
// than the sound card: a server may keep its stream running for nobody, so that
// what the kernel says of a server itself no longer counts.
func (a Audio) WithGraphs(users []AudioUse) Audio {
	out := Audio{Looked: slices.Clone(a.Looked), Servers: a.Servers}
	for _, u := range a.Users {
		if !slices.ContainsFunc(a.Servers, func(s AudioServer) bool { return s.PID == u.PID }) {
			out.Users = append(out.Users, u)
		}
	}
	for _, u := range users {
		i := slices.IndexFunc(out.Users, func(o AudioUse) bool { return o.PID == u.PID && u.PID != 0 })
		if i < 0 {
			out.Users = append(out.Users, u)
		} else {
			out.Users[i].How += ", " + u.How
		}
	}
	var of []string
	for _, s := range a.Servers {
		of = append(of, fmt.Sprint(s.UID))
	}
	slices.Sort(of)
	out.Looked = append(out.Looked, "the PipeWire graph of uid "+strings.Join(slices.Compact(of), ", "))
	return out
}
