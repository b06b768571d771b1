package soak

import (
	"errors"
	"os"
	"testing/synctest"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// run is a whole trial; it must be called in a bubble of testing/synctest.
func (w *world) run() {
	if w.script.Early {
		w.phase = &w.script.Phases[0]
	}
	w.begin(nil)
	w.settle()
	for i := range w.script.Phases {
		w.play(&w.script.Phases[i])
	}
	w.finale()
}

// play follows one wish through.
func (w *world) play(p *phase) {
	if p.Healed {
		w.host.Heal()
		w.looked()
	}
	if p.Clear {
		w.host.Heal()
		w.clear()
	}
	if p.Stands > 0 {
		w.stand(situations[p.Stands])
		w.settle() // a trigger may act on it
	}
	w.mu.Lock()
	w.phase, w.calls, w.undos, w.tainted = p, 0, 0, !p.Clear
	w.mu.Unlock()
	mode := wishFor(trueMode(w.truth(), w.policy), p.Pick)
	if p.Stands > 0 {
		mode = fsm.Modes[int(p.Pick*1000)%3]
	}
	if p.To != "" {
		mode = p.To
	}
	if !p.Idle {
		w.submit(mode, p.Reason, p.Force)
	}
	w.settle()
	if p.Again {
		w.sameAgain()
	}
	if p.Rest > 0 {
		time.Sleep(p.Rest)
		w.settle()
	}
	if p.Must {
		w.noTrap(p.To)
	}
}

// noTrap: from every host at rest, with nothing that refuses and nothing that goes
// wrong, each mode is come to by a wish for it: "A transition must either complete to a
// stable target state" (section 6.1).
func (w *world) noTrap(to fsm.Mode) {
	f := w.truth()
	m, s := trueMode(f, w.policy), w.life.eng.Snapshot()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hold("noTrap")
	if why := lacking(to, f, w.policy); m != to || s.State != fsm.Resting(to) || why != "" {
		w.fail("noTrap", "%s was wished for, and the host came to rest in %s, shown as %s: %s", to, m, s.State, why)
	}
}

// settle waits until no attempt runs, and looks after the controller meanwhile.
func (w *world) settle() {
	wait, until := 20*time.Millisecond, time.Now().Add(time.Hour)
	for {
		synctest.Wait()
		w.mu.Lock()
		w.disk.flush(len(w.disk.posted), false)
		l, what, dead := w.life, w.wakes, w.life.dead
		w.mu.Unlock()
		if dead || what != "" {
			w.replace(l, what)
			continue
		}
		s := l.eng.Snapshot()
		if s.Attempt == nil && s.State != fsm.Boot && s.State != fsm.Transitioning {
			return
		}
		if time.Now().After(until) {
			w.mu.Lock()
			w.fail("withinBound", "nothing settled within an hour: %s, %+v", s.State, s.Attempt)
			w.mu.Unlock()
			return
		}
		select {
		case <-w.news:
		case <-time.After(wait):
			wait = min(2*wait, 20*time.Second)
		}
	}
}

// replace puts a new controller in the place of one that has died, or is told to end.
func (w *world) replace(l *life, what string) {
	switch what {
	case "finish":
		l.eng.Finish()
		<-l.over
		w.mu.Lock()
		dead := l.dead
		w.mu.Unlock()
		if !dead {
			w.inherit(l)
			return
		}
	case "stop":
		l.stop()
		<-l.over
		w.ended(l)
	case "down":
		w.mu.Lock()
		w.going = true
		w.mu.Unlock()
		l.eng.GoingDown()
		time.Sleep(300 * time.Millisecond)
		l.stop()
		<-l.over
		w.ended(l)
		w.reboot()
	case "reboot":
		w.reboot()
	}
	w.begin(nil)
}

// inherit is a reload: the next controller takes what came too late for this one.
func (w *world) inherit(l *life) {
	w.mu.Lock()
	l.dead = true
	w.disk.flush(len(w.disk.posted), false)
	w.mu.Unlock()
	w.closed(l.files)
	w.begin(l.eng)
}

// ended takes what a controller that was told to end leaves.
func (w *world) ended(l *life) {
	w.mu.Lock()
	dead := l.dead
	w.mu.Unlock()
	if !dead {
		l.eng.Dismiss()
		w.closed(l.files)
	}
	w.mu.Lock()
	l.dead = true
	w.disk.flush(len(w.disk.posted), false)
	w.leavesWhatIsOwed(l)
	w.mu.Unlock()
}

func (w *world) reboot() {
	w.host.Reboot(3 * time.Second)
	w.mu.Lock()
	w.boot++
	w.going = false
	w.disk.wish, w.disk.last, w.disk.state = nil, nil, fsm.Boot
	if w.root != "" {
		must(errors.Join(os.RemoveAll(w.dirs.Run), os.Mkdir(w.dirs.Run, 0o755)))
	}
	w.tell("the host boots")
	w.mu.Unlock()
}

// sameAgain: "Mode transitions must be idempotent. Re-running a transition toward an
// already-satisfied state must not cause harm" (section 6.1): it is a noop, and does
// nothing.
func (w *world) sameAgain() {
	w.host.Heal()
	w.mu.Lock()
	w.phase = nil
	w.mu.Unlock()
	time.Sleep(30 * time.Second) // what comes late has come
	w.settle()
	f := w.truth()
	m := trueMode(f, w.policy)
	w.mu.Lock()
	l, effects := w.life, w.told.effects
	s := l.snap
	settled := lacking(m, f, w.policy) == "" && s.State == fsm.Resting(m) && !w.policy.Gate.Background && !w.held(f)
	w.mu.Unlock()
	if !settled {
		return
	}
	w.submit(m, fsm.ByRequest, false)
	w.settle()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hold("idempotent")
	last := w.disk.history[len(w.disk.history)-1]
	if w.life == l && (last.Outcome != fsm.Noop || w.told.effects != effects) {
		w.fail("idempotent", "%s again, in %s: ended %s by %v", m, s.State, last.Outcome, last.Steps)
	}
}

// held tells of what a repair would do beside what lacks: a login that is held back,
// and what keeps a desktop from being reached though it is one.
func (w *world) held(f fsm.Facts) bool {
	up := func(name string) bool { return f.Units.Value[name].Is(true) }
	for _, m := range fsm.Modes {
		for _, unit := range w.policy.Units.AI[m] {
			if !up(unit) && m == trueMode(f, w.policy) {
				return true
			}
		}
	}
	u := f.Units.Value[starter]
	return u.Load == "masked" && trueMode(f, w.policy) != fsm.Compute || foreigners(f, w.policy)
}

func foreigners(f fsm.Facts, p fsm.Policy) bool {
	for _, h := range f.GPU.Value.Holders {
		if h.PID == 900 || h.PID == 700 && !f.Units.Value[h.Unit].Is(true) {
			return true
		}
	}
	return len(f.Workers.Value) > 0 && !f.Units.Value[f.Workers.Value[0].Unit].Is(true)
}

// finale lets everything come to rest, and checks what must be so then.
func (w *world) finale() {
	w.host.Heal()
	w.mu.Lock()
	w.phase = nil
	w.mu.Unlock()
	time.Sleep(2 * time.Minute)
	w.settle()
	w.mu.Lock()
	l := w.life
	w.failureEnds(l)
	w.mu.Unlock()
	w.looked()
	w.mu.Lock()
	w.comesToRest(l)
	w.historyComplete()
	if w.script.explored {
		w.settled()
	}
	w.mu.Unlock()
	l.stop()
	<-l.over
	w.mu.Lock()
	l.dead = true
	w.mu.Unlock()
	w.closed(l.files)
	if w.lives > 1 {
		time.Sleep(30 * time.Minute) // for what is left of the dead
	}
}

// looked has the controller look at everything: a lie that ends tells nobody, and
// nothing polls at rest (D20).
func (w *world) looked() {
	w.host.Hint(fsm.Everything)
	time.Sleep(2 * time.Second)
	w.settle()
}

// failureEnds: "failed-transition until a clean observation" (D6), which nobody needs
// to hint at: "a slow re-look runs only while something is amiss" (D20).
func (w *world) failureEnds(l *life) {
	w.hold("failureEnds")
	s, f := l.eng.Snapshot(), w.truth()
	m := trueMode(f, w.policy)
	if s.Attempt == nil && s.State == fsm.FailedTransition && lacking(m, f, w.policy) == "" && !foreigners(f, w.policy) && !strangers(f, w.policy, m) {
		w.fail("failureEnds", "the failure has not ended, though the host is in %s: %v", m, s.Observation.Degraded)
	}
}

// comesToRest: with all well again the host is shown as it is, nothing is left for a
// next start, and nobody listens to a host at rest (D20).
func (w *world) comesToRest(l *life) {
	w.hold("comesToRest")
	s, f := l.eng.Snapshot(), w.truth()
	m := trueMode(f, w.policy)
	switch {
	case s.Attempt != nil:
	case s.Observation.Mode != m:
		w.fail("comesToRest", "%s is shown, the host is in %s", s.Observation.Mode, m)
	case l.attended:
		w.fail("comesToRest", "the host is attended to at rest")
	case w.disk.intent != nil:
		w.fail("comesToRest", "the record of %s is left", w.disk.intent.ID)
	}
}

// strangers tells of AI units of compute that hold the GPU in another mode.
func strangers(f fsm.Facts, p fsm.Policy, m fsm.Mode) bool {
	for _, h := range f.GPU.Value.Holders {
		if h.PID == 700 && m != fsm.Compute {
			return true
		}
	}
	return false
}

// historyComplete: "history loses no finished attempt", and tells each once: all that
// was written ahead has one outcome on record, and every wish that was admitted by a
// controller that lived has one answer (D6).
func (w *world) historyComplete() {
	w.hold("historyComplete")
	seen := map[string]int{}
	for _, a := range w.disk.history {
		seen[a.ID]++
	}
	for id := range w.intents {
		if seen[id] != 1 && !(w.disk.intent != nil && w.disk.intent.ID == id) {
			w.fail("historyComplete", "%s is %d times in the history", id, seen[id])
		}
	}
	for _, m := range w.wishes {
		if m.admitted && !m.lost && m.answers != 1 {
			w.fail("historyComplete", "wish %s was answered %d times", m.wish.ID, m.answers)
		}
	}
}
