package soak

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/engine"
	"github.com/modewatch/modewatch/internal/sim"
)

// life is one run of the controller: the engine, and what stands between it and the
// host and disk. Once dead nothing of it reaches either any more.
type life struct {
	*world
	n      int
	eng    *engine.Engine
	stop   context.CancelFunc
	over   chan struct{}
	*files // nil: the disk in memory alone

	// Guarded by the world's lock.
	dead     bool
	quiet    bool // it found a settled host, and nobody wished or changed anything since
	attended bool
	diskFull int    // intents that cannot be written
	passed   string // the attempt counted last as past the point of no return
	failed   string // the attempt of which a step forward failed
	cur      *running
	owed     *fsm.Intent         // what it found half way, until it has begun or come to rest
	owedWish fsm.Mode            // what was wished then
	stoodID  string              // the attempt before whose first step
	stood    map[string]fsm.Unit // the units were so
	snap     fsm.Snapshot
}

// begin starts a controller on what is on disk.
func (w *world) begin(before *engine.Engine) {
	w.mu.Lock()
	w.lives++
	w.wakes = ""
	d := &w.disk
	l := &life{world: w, n: w.lives, over: make(chan struct{}), files: w.open()}
	w.told = told{}
	first := d.boot != w.bootID() || d.state == fsm.Boot
	l.quiet = !first && d.intent == nil && before == nil && !w.policy.Gate.Background
	opt := engine.Options{Policy: w.policy, Host: l, Recorder: l, Boot: w.bootID(), PID: l.n, NewID: w.newID,
		Wish: d.wish, Intent: d.intent, Last: d.last, Past: l.past, First: first, BootWish: l.bootWish, Keep: l.keep,
		Going: func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.going }}
	w.tell("controller %d starts: first %v, wish %s, intent %s", l.n, first, nameOf(d.wish), intentName(d.intent))
	if d.intent != nil && l.unended(d.intent) {
		l.owed = d.intent
		if d.wish != nil {
			l.owedWish = d.wish.Mode
		}
	}
	l.eng = engine.New(opt)
	w.life = l
	ctx, stop := context.WithCancel(context.WithValue(context.Background(), atRest{}, true))
	l.stop = stop
	w.mu.Unlock()
	go func() { defer close(l.over); _ = l.eng.Run(ctx) }()
	if before != nil {
		l.eng.Inherit(before)
	}
}

// atRest marks the context of the loop's own looks: those of an attempt do not come
// from it.
type atRest struct{}

// live ends the goroutine of whoever is dead; it must be called without the lock.
func (l *life) live() {
	l.mu.Lock()
	dead := l.dead
	l.mu.Unlock()
	if dead {
		runtime.Goexit()
	}
}

// die is kill -9: nothing that this controller does from now on has an effect. What
// its writer had not taken is lost but for the first of it.
func (l *life) die(kept int) {
	if l.files != nil && kept > 0 {
		_ = l.rec.Flush(context.Background()) // or what was told may still be under way
	}
	l.mu.Lock()
	if !l.dead {
		l.dead = true
		l.leaveFiles(kept)
		l.lose()
		l.tell("controller %d dies", l.n)
	}
	l.mu.Unlock()
	go l.eng.Cancel(fsm.NoCaller) // so that its loop finds out
	l.poke()
	runtime.Goexit()
}

// leaveFiles is what a death leaves on disk. The caller holds the lock.
func (l *life) leaveFiles(kept int) {
	if l.files != nil {
		l.killed(l.files)
		return
	}
	l.disk.flush(kept, true)
}

// lose marks the wishes that no record on disk answers: their callers see that the
// controller died, and a next start may tell of them again.
func (w *world) lose() {
	for i := range w.wishes {
		m := &w.wishes[i]
		m.lost = m.lost || !slices.ContainsFunc(w.disk.history, func(a fsm.Attempt) bool { return a.Serves(m.wish.ID) })
	}
}

// Do does an operation on the host, after what is to happen there, and checks what
// must hold before it.
func (l *life) Do(ctx context.Context, op fsm.Op) error {
	l.live()
	kind, after := l.before(op)
	if !op.Waits() {
		l.mu.Lock()
		l.beforeEffect(op)
		l.told.effects++
		l.mu.Unlock()
	}
	if kind != "" {
		l.host.Break(sim.Fault{Op: op, Kind: kind})
	}
	err := l.host.Do(ctx, op)
	l.live()
	l.mu.Lock()
	l.tell("did %s: %v", op, err)
	if err != nil && !missing(err) && !op.Waits() && l.disk.intent != nil && !l.disk.intent.Undoing {
		l.failed = l.disk.intent.ID
	}
	l.mu.Unlock()
	if after != nil {
		l.die(after.N)
	}
	return err
}

func missing(err error) bool {
	var nf engine.NotFound
	return errors.As(err, &nf) && nf.NotFound()
}

// Observe looks at the host, and keeps what it was told.
func (l *life) Observe(ctx context.Context, q fsm.Query) fsm.Facts {
	l.live()
	after := l.call("look")
	lying, was := l.host.Lying(q.About), l.truly(q)
	f := l.host.Observe(ctx, q)
	is := l.truly(q)
	l.live()
	l.mu.Lock()
	resting := ctx.Value(atRest{}) != nil
	if l.told.take(f, q, lying, l.policy, resting); q.About == finally && !resting {
		l.told.true = [2]fsm.Mode{was, is}
	}
	l.mu.Unlock()
	if after != nil {
		l.die(after.N)
	}
	return f
}

// finally is what an outcome is derived from.
const finally = fsm.Core | fsm.AboutGPU | fsm.AboutWorkers

// truly is the mode that the host is in, where an outcome may be derived from a look.
func (l *life) truly(q fsm.Query) fsm.Mode {
	if q.About != finally {
		return fsm.Unknown
	}
	return trueMode(l.host.Truth(q), l.policy)
}

// Attend keeps whether the host is attended to.
func (l *life) Attend(busy bool) { l.mu.Lock(); l.attended = busy; l.mu.Unlock() }

// Publish checks what readers see.
func (l *life) Publish(s fsm.Snapshot) {
	l.live()
	l.mu.Lock()
	l.disk.state, l.disk.boot = s.State, s.Boot
	l.published(s)
	l.snap = s
	l.mu.Unlock()
	if l.files != nil {
		l.rec.Publish(s)
	}
}

// Record keeps the story, and what goes to disk with it.
func (l *life) Record(r fsm.Record) {
	l.live()
	if l.files != nil {
		l.rec.Record(r)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tell("%v", r)
	l.recorded(r)
	if end, ok := r.(fsm.AttemptEnded); ok {
		a := end.Attempt
		l.disk.posted = append(l.disk.posted, func() { l.disk.history = append(l.disk.history, a); l.disk.last = &a })
	}
}

var errDisk = errors.New("no space left on device")

// Ahead puts the intent on disk, with deaths before and after it.
func (l *life) Ahead(i *fsm.Intent) error {
	l.live()
	if i == nil {
		l.mu.Lock()
		id := intentID(l.disk.intent)
		l.disk.posted = append(l.disk.posted, func() {
			if intentID(l.disk.intent) == id {
				l.disk.intent = nil
			}
		})
		l.mu.Unlock()
		if l.files != nil {
			_ = l.rec.Ahead(nil)
		}
		return nil
	}
	after := l.call("ahead")
	l.mu.Lock()
	l.disk.flush(len(l.disk.posted), false)
	if l.diskFull > 0 {
		l.diskFull--
		l.tell("intent of %s: the disk is full", i.ID)
		l.mu.Unlock()
		return errDisk
	}
	if l.files != nil {
		if err := l.rec.Ahead(i); err != nil {
			l.mu.Unlock()
			return err
		}
	}
	c := *i
	l.disk.intent = &c
	l.intents[i.ID] = true
	if l.stoodID != i.ID {
		l.stoodID, l.stood = i.ID, l.host.Truth(fsm.Query{About: fsm.AboutUnits}).Units.Value
	}
	if !i.NoReturn && l.passed == i.ID {
		l.passed = "" // it was told to leave while that record was written: the step was not begun
	}
	if i.NoReturn && l.passed != i.ID {
		l.passed = i.ID
		l.figs.passed++
	}
	l.stepsProven(i)
	l.tell("intent of %s: step %d of %d, no return %v, undoing %v", i.ID, i.Step, len(i.Plan.Steps), i.NoReturn, i.Undoing)
	l.mu.Unlock()
	if again := l.callAt("ahead", i.Step, len(i.Plan.Steps)); after == nil {
		after = again
	}
	if after != nil {
		l.die(after.N)
	}
	return nil
}

func (l *life) bootWish(w fsm.Wish) { l.keep(w, "") }

func (l *life) keep(w fsm.Wish, instead string) {
	l.live()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tell("keeps wish %s for %s by %s instead of %q", w.ID, w.Mode, w.Reason, instead)
	if instead == "" || l.disk.wish != nil && l.disk.wish.ID == instead {
		l.disk.wish = &w
	}
	l.kept(w)
}

// answersSoon checks a moment later that the engine has taken a wish, whatever the
// host is busy with.
func (l *life) answersSoon(m made) {
	time.AfterFunc(5*time.Millisecond, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.statusAnswers(m)
	})
}
