package fsm

import (
	"fmt"
	"slices"
	"strconv"
)

// PlanFor returns what to do to bring a host from where facts show it to the
// mode to; an empty plan means that it is there (D6 noop, D7). It needs a
// known mode.
func PlanFor(o Observation, to Mode, f Facts, p Policy) (Plan, error) {
	if o.Mode == Unknown {
		return Plan{}, fmt.Errorf("cannot plan from an unknown mode: %v", o.Evidence)
	}
	b := builder{f: f, p: p, plan: Plan{Kind: Transition, From: o.Mode, To: to}}
	switch [2]Mode{o.Mode, to} {
	case [2]Mode{Desktop, StudioLocal}:
		b.prepare(StudioLocal)
		b.desktopUp()
		b.stopAI(StudioLocal)
		b.budgets(StudioLocal)
		b.overlayOn()
		b.letLogin()
		b.startAI(StudioLocal)
	case [2]Mode{StudioLocal, Desktop}:
		b.studioToDesktop()
		b.letLogin()
		b.startAI(Desktop)
	case [2]Mode{Desktop, Compute}:
		b.toCompute(false)
	case [2]Mode{StudioLocal, Compute}:
		if p.StudioToCompute == StudioViaDesktop {
			b.studioToDesktop()
			b.toCompute(false)
		} else {
			b.toCompute(true)
		}
	case [2]Mode{Compute, Desktop}:
		b.fromCompute(Desktop)
		b.startAI(Desktop)
	case [2]Mode{Compute, StudioLocal}:
		b.fromCompute(StudioLocal)
		b.overlayOn()
		b.startAI(StudioLocal)
	default:
		b.plan.Kind = Repair
		b.repair()
	}
	return b.plan, nil
}

// NormalisePlan is the plan of the first start of a boot: it only starts
// desktop.target, and only where nothing else is up (D7, section 19.15).
func NormalisePlan(o Observation, f Facts, p Policy) Plan {
	b := builder{f: f, p: p, plan: Plan{Kind: Normalise, From: o.Mode, To: Desktop}}
	if o.Mode == Desktop && !b.up(p.Units.Compute) && !b.up(p.Units.Desktop) {
		b.start(p.Units.Desktop, Op{})
	}
	return b.plan
}

// builder collects the steps of one plan. Its methods are named for the groups
// of steps of specification section 25.
type builder struct {
	f    Facts
	p    Policy
	plan Plan
}

func (b *builder) add(s Step) { b.plan.Steps = append(b.plan.Steps, s) }

func (b *builder) unit(name string) Unit { return b.f.Units.Value[name] }
func (b *builder) up(name string) bool   { return b.unit(name).Is(true) }

func (b *builder) start(unit string, undo Op) {
	b.add(Step{Op: Op{Start, unit}, Deadline: b.p.Deadlines.Start, Undo: undo})
}

func (b *builder) stop(unit string, undo Op) {
	b.add(Step{Op: Op{Stop, unit}, Deadline: b.p.Deadlines.Stop, Undo: undo})
}

// prepare runs the site's hook of section 12.1, where there is one.
func (b *builder) prepare(m Mode) {
	hook := b.p.Units.Prepare[m]
	if hook != "" && b.unit(hook).Load == "loaded" {
		b.add(Step{Op: Op{Run, hook}, Deadline: b.p.Deadlines.Prepare, Optional: true})
	}
}

func (b *builder) budgets(m Mode) {
	if len(b.p.Budgets[m]) == 0 && len(b.p.Budgets[b.plan.From]) == 0 {
		return
	}
	b.add(Step{Op: Op{SetBudgets, string(m)}, Deadline: b.p.Deadlines.Budgets, Undo: Op{SetBudgets, string(b.plan.From)}})
}

// overlayOn starts the marker first, overlayOff stops it last, so that a host
// is observed as studio-local for as long as anything of it is in force (D7).
func (b *builder) overlayOn() {
	b.start(b.p.Units.StudioPolicy, Op{Stop, b.p.Units.StudioPolicy})
	b.start(b.p.Units.AudioPriority, Op{Stop, b.p.Units.AudioPriority})
}

func (b *builder) overlayOff() {
	back := Op{Start, b.p.Units.AudioPriority}
	if b.unit(back.Arg).Gone() {
		back = Op{} // nothing is stopped that could be started again
	}
	b.stop(b.p.Units.AudioPriority, back)
	b.stop(b.p.Units.StudioPolicy, Op{Start, b.p.Units.StudioPolicy})
}

func (b *builder) studioToDesktop() {
	b.prepare(Desktop)
	if b.plan.To == Desktop { // on the way to compute that stops its own
		b.stopAI(Desktop)
	}
	b.overlayOff()
	b.budgets(Desktop)
	b.desktopUp()
}

// desktopUp starts desktop.target where nobody did, as on a host that is used
// without the daemon: the overlay stands on it (section 12.2). Where compute.target was
// started by hand it takes its place only if desktop is wished for.
func (b *builder) desktopUp() {
	if !b.up(b.p.Units.Desktop) && (b.plan.To == Desktop || !b.up(b.p.Units.Compute)) {
		b.start(b.p.Units.Desktop, Op{})
	}
}

// stopAI drains and stops the running AI units that mode m does not want. Taken back
// is only the stop of one that the mode before wanted: a foreign one is not started
// again beside whoever holds the display GPU (section 6.1).
func (b *builder) stopAI(m Mode) {
	want := map[string]bool{}
	for _, unit := range b.p.Units.AI[m] {
		want[unit] = true
	}
	for _, unit := range b.p.Units.AIUnits() {
		if b.unit(unit).Gone() || want[unit] {
			continue
		}
		if b.p.Inference.URL[unit] != "" && b.up(unit) {
			b.add(Step{Op: Op{Drain, unit}, Deadline: b.p.Deadlines.Drain})
		}
		undo := Op{}
		if b.up(unit) && slices.Contains(b.p.Units.AI[b.plan.From], unit) {
			undo = Op{Start, unit}
		}
		b.stop(unit, undo)
		b.last().UndoYields = undo != (Op{})
	}
}

func (b *builder) last() *Step { return &b.plan.Steps[len(b.plan.Steps)-1] }

// startAI starts the AI units of mode m and waits until they serve.
func (b *builder) startAI(m Mode) {
	for _, unit := range b.p.Units.AI[m] {
		if !b.up(unit) || slices.Contains(b.plan.Stops, unit) {
			b.start(unit, Op{Stop, unit})
			b.last().Yields = true
		}
		if m == Compute && b.p.Inference.Ready && b.p.Inference.URL[unit] != "" {
			b.add(Step{Op: Op{AwaitReady, unit}, Deadline: b.p.Deadlines.Ready})
		}
	}
}

// toCompute is section 25.4 and 25.6: hold back what starts sessions, end the
// graphical sessions, stop their audio, prove the GPU released, isolate, start.
func (b *builder) toCompute(overlay bool) {
	gui := b.f.Logins.Value.Graphical()
	b.prepare(Compute)
	b.stopAI(Compute)
	for _, unit := range b.p.Units.Starters {
		u := b.unit(unit)
		// One that is masked already may run all the same, under its real name:
		// a predecessor may have died between the mask and the stop.
		if u.Load == "loaded" && !u.Gone() || u.HeldBack() {
			b.add(Step{Op: Op{MaskNow, unit}, Deadline: b.p.Deadlines.Stop, Undo: Op{UnmaskNow, unit},
				Final: len(gui) > 0, Yields: true})
		}
	}
	b.endDesktops(gui)
	for _, s := range gui {
		b.plan.Ends = append(b.plan.Ends, s.ID)
		b.add(Step{Op: Op{EndSession, s.ID}, Deadline: b.p.Deadlines.SessionTerm + b.p.Deadlines.SessionKill, Final: true, Yields: true})
	}
	for _, u := range b.f.Logins.Value.Users {
		if len(u.Audio) > 0 {
			b.audio(StopAudio, u, Op{StartAudio, strconv.Itoa(u.UID)})
		}
	}
	b.add(Step{Op: Op{AwaitRelease, "display"}, Deadline: b.p.Deadlines.GPURelease})
	if overlay {
		b.overlayOff()
	}
	b.isolate(b.p.Units.Compute, b.p.Units.Desktop)
	b.budgets(Compute)
	b.startAI(Compute)
}

// endDesktops stops graphical-session.target of users whose manager runs one,
// before their session is ended (section 12.4).
func (b *builder) endDesktops(gui []Session) {
	done := map[int]bool{}
	for _, s := range gui {
		for _, u := range b.f.Logins.Value.Users {
			if u.UID == s.UID && u.Graphical && !done[u.UID] {
				done[u.UID] = true
				b.add(Step{Op: Op{StopDesktop, strconv.Itoa(u.UID)}, Deadline: b.p.Deadlines.Stop, Final: true, Yields: true})
			}
		}
	}
}

func (b *builder) audio(v Verb, u User, undo Op) {
	b.add(Step{Op: Op{v, strconv.Itoa(u.UID)}, Deadline: b.p.Deadlines.Audio, Undo: undo, Optional: true})
}

// isolate isolates target unless it is active: a second isolate of an active
// target would stop a session's services (D10).
func (b *builder) isolate(target, back string) {
	if b.up(target) {
		return
	}
	b.add(Step{Op: Op{Isolate, target}, Deadline: b.p.Deadlines.Isolate, Undo: Op{Isolate, back}, Yields: true, UndoYields: true})
	for _, u := range b.f.StopSets.Value[target].Stops {
		b.plan.Stops = append(b.plan.Stops, u.Name)
	}
}

// fromCompute is section 25.5: drain and stop the AI units, isolate, give the
// interactive side its budgets, its audio and its login back.
func (b *builder) fromCompute(to Mode) {
	b.prepare(to)
	b.stopAI(to)
	b.isolate(b.p.Units.Desktop, b.p.Units.Compute)
	b.budgets(to)
	b.letAudio()
	b.letLogin()
}

// letAudio starts the audio of the users whose managers have outlived its stop.
func (b *builder) letAudio() {
	for _, u := range b.f.Logins.Value.Users {
		if u.Manager && len(u.Audio) == 0 && u.AudioLoaded {
			b.audio(StartAudio, u, Op{})
		}
	}
}

// heldBack tells whether something that starts sessions is held back: an attempt that
// was to let it run again did not come so far.
func (b *builder) heldBack() bool {
	return slices.ContainsFunc(b.p.Units.Starters, func(unit string) bool { return b.unit(unit).HeldBack() })
}

// letLogin lets what starts sessions run again, where it was held back.
func (b *builder) letLogin() {
	for _, unit := range b.p.Units.Starters {
		if b.unit(unit).HeldBack() {
			b.add(Step{Op: Op{UnmaskNow, unit}, Deadline: b.p.Deadlines.Start, Undo: Op{MaskNow, unit}, Optional: true})
		}
	}
}

// backAtTheDesk gives back what an attempt to compute that ended half way took: the
// login, and where that was held back the audio, which elsewhere a user may have stopped.
func (b *builder) backAtTheDesk() {
	if b.heldBack() {
		b.letAudio()
	}
	b.letLogin()
}

// repair brings up what the mode wants and is not up, and stops the AI units
// that it does not want. It isolates nothing and ends no session.
func (b *builder) repair() {
	switch b.plan.To {
	case Desktop:
		b.stopAI(Desktop)
		if !b.up(b.p.Units.Desktop) {
			b.start(b.p.Units.Desktop, Op{})
		}
		b.backAtTheDesk()
	case StudioLocal:
		b.stopAI(StudioLocal)
		if !b.up(b.p.Units.AudioPriority) {
			b.start(b.p.Units.AudioPriority, Op{})
		}
		b.backAtTheDesk()
	}
	for _, unit := range b.p.Units.AI[b.plan.To] {
		if !b.up(unit) {
			b.startAI(b.plan.To)
			return
		}
	}
}
