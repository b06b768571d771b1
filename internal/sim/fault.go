package sim

import (
	"errors"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// Fault makes the next operation that matches go wrong.
type Fault struct {
	Op   fsm.Op // the zero Arg matches any, the zero Verb too
	Kind FaultKind
	Left int           // how often; 0 is once, -1 for ever
	For  time.Duration // how late, for Slow and Late; 0: two seconds
}

// FaultKind says how an operation goes wrong.
type FaultKind string

// The faults.
const (
	Fails       FaultKind = "fails"        // reports failure, changes nothing
	Hangs       FaultKind = "hangs"        // never answers until its deadline, changes nothing
	HalfDone    FaultKind = "half-done"    // takes effect in part, reports failure
	Slow        FaultKind = "slow"         // takes effect and reports success, but late
	Late        FaultKind = "late"         // reports success at once, takes effect later
	LiesDone    FaultKind = "lies-done"    // reports success, changes nothing
	LiesFailed  FaultKind = "lies-failed"  // takes effect, reports failure
	DoneHangs   FaultKind = "done-hangs"   // takes effect, never answers until its deadline
	ComesBack   FaultKind = "comes-back"   // an ended session is followed by a new one
	KeepsHolder FaultKind = "keeps-holder" // a process of an ended session keeps the GPU
)

// late is how late an operation is where the fault does not say.
const late = 2 * time.Second

var errFault = errors.New("simulated fault")

// missing is the error of an operation on a unit that does not exist.
type missing string

func (m missing) Error() string  { return "cannot find unit " + string(m) }
func (m missing) NotFound() bool { return true }

// Blur makes looks at a part of the host go wrong.
type Blur struct {
	About fsm.Subject
	Kind  BlurKind
	Left  int // how many looks; 0 is one, -1 for ever

	then fsm.Facts // what a lie tells
}

// BlurKind says how a look goes wrong.
type BlurKind string

// The ways in which a look goes wrong.
const (
	Errs  BlurKind = "errs"  // cannot read, and says so
	Waits BlurKind = "waits" // hangs until its deadline, then says so
	Lies  BlurKind = "lies"  // tells what was so when the blur was put on
)

// Break plans faults.
func (h *Host) Break(f ...Fault) { h.mu.Lock(); h.faults = append(h.faults, f...); h.mu.Unlock() }

// Blur plans looks that go wrong.
func (h *Host) Blur(b Blur) {
	h.mu.Lock()
	b.then = h.truth(fsm.Query{About: fsm.Everything})
	h.blurs = append(h.blurs, b)
	h.mu.Unlock()
}

// Heal ends all faults and blurs that are planned. Nobody is told: a probe that works
// again gives no hint.
func (h *Host) Heal() {
	h.mu.Lock()
	h.faults, h.blurs = nil, nil
	h.mu.Unlock()
}

// fault takes the fault that is planned for an operation.
func (h *Host) fault(op fsm.Op) Fault {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.faults {
		f := h.faults[i]
		if (f.Op.Verb == "" || f.Op.Verb == op.Verb) && (f.Op.Arg == "" || f.Op.Arg == op.Arg) {
			h.faults = used(h.faults, i, &h.faults[i].Left)
			if f.For == 0 {
				f.For = late
			}
			return f
		}
	}
	return Fault{}
}

// blurred takes the blurs of a look, and what they do to each subject of it.
func (h *Host) blurred(about fsm.Subject) []Blur {
	var out []Blur
	for i := 0; i < len(h.blurs); i++ {
		b := h.blurs[i]
		if b.About&about == 0 {
			continue
		}
		out = append(out, b)
		before := len(h.blurs)
		h.blurs = used(h.blurs, i, &h.blurs[i].Left)
		i -= before - len(h.blurs)
	}
	return out
}

// used counts one use of the ith, of which left tells how many there are.
func used[T any](list []T, i int, left *int) []T {
	switch {
	case *left > 1:
		*left--
	case *left >= 0:
		return append(list[:i:i], list[i+1:]...)
	}
	return list
}

// Lying names the subjects of a look that would be lied about now.
func (h *Host) Lying(about fsm.Subject) (lied fsm.Subject) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range h.blurs {
		if b.Kind == Lies {
			lied |= b.About & about
		}
	}
	return lied
}
