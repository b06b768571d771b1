package soak

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/sim"
)

// script is what happens in a trial, fixed by its seed before it begins.
type script struct {
	seed    uint64
	variant int // of the policy
	host    sim.Character
	start   int // where the host is when the first controller starts
	takes   map[fsm.Verb]time.Duration
	phases  []phase
}

// phase is a wish, what happens while it is followed, and a rest after it.
type phase struct {
	clear   bool     // what would refuse is over, and alice is at her desk
	stands  int      // the situation it begins in; 0: as the one before left it
	to      fsm.Mode // the mode that is wished for; empty: by pick
	idle    bool     // nobody wishes
	pick    float64  // which mode is wished for, by the one that is observed
	reason  fsm.Reason
	force   bool
	again   bool // the same once more, when the host has settled
	rest    time.Duration
	moments []moment
}

// moment is something that happens at a point of a phase.
type moment struct {
	at   point
	act  action
	done bool
}

// point is a place in the run of the engine, counted and not timed.
type point struct {
	kind string // call, step, undo, ahead
	n    int    // the nth call; of a plan, the nth step, modulo its length
}

// action is what happens there.
type action struct {
	what  string // fault, blur, event, wish, cancel, crash, stop, reboot, down, disk
	fault int    // index into what can go wrong with the operation
	blur  sim.BlurKind
	about fsm.Subject
	n     int
	pick  float64
	after bool // a crash comes after the call took effect
}

func (m moment) String() string {
	return fmt.Sprintf("%s %d: %s", m.at.kind, m.at.n, m.act)
}

func (a action) String() string {
	switch a.what {
	case "blur":
		return fmt.Sprintf("%s of %s for %d looks", a.blur, fsm.SubjectNames[a.about], a.n+1)
	case "event":
		return "event " + events[a.n%len(events)].name
	case "crash":
		return map[bool]string{false: "crash before", true: "crash after"}[a.after]
	}
	return a.what
}

// write makes the script of a seed.
func write(seed uint64) script {
	r := rand.New(rand.NewPCG(seed, 0x6d6f6465))
	s := script{seed: seed, variant: pickOf(r, variantWeights), start: pickOf(r, startWeights), takes: map[fsm.Verb]time.Duration{}}
	s.host = character(r)
	if r.IntN(3) == 0 {
		for _, v := range []fsm.Verb{fsm.Start, fsm.Stop, fsm.Isolate, fsm.EndSession, fsm.MaskNow} {
			s.takes[v] = time.Duration(r.IntN(3000)) * time.Millisecond
		}
	}
	for range 2 + r.IntN(3) {
		s.phases = append(s.phases, newPhase(r))
	}
	s.focus(r)
	return s
}

// hard are events that hard guards refuse by.
var hard = []int{0, 23, 28, 31}

// focus turns a third of the trials to what is rare otherwise: steps that a plan has in
// few situations, and what an idle host does by itself.
func (s *script) focus(r *rand.Rand) {
	n := r.IntN(100)
	if n >= 38 {
		return
	}
	for i := range s.phases {
		p := &s.phases[i]
		p.clear = true
		switch {
		case n < 8:
			s.variant, p.stands, p.to = 1, targetless, fsm.Compute
		case n < 16:
			s.variant, p.stands, p.to = 3, foreignAI, []fsm.Mode{fsm.Desktop, fsm.StudioLocal}[r.IntN(2)]
		case n < 22:
			p.stands, p.to = quiet, []fsm.Mode{fsm.Desktop, fsm.StudioLocal}[r.IntN(2)]
		case n < 26:
			s.variant, p.stands, p.to = 3, deskless, []fsm.Mode{fsm.Desktop, fsm.Compute}[r.IntN(2)]
		case n < 30:
			s.variant, p.force, p.pick = 7, true, 0 // and it is refused by what no force passes over
			bad := moment{at: point{"call", 1}, act: action{what: "event", n: hard[r.IntN(len(hard))]}}
			p.moments = append(p.moments, bad)
		default:
			s.variant, p.idle, p.stands, p.rest = 6, true, []int{plainDesk, plainStudio}[r.IntN(2)], 4*time.Minute
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
	p := phase{clear: r.IntN(10) > 0, pick: r.Float64(), reason: fsm.ByRequest, force: r.IntN(3) == 0, again: r.IntN(12) == 0}
	if r.IntN(2) == 0 {
		p.clear, p.stands = true, 1+r.IntN(len(situations)-1)
	}
	if r.IntN(4) == 0 {
		p.reason = fsm.ByFile
	}
	if r.IntN(5) == 0 {
		p.rest = time.Duration(r.IntN(240)) * time.Second
	}
	if r.IntN(10) > 0 {
		p.moments = append(p.moments, primary(r))
	}
	for r.IntN(3) == 0 {
		p.moments = append(p.moments, primary(r))
	}
	if r.IntN(2) == 0 {
		p.moments = append(p.moments, moment{at: point{"undo", 1 + r.IntN(60)}, act: mishap(r)})
	}
	return p
}

// primary is what most often happens: something goes wrong with one step.
func primary(r *rand.Rand) moment {
	at := point{"step", 1 + r.IntN(2520)}
	switch n := r.IntN(100); {
	case n < 74:
		return moment{at: at, act: mishap(r)}
	case n < 80:
		return moment{at: point{"ahead", at.n}, act: blur(r)}
	case n < 85:
		return moment{at: point{"call", 1 + r.IntN(30)}, act: blur(r)}
	case n < 93:
		return moment{at: point{"call", 1 + r.IntN(30)}, act: action{what: "event", n: r.IntN(len(events))}}
	}
	return moment{at: point{"call", 1 + r.IntN(30)}, act: intrusion(r)}
}

// mishap goes wrong with an operation: a fault of it, or a death beside it.
func mishap(r *rand.Rand) action {
	switch n := r.IntN(100); {
	case n < 58:
		return action{what: "fault", fault: r.IntN(1 << 20)}
	case n < 72:
		return action{what: "crash", after: r.IntN(2) == 0, n: r.IntN(3)}
	case n < 91:
		return blur(r)
	case n < 98:
		return action{what: "disk", n: 1 + r.IntN(2)}
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
	return action{what: "blur", blur: kind, about: about, n: []int{0, 0, 1, 4, 30}[r.IntN(5)]}
}

// intrusion is somebody who comes between.
func intrusion(r *rand.Rand) action {
	switch n := r.IntN(100); {
	case n < 40:
		return action{what: "wish", pick: r.Float64(), n: r.IntN(4)}
	case n < 65:
		return action{what: "cancel"}
	case n < 80:
		return action{what: "stop"}
	case n < 90:
		return action{what: "reboot"}
	case n < 95:
		return action{what: "down"}
	}
	return action{what: "finish"}
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
