package fsm

import (
	"fmt"
	"slices"
)

// AISlice is the slice of the AI units (section 22.3).
const AISlice = "ai.slice"

// Worker is a process of an AI unit: one in its control group, or one that holds
// a GPU of AI and came from there. The workers of a model server are processes of
// their own, and may outlive it.
type Worker struct {
	PID  int    `json:"pid"`
	UID  int    `json:"uid"`
	Comm string `json:"comm"`
	// Unit is the AI unit; empty for one that is only in the slice of AI.
	Unit string `json:"unit,omitempty"`
	// Outside says, of a process that is not in the control group of its unit, why
	// it counts as a worker: "a child of PID 700 of vllm@compute.service".
	Outside string `json:"outside,omitempty"`
	Node    string `json:"node,omitempty"`  // a device node that it holds; not looked for inside
	Stuck   bool   `json:"stuck,omitempty"` // it sleeps uninterruptibly: state D
}

// String names the worker so that a person can act on it.
func (w Worker) String() string {
	s := fmt.Sprintf("%s (PID %d, uid %d)", w.Comm, w.PID, w.UID)
	if w.Outside == "" {
		s += " in " + w.Unit
	} else {
		s += " holds " + w.Node + ", " + w.Outside
	}
	if w.Stuck {
		s += "; it sleeps uninterruptibly (state D), which a reboot alone ends if it stays"
	}
	return s
}

// left returns the processes in the control group of an AI unit.
func left(unit string, f Facts) []Worker {
	var out []Worker
	for _, w := range f.Workers.Value {
		if w.Unit == unit && w.Outside == "" {
			out = append(out, w)
		}
	}
	return out
}

// Orphans returns the workers that should not be, in mode m: those that are left
// of a unit that is down, and those outside of the control group of a unit that is
// down or not of this mode. Where several AI units share a slice, one that holds a
// GPU there without being any of them is at home in compute alone. It says nothing
// where the workers or units were not looked at.
func Orphans(m Mode, f Facts, p Policy) []Worker {
	if !f.Workers.OK || !f.Units.OK {
		return nil
	}
	var out []Worker
	for _, w := range f.Workers.Value {
		down := f.Units.Value[w.Unit].Gone()
		foreign := !slices.Contains(p.Units.AI[m], w.Unit)
		switch {
		case w.Unit == "":
			if m != Compute {
				out = append(out, w)
			}
		case down, foreign && w.Outside != "":
			out = append(out, w)
		}
	}
	return out
}

// orphaned lists the orphans as deviations.
func orphaned(m Mode, f Facts, p Policy) []Deviation {
	var out []Deviation
	for _, w := range Orphans(m, f, p) {
		evidence := w.String()
		if w.Unit != "" {
			evidence += ", but " + w.Unit + " is " + activeWord(f.Units.Value[w.Unit])
		}
		out = append(out, Deviation{fmt.Sprintf("vllm-foreign:%d", w.PID), evidence})
	}
	return out
}

// needsOfStop asks for what stopped looks at.
func needsOfStop(unit string, p Policy) Query {
	q := Query{About: AboutUnits, Units: []string{unit}}
	if slices.Contains(p.Units.AIUnits(), unit) {
		q.About |= AboutWorkers
	}
	return q
}
