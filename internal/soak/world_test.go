package soak

import (
	"fmt"
	"sync"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/sim"
	"github.com/modewatch/modewatch/sinks/runfiles"
)

// world is one trial: a host, what is on its disk, and the controllers that live on
// it one after the other.
type world struct {
	script script
	policy fsm.Policy
	host   *sim.Host
	figs   *figures
	news   chan struct{} // somebody has to look after the controller

	mu    sync.Mutex // guards what follows
	disk  disk
	life  *life
	lives int
	ids   int
	boot  int
	going bool // the host goes down
	calls int  // in this phase
	undos int  // operations that take back, in this phase
	phase *phase
	told  told
	wakes string // what to do with the controller next: "", crash, stop, reboot, finish
	story []line
	bad   []violation
	rest  atLast

	root   string // of the real files, if there are any
	dirs   runfiles.Dirs
	copies int

	wishes  []made // in the order in which they were submitted
	tainted bool   // more than plain failures were injected in this phase
	lated   bool   // an operation takes effect after its answer
	misled  bool   // a probe has lied: what is planned by it may come later
	intents map[string]bool
}

// made is a wish that was submitted.
type made struct {
	wish     fsm.Wish
	life     int
	admitted bool
	lost     bool // its controller died before it was answered
	answers  int
}

// line is one line of the story of a trial, put into words only when it is told.
type line struct {
	at   time.Time
	life int
	what string
	args []any
}

func (w *world) tell(what string, args ...any) {
	w.story = append(w.story, line{time.Now(), w.lives, what, args})
}

// violation is an invariant that did not hold.
type violation struct{ name, text string }

// hold counts that an invariant was held against what is so.
func (w *world) hold(name string) { w.figs.held[name]++ }

func (w *world) fail(name, format string, args ...any) {
	v := violation{name, fmt.Sprintf(format, args...)}
	w.bad = append(w.bad, v)
	w.tell("VIOLATION of %s: %s", v.name, v.text)
}

// newWorld is a trial before its first controller starts.
func newWorld(s script, figs *figures) *world {
	w := &world{script: s, policy: variants[s.Variant], figs: figs, news: make(chan struct{}, 1), boot: 1, intents: map[string]bool{}}
	w.host = sim.New(w.policy)
	w.host.Character = s.Host
	w.host.Hint = w.hint
	for v, d := range s.Takes {
		w.host.Takes(v, d)
	}
	w.disk.boot, w.disk.state = w.bootID(), fsm.AtDesktop
	starts[s.Start].set(w)
	if w.disk.state != fsm.Boot {
		w.disk.wish = &fsm.Wish{ID: "w-0", Mode: trueMode(w.truth(), w.policy), Reason: fsm.ByBoot, By: fsm.NoCaller}
	}
	w.tell("policy: %s, start: %s, host %+v, takes %v", s.Variant.name(), s.Start.name(), s.Host, s.Takes)
	return w
}

// hint hands a hint of the host to the controller that lives.
func (w *world) hint(about fsm.Subject) {
	w.mu.Lock()
	l := w.life
	w.mu.Unlock()
	if l != nil {
		l.eng.Hint(about)
	}
}

func (w *world) bootID() string { return fmt.Sprintf("boot-%d", w.boot) }

func (w *world) truth() fsm.Facts { return w.host.Truth(fsm.Query{About: fsm.Everything}) }

func (w *world) newID() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids++
	return fmt.Sprintf("id-%d", w.ids)
}

// poke wakes who runs the trial.
func (w *world) poke() {
	select {
	case w.news <- struct{}{}:
	default:
	}
}

// wishFor picks a mode by the one that is observed.
func wishFor(at fsm.Mode, pick float64) fsm.Mode {
	var order []fsm.Mode // the first most often, the last rarely
	switch at {
	case fsm.Compute:
		order = []fsm.Mode{fsm.Desktop, fsm.StudioLocal, fsm.Compute}
	case fsm.StudioLocal:
		order = []fsm.Mode{fsm.Compute, fsm.Desktop, fsm.StudioLocal}
	default:
		order = []fsm.Mode{fsm.Compute, fsm.StudioLocal, fsm.Desktop}
	}
	switch {
	case pick < 0.68:
		return order[0]
	case pick < 0.93:
		return order[1]
	}
	return order[2]
}

// submit makes a wish as the door of D4 does: on disk first, then to the engine.
// The caller holds no lock.
func (w *world) submit(mode fsm.Mode, reason fsm.Reason, force bool) {
	w.mu.Lock()
	l := w.life
	if l == nil || l.dead {
		w.mu.Unlock()
		return
	}
	m := made{wish: fsm.Wish{ID: fmt.Sprintf("w-%d", len(w.wishes)+1), Mode: mode, Reason: reason, By: fsm.Caller{UID: 1000}, At: time.Now(), Force: force},
		life: w.lives}
	m.admitted, _ = w.policy.Gate.Admit(reason)
	if m.admitted {
		w.disk.wish = &m.wish
	}
	w.wishes = append(w.wishes, m)
	l.quiet = false
	w.tell("wish %s for %s by %s", m.wish.ID, mode, reason)
	w.mu.Unlock()
	l.eng.Submit(m.wish)
	l.answersSoon(m)
}

// change lets an event of the world happen; the caller holds no lock.
func (w *world) change(name string) {
	e := eventOf(name)
	w.mu.Lock()
	if w.life != nil {
		w.life.quiet = false
	}
	w.tell("event: %s", e.name)
	w.mu.Unlock()
	e.do(w)
}
