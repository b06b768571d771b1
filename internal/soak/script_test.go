package soak

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/sim"
)

// script is what happens in a trial, fixed by its seed before it begins. As JSON it is
// a scenario, which names all that it draws on, so that it means the same for ever.
type script struct {
	Seed    uint64                     `json:"seed,omitempty"`
	Shows   *shown                     `json:"shows,omitempty"`
	Variant variantID                  `json:"variant"` // of the policy
	Host    sim.Character              `json:"host"`
	Start   startID                    `json:"start"` // where the host is when the first controller starts
	Takes   map[fsm.Verb]time.Duration `json:"takes_ns,omitempty"`
	Early   bool                       `json:"early,omitempty"` // the first phase begins with the first start
	Files   bool                       `json:"files,omitempty"` // its records go to real files
	Phases  []phase                    `json:"phases"`

	explored bool // it is asked where it has come to, and what ways lead on
}

// shown is what a scenario is kept for.
type shown struct {
	Fault     string `json:"fault"`
	Invariant string `json:"invariant"`
	Mend      string `json:"mend"` // the subject of the commit
}

// phase is a wish, what happens while it is followed, and a rest after it.
type phase struct {
	Clear   bool          `json:"clear,omitempty"`  // what would refuse is over, and alice is at her desk
	Healed  bool          `json:"healed,omitempty"` // no fault of before is left, and all is looked at
	Stands  situationID   `json:"stands,omitempty"` // the situation it begins in; 0: as the one before left it
	To      fsm.Mode      `json:"to,omitempty"`     // the mode that is wished for; empty: by pick
	Idle    bool          `json:"idle,omitempty"`   // nobody wishes
	Pick    float64       `json:"pick,omitempty"`   // which mode is wished for, by the one that is observed
	Reason  fsm.Reason    `json:"reason,omitempty"`
	Force   bool          `json:"force,omitempty"`
	Must    bool          `json:"must,omitempty"`  // nothing refuses and nothing goes wrong: it comes to To
	Again   bool          `json:"again,omitempty"` // the same once more, when the host has settled
	Rest    time.Duration `json:"rest_ns,omitempty"`
	Moments []moment      `json:"moments,omitempty"`
}

// moment is something that happens at a point of a phase.
type moment struct {
	At   point  `json:"at"`
	Act  action `json:"act"`
	done bool
}

// point is a place in the run of the engine, counted and not timed.
type point struct {
	Kind string `json:"kind"` // call, step, undo, ahead
	N    int    `json:"n"`    // the nth call; of a plan, the nth step, modulo its length
}

// action is what happens there.
type action struct {
	What  string        `json:"what"`            // fault, blur, event, wish, cancel, crash, stop, reboot, down, disk
	Fault int           `json:"fault,omitempty"` // index into what can go wrong with the operation
	Kind  sim.FaultKind `json:"kind,omitempty"`  // in its place, where it is known
	Blur  sim.BlurKind  `json:"blur,omitempty"`
	About fsm.Subject   `json:"about,omitempty"`
	Event string        `json:"event,omitempty"`
	N     int           `json:"n,omitempty"`
	Pick  float64       `json:"pick,omitempty"`
	After bool          `json:"after,omitempty"` // a crash comes after the call took effect
}

func (m moment) String() string {
	return fmt.Sprintf("%s %d: %s", m.At.Kind, m.At.N, m.Act)
}

func (a action) String() string {
	switch a.What {
	case "blur":
		return fmt.Sprintf("%s of %s for %d looks", a.Blur, fsm.SubjectNames[a.About], a.N+1)
	case "event":
		return "event " + a.Event
	case "crash":
		return map[bool]string{false: "crash before", true: "crash after"}[a.After]
	}
	return a.What
}

// write makes the script of a seed; an odd one is directed.
func write(seed uint64) script {
	r := rand.New(rand.NewPCG(seed, 0x6d6f6465))
	s := script{Seed: seed, Variant: variantID(pickOf(r, variantWeights)), Start: startID(pickOf(r, startWeights)), Takes: map[fsm.Verb]time.Duration{}}
	s.Host, s.Files = character(r), seed%filesOf < 2
	if r.IntN(3) == 0 {
		for _, v := range []fsm.Verb{fsm.Start, fsm.Stop, fsm.Isolate, fsm.EndSession, fsm.MaskNow} {
			s.Takes[v] = time.Duration(r.IntN(3000)) * time.Millisecond
		}
	}
	for range 2 + r.IntN(3) {
		s.Phases = append(s.Phases, newPhase(r))
	}
	if seed%2 == 1 {
		return direct(s, seed/2, r)
	}
	s.focus(r)
	return s
}

// hard are events that hard guards refuse by.
var hard = []string{"audio starts", "a switch begins", "ssh would not survive an isolate", "a site guard refuses"}

// focus turns a third of the trials to what is rare otherwise: steps that a plan has in
// few situations, and what an idle host does by itself.
func (s *script) focus(r *rand.Rand) {
	n := r.IntN(100)
	if n >= 38 {
		return
	}
	for i := range s.Phases {
		p := &s.Phases[i]
		p.Clear = true
		switch {
		case n < 8:
			s.Variant, p.Stands, p.To = 1, targetless, fsm.Compute
		case n < 16:
			s.Variant, p.Stands, p.To = 3, foreignAI, []fsm.Mode{fsm.Desktop, fsm.StudioLocal}[r.IntN(2)]
		case n < 22:
			p.Stands, p.To = quiet, []fsm.Mode{fsm.Desktop, fsm.StudioLocal}[r.IntN(2)]
		case n < 26:
			s.Variant, p.Stands, p.To = 3, deskless, []fsm.Mode{fsm.Desktop, fsm.Compute}[r.IntN(2)]
		case n < 30:
			s.Variant, p.Force, p.Pick = 7, true, 0 // and it is refused by what no force passes over
			bad := moment{At: point{"call", 1}, Act: action{What: "event", Event: hard[r.IntN(len(hard))]}}
			p.Moments = append(p.Moments, bad)
		default:
			s.Variant, p.Idle, p.Stands, p.Rest = byItself, true, []situationID{plainDesk, plainStudio}[r.IntN(2)], 4*time.Minute
		}
	}
}

func character(r *rand.Rand) sim.Character {
	maybe := func(one int, most time.Duration) time.Duration {
		if r.IntN(one) != 0 {
			return 0
		}
		return time.Duration(r.Int64N(int64(most)))
	}
	c := sim.Character{StopsTake: maybe(3, 4*time.Second), Lingers: maybe(3, 4*time.Second), Managed: r.IntN(3) == 0,
		StarterEnds: r.IntN(8) == 0, LoginTakes: maybe(2, 3*time.Second), AIHolds: r.IntN(2) == 0,
		WorkersStay: maybe(4, 4*time.Second), ReadyTakes: maybe(3, 20*time.Second)}
	if r.IntN(3) == 0 {
		c.Autologin = "alice"
	}
	return c
}

func newPhase(r *rand.Rand) phase {
	p := phase{Clear: r.IntN(10) > 0, Pick: r.Float64(), Reason: fsm.ByRequest, Force: r.IntN(3) == 0, Again: r.IntN(12) == 0}
	if r.IntN(2) == 0 {
		p.Clear, p.Stands = true, situationID(1+r.IntN(len(situations)-1))
	}
	if r.IntN(4) == 0 {
		p.Reason = fsm.ByFile
	}
	if r.IntN(5) == 0 {
		p.Rest = time.Duration(r.IntN(240)) * time.Second
	}
	if r.IntN(10) > 0 {
		p.Moments = append(p.Moments, primary(r))
	}
	for r.IntN(3) == 0 {
		p.Moments = append(p.Moments, primary(r))
	}
	if r.IntN(2) == 0 {
		p.Moments = append(p.Moments, moment{At: point{"undo", 1 + r.IntN(60)}, Act: mishap(r)})
	}
	return p
}

// primary is what most often happens: something goes wrong with one step.
func primary(r *rand.Rand) moment {
	at := point{"step", 1 + r.IntN(2520)}
	switch n := r.IntN(100); {
	case n < 74:
		return moment{At: at, Act: mishap(r)}
	case n < 80:
		return moment{At: point{"ahead", at.N}, Act: blur(r)}
	case n < 85:
		return moment{At: point{"call", 1 + r.IntN(30)}, Act: blur(r)}
	case n < 93:
		return moment{At: point{"call", 1 + r.IntN(30)}, Act: action{What: "event", Event: events[r.IntN(len(events))].name}}
	}
	return moment{At: point{"call", 1 + r.IntN(30)}, Act: intrusion(r)}
}

// mishap goes wrong with an operation: a fault of it, or a death beside it.
func mishap(r *rand.Rand) action {
	switch n := r.IntN(100); {
	case n < 58:
		return action{What: "fault", Fault: r.IntN(1 << 20)}
	case n < 72:
		return action{What: "crash", After: r.IntN(2) == 0, N: r.IntN(3)}
	case n < 91:
		return blur(r)
	case n < 98:
		return action{What: "disk", N: 1 + r.IntN(2)}
	}
	return intrusion(r)
}

func blur(r *rand.Rand) action {
	kind := []sim.BlurKind{sim.Errs, sim.Waits, sim.Lies}[r.IntN(3)]
	about := fsm.Subject(1) << r.IntN(17)
	switch r.IntN(4) {
	case 0:
		about = fsm.AboutGPU
	case 1:
		about = []fsm.Subject{fsm.AboutUnits, fsm.AboutSessions, fsm.AboutHost, fsm.AboutAudio}[r.IntN(4)]
	}
	return action{What: "blur", Blur: kind, About: about, N: []int{0, 0, 1, 4, 30}[r.IntN(5)]}
}

// intrusion is somebody who comes between.
func intrusion(r *rand.Rand) action {
	switch n := r.IntN(100); {
	case n < 40:
		return action{What: "wish", Pick: r.Float64(), N: r.IntN(4)}
	case n < 65:
		return action{What: "cancel"}
	case n < 80:
		return action{What: "stop"}
	case n < 90:
		return action{What: "reboot"}
	case n < 95:
		return action{What: "down"}
	}
	return action{What: "finish"}
}

// pickOf draws an index by weights.
func pickOf(r *rand.Rand, weights []int) int {
	sum := 0
	for _, w := range weights {
		sum += w
	}
	n := r.IntN(sum)
	for i, w := range weights {
		if n -= w; n < 0 {
			return i
		}
	}
	return 0
}
