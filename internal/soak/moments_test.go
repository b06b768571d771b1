package soak

import (
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/sim"
)

// What happens at the calls of the engine, by the script.

// due takes the moments of the phase for which at holds; the caller holds the lock.
func (w *world) due(at func(point) bool) []*action {
	if w.phase == nil {
		return nil
	}
	var out []*action
	for i := range w.phase.Moments {
		if m := &w.phase.Moments[i]; !m.done && at(m.At) {
			m.done = true
			w.tell("moment: %v", *m)
			out = append(out, &m.Act)
		}
	}
	return out
}

// call counts a call and lets happen what is to happen before it; a death that comes
// after it is returned.
func (l *life) call(what string) *action {
	l.mu.Lock()
	l.calls++
	n := l.calls
	list := l.due(func(p point) bool { return p.Kind == "call" && p.N == n })
	l.mu.Unlock()
	return l.happen(list, what)
}

// callAt is call for the nth step of so many.
func (l *life) callAt(kind string, n, of int) *action {
	l.mu.Lock()
	list := l.due(func(p point) bool { return p.Kind == kind && 1+(p.N-1)%max(of, 1) == n })
	l.mu.Unlock()
	return l.happen(list, kind)
}

// before does so for an operation: what is to go wrong with it, and whether the
// controller dies after it.
func (l *life) before(op fsm.Op) (sim.FaultKind, *action) {
	after := l.call("do")
	l.mu.Lock()
	var list []*action
	if i := l.disk.intent; i != nil && (i.Undoing || l.walkingBack()) {
		l.undos++
		n, of := l.undos, len(i.Plan.Undo(i.Step))
		list = l.due(func(p point) bool { return p.Kind == "undo" && 1+(p.N-1)%max(of, 1) == n })
	} else if i != nil {
		n := position(i.Plan, op)
		list = l.due(func(p point) bool { return p.Kind == "step" && 1+(p.N-1)%len(i.Plan.Steps) == n })
	}
	var kind sim.FaultKind
	for _, a := range list {
		if a.What == "fault" {
			kind = a.fault(op)
			l.count(op, string(kind))
			l.taint(kind != sim.Fails)
			l.lated = l.lated || kind == sim.Late
			l.tell("fault: %s of %s", kind, op)
		}
	}
	l.mu.Unlock()
	if kind == stays {
		l.stays(op)
		kind = ""
	}
	if again := l.happenAt(list, op); again != nil {
		after = again
	}
	return kind, after
}

func position(p fsm.Plan, op fsm.Op) int {
	for i, s := range p.Steps {
		if s.Op == op {
			return i + 1
		}
	}
	return 0
}

func (l *life) walkingBack() bool { return l.cur != nil && l.cur.plan.Kind == fsm.WalkBack }

func (l *life) taint(yes bool) { l.tainted = l.tainted || yes }

func (l *life) happenAt(list []*action, op fsm.Op) *action {
	l.mu.Lock()
	for _, a := range list {
		switch a.What {
		case "crash", "blur", "disk":
			l.count(op, word(*a))
		}
	}
	l.mu.Unlock()
	return l.happen(list, "do")
}

// word names what goes wrong, for the figures.
func word(a action) string {
	switch {
	case a.What == "crash" && a.After:
		return "crash-after"
	case a.What == "crash":
		return "crash-before"
	case a.What == "blur":
		return "probe-" + string(a.Blur)
	}
	return a.What
}

// happen lets actions happen; a death that comes after the call is returned.
func (l *life) happen(list []*action, what string) (after *action) {
	for _, a := range list {
		switch a.What {
		case "fault":
			continue
		case "crash":
			l.note(*a)
			if a.After {
				after = a
				continue
			}
			l.die(a.N)
		case "wish":
			l.wish(*a)
		case "cancel":
			l.mu.Lock()
			l.taint(true)
			l.tell("cancel")
			l.mu.Unlock()
			l.eng.Cancel(fsm.Caller{UID: 1000})
		case "event":
			l.change(a.Event)
			l.note(*a)
		case "blur":
			l.note(*a)
			l.misleads(*a)
			l.host.Blur(sim.Blur{About: a.About, Kind: a.Blur, Left: a.N})
		case "disk":
			l.note(*a)
			l.mu.Lock()
			l.diskFull = a.N
			l.mu.Unlock()
		default: // stop, reboot, down, finish: by whoever runs the trial
			l.note(*a)
			l.mu.Lock()
			l.wakes = a.What
			l.mu.Unlock()
			l.poke()
			if a.What == "reboot" {
				l.die(a.N)
			}
			time.Sleep(time.Millisecond)
			l.live()
		}
	}
	return after
}

func (l *life) misleads(a action) {
	l.mu.Lock()
	l.misled = l.misled || a.Blur == sim.Lies
	l.mu.Unlock()
}

// note counts what was injected.
func (l *life) note(a action) {
	l.mu.Lock()
	l.taint(true)
	l.figs.kinds[word(a)]++
	l.mu.Unlock()
}

func (l *life) wish(a action) {
	l.mu.Lock()
	l.taint(true)
	l.mu.Unlock()
	at := trueMode(l.truth(), l.policy)
	reason := []fsm.Reason{fsm.ByRequest, fsm.ByFile, fsm.ByRequest, fsm.ByRequest}[a.N%4]
	l.submit(wishFor(at, a.Pick), reason, false)
}

// stays is the fault of what only waits: what is waited for does not come.
const stays sim.FaultKind = "stays"

// fault is what goes wrong with an operation by an action. It is kept in it by name, as
// a scenario has it.
func (a *action) fault(op fsm.Op) sim.FaultKind {
	if kinds := kindsOf(op); a.Kind == "" {
		a.Kind = kinds[a.Fault%len(kinds)]
	}
	return a.Kind
}

// kindsOf are the ways in which an operation goes wrong.
func kindsOf(op fsm.Op) []sim.FaultKind {
	kinds := []sim.FaultKind{sim.Fails, sim.Hangs, sim.HalfDone, sim.Slow, sim.Late, sim.LiesDone, sim.LiesFailed, sim.DoneHangs}
	switch {
	case op.Waits():
		kinds = []sim.FaultKind{sim.Fails, sim.Hangs, stays}
	case op.Verb == fsm.EndSession:
		kinds = append(kinds, sim.ComesBack, sim.KeepsHolder)
	}
	return kinds
}

func (l *life) stays(op fsm.Op) {
	switch op.Verb {
	case fsm.Drain:
		requests(2)(l.world)
	case fsm.AwaitRelease:
		l.holders(true)
	case fsm.AwaitReady:
		facts(func(f *fsm.Facts) {
			list := append([]fsm.Inference{}, f.Inference.Value...)
			for i := range list {
				list[i].Ready = false
			}
			f.Inference.Value = list
		})(l.world)
	case fsm.Countdown:
		l.host.Touch()
	}
}
