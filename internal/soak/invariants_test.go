package soak

import (
	"slices"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// The invariants. Each names what it states; all are called with the world's lock.

// running is the attempt that a controller has begun.
type running struct {
	id    string
	plan  fsm.Plan
	begun time.Time
}

// beforeEffect holds what must be so right before an operation changes the host.
func (l *life) beforeEffect(op fsm.Op) {
	l.settledHostStays(op)
	l.onlyInAnAttempt(op)
	in := l.disk.intent
	if l.aheadFirst(op, in); in == nil {
		return
	}
	l.noStepAfterAHardGuard(op, in)
	l.firstFailureStops(op, in)
	l.activeTargetNeverIsolated(op)
	l.gpuNeverBoth(op)
}

// settledHostStays: "Restart on a settled host: adopt the observed mode, no
// transition" (D11).
func (l *life) settledHostStays(op fsm.Op) {
	l.hold("settledHostStays")
	if l.quiet {
		l.fail("settledHostStays", "%s on a settled host that nobody wished anything of", op)
	}
}

// onlyInAnAttempt: "An attempt: lock → observe → … → unlock" (D6): nothing is done
// but in one, and the host is attended to for as long as one runs and no longer. It
// stands for "lock never outlives its holder": the lock itself is the program's.
func (l *life) onlyInAnAttempt(op fsm.Op) {
	l.hold("onlyInAnAttempt")
	if !l.attended {
		l.fail("onlyInAnAttempt", "%s without an attempt", op)
	}
}

// aheadFirst: "for each step: write ahead (fsynced in /var/lib; if that cannot be
// written no step runs)" (D6).
func (l *life) aheadFirst(op fsm.Op, in *fsm.Intent) {
	l.hold("aheadFirst")
	switch {
	case in == nil:
		l.fail("aheadFirst", "%s without a write-ahead record", op)
	case in.Undoing || in.Plan.Kind == fsm.WalkBack:
	case in.Step < 1 || in.Step > len(in.Plan.Steps) || in.Plan.Steps[in.Step-1].Op != op:
		l.fail("aheadFirst", "%s, but the record is of step %d of %d", op, in.Step, len(in.Plan.Steps))
	case in.Plan.Steps[in.Step-1].Final && !in.NoReturn:
		l.fail("aheadFirst", "%s is irreversible, which the record does not say", op)
	}
}

// noStepAfterAHardGuard: "Hard guards are judged again right before every step that
// is irreversible or yields the GPU" (D8); "Cannot-tell blocks" (D14); "The controller
// must not promote the system into Compute if guard failures indicate active
// user/audio risk" (section 6.1). It goes by what the probes told: where they lie, no
// more is promised than that they were asked.
func (l *life) noStepAfterAHardGuard(op fsm.Op, in *fsm.Intent) {
	l.hold("noStepAfterAHardGuard")
	if why := l.told.forbids(op, in, l.policy); why != "" {
		l.fail("noStepAfterAHardGuard", "%s: %s", op, why)
	}
}

// stepsProven: "await the step's own post-condition" (D6); "A job's done proves nothing:
// wait until no job is left …, then re-read units" (D10). No step is begun before the
// looks showed what the one before it is for.
func (l *life) stepsProven(i *fsm.Intent) {
	if i.Undoing || i.Step < 2 || i.Plan.Kind == fsm.WalkBack {
		return
	}
	op, f := i.Plan.Steps[i.Step-2].Op, l.told.judged
	u := f.Units.Value[op.Arg]
	ok := true
	switch op.Verb {
	case fsm.Start:
		ok = u.Is(true)
	case fsm.Stop:
		ok = u.Gone()
	case fsm.MaskNow:
		ok = u.Load == "masked" && u.Gone()
	case fsm.EndSession:
		ok = !slices.ContainsFunc(f.Logins.Value.Sessions, func(s fsm.Session) bool { return s.ID == op.Arg })
	case fsm.Isolate:
		ok = u.Is(true) && !slices.ContainsFunc(i.Plan.Stops, func(name string) bool { return f.Units.Value[name].Active == "deactivating" })
	}
	l.hold("stepsProven")
	if !ok && !l.tainted {
		l.fail("stepsProven", "step %d of %s begins, but %s was not seen done", i.Step, i.ID, op)
	}
}

// firstFailureStops: "The first failed step stops the plan" (D6).
func (l *life) firstFailureStops(op fsm.Op, in *fsm.Intent) {
	l.hold("firstFailureStops")
	if l.failed == in.ID && !in.Undoing && l.failed != "" {
		l.fail("firstFailureStops", "%s after a step failed", op)
	}
}

// activeTargetNeverIsolated: "an active target is never isolated again" (D10). One that
// somebody, or a job that comes late, starts between the plan and its isolate is refused by the operation itself.
func (l *life) activeTargetNeverIsolated(op fsm.Op) {
	l.hold("activeTargetNeverIsolated")
	if op.Verb == fsm.Isolate && !l.tainted && !l.lated && !l.misled && l.told.judged.Units.OK && l.told.judged.Units.Value[op.Arg].Is(true) {
		l.fail("activeTargetNeverIsolated", "%s", op)
	}
}

// gpuNeverBoth: "GPU0 must not be simultaneously treated as both protected display GPU
// and unrestricted compute GPU" (section 6.1), by the host itself and not by what the
// probes say. What is promised: an AI unit of compute is not started, nor compute
// isolated, while somebody else holds the display GPU, unless a probe lied about it or
// the holder came after the last look, which was taken right before.
func (l *life) gpuNeverBoth(op fsm.Op) {
	ours := op.Verb == fsm.Start && slices.Contains(l.policy.Units.AI[fsm.Compute], op.Arg) ||
		op.Verb == fsm.Isolate && op.Arg == l.policy.Units.Compute
	if !ours || l.told.lied&(fsm.AboutGPU|fsm.AboutSessions|fsm.AboutUnits) != 0 {
		return
	}
	l.hold("gpuNeverBoth")
	now := l.host.Truth(fsm.Query{About: fsm.AboutGPU})
	who := displayHeld(now, l.policy)
	if who == "" || !slices.ContainsFunc(now.GPU.Value.Holders, func(h fsm.GPUHolder) bool {
		return h.String() == who && l.told.judged.GPU.OK && slices.Contains(l.told.judged.GPU.Value.Holders, h)
	}) && l.told.fresh(fsm.AboutGPU, time.Time{}) == "" {
		return // it came after the last look
	}
	l.fail("gpuNeverBoth", "%s while %s", op, who)
}

// published holds what must be so of all that readers see.
func (l *life) published(s fsm.Snapshot) {
	l.oneMode(s)
	l.observationOnlyObserved(s)
	l.wishNeverRewritten(s)
}

// oneMode: "At most one host-local operational mode is authoritative at a time"
// (section 6.1); "At rest state and current agree" (D1).
func (l *life) oneMode(s fsm.Snapshot) {
	l.hold("oneMode")
	if !slices.Contains(fsm.States, s.State) || s.Schema != fsm.Schema {
		l.fail("oneMode", "state %q, schema %d", s.State, s.Schema)
	}
	m, resting := s.State.Mode()
	if resting && s.Attempt == nil && s.Observation.Mode != fsm.Unknown && s.Observation.Mode != m {
		l.fail("oneMode", "at rest in %s, but %s is observed", m, s.Observation.Mode)
	}
	if s.Attempt == nil && s.State == fsm.Transitioning {
		l.fail("oneMode", "transitioning without an attempt")
	}
}

// observationOnlyObserved: "Current state is observed runtime fact"; "it never rewrites
// observed state to match wishful intent" (section 6.2).
func (l *life) observationOnlyObserved(s fsm.Snapshot) {
	l.hold("observationOnlyObserved")
	m := s.Observation.Mode
	if m != l.snap.Observation.Mode && !slices.Contains(l.told.modes, m) && !(m == fsm.Unknown && len(l.told.modes) == 0) {
		l.fail("observationOnlyObserved", "%s is shown, but the looks showed %v", m, l.told.modes)
	}
}

// wishNeverRewritten: "A guard failure blocks transition, but does not silently change
// desired state unless policy explicitly says so" (section 6.2, D4): what is shown as
// wished is what stands on disk, which only the door of D4, a boot and the triggers'
// policy (D13) write.
func (l *life) wishNeverRewritten(s fsm.Snapshot) {
	l.hold("wishNeverRewritten")
	if s.Wish == nil || l.disk.wish == nil || s.Wish.ID == l.disk.wish.ID {
		return
	}
	if slices.ContainsFunc(l.wishes, func(m made) bool { return m.wish.ID == l.disk.wish.ID && m.life == l.n }) {
		// one was put on disk that the engine has not taken yet
		if slices.ContainsFunc(l.wishes, func(m made) bool { return m.wish == *s.Wish && m.admitted }) || l.snap.Wish == nil || l.snap.Wish.ID == s.Wish.ID {
			return
		}
	}
	if s.Wish.Reason == fsm.ByBoot || s.Wish.Reason.Automatic() || l.snap.Wish != nil && l.snap.Wish.ID == s.Wish.ID {
		return // about to be kept, or as it was
	}
	l.fail("wishNeverRewritten", "%s is shown as wished, %s stands", nameOf(s.Wish), nameOf(l.disk.wish))
}

// kept: the engine rewrites the wish only for a boot and for a trigger that the gate
// lets through (D5, D11, D13).
func (l *life) kept(w fsm.Wish) {
	if w.Reason != fsm.ByBoot && !l.policy.Gate.Background {
		l.fail("wishNeverRewritten", "the engine keeps %s by %s", nameOf(&w), w.Reason)
	}
}

// statusAnswers: "The system must always expose a way to determine current mode,
// desired mode, and last transition result" (section 6.1); "state, cancel and new
// wishes are served in milliseconds while a step takes minutes" (design, section 4).
func (l *life) statusAnswers(m made) {
	if l.dead || l.wakes != "" || l.going || !m.admitted || l.life != l {
		return
	}
	l.hold("statusAnswers")
	s := l.eng.Snapshot()
	for _, later := range l.wishes {
		if later.wish.ID == m.wish.ID || later.wish.At.After(m.wish.At) || later.wish.At.Equal(m.wish.At) {
			if s.Wish != nil && s.Wish.ID == later.wish.ID {
				return
			}
		}
	}
	if s.Wish == nil || !s.Wish.Reason.Automatic() && s.Wish.Reason != fsm.ByBoot {
		l.fail("statusAnswers", "%s is not shown, but %s", nameOf(&m.wish), nameOf(s.Wish))
	}
}
