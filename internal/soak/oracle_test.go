package soak

import (
	"fmt"
	"math/bits"
	"slices"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// What is true, by rules of the specification that are written here a second time,
// without the code under test.

// told is what the looks of one controller told it.
type told struct {
	facts   fsm.Facts     // of all looks
	judged  fsm.Facts     // of those of attempts
	at      [32]time.Time // by subject
	effect  [32]int       // how many effects there were before, by subject
	lied    fsm.Subject   // what the last look at it was lied about
	looks   int
	effects int
	modes   []fsm.Mode // what the looks at the core showed, the last few
	full    fsm.Mode   // what the last of the looks showed that an outcome is derived from
	fullOf  fsm.Facts
	fullLie bool
	true    [2]fsm.Mode // the host's own mode right before that look and right after it
}

func (t *told) take(f fsm.Facts, q fsm.Query, lying fsm.Subject, p fsm.Policy, resting bool) {
	t.looks++
	t.facts = t.facts.Merge(f, q.About)
	if !resting {
		t.judge(f, q.About, lying)
	}
	if q.About&(fsm.AboutUnits|fsm.AboutSessions) == 0 {
		return
	}
	if t.modes = append(t.modes, trueMode(t.facts, p)); len(t.modes) > 24 { // what several looks bring together
		t.modes = slices.Clone(t.modes[8:])
	}
	if q.About&fsm.Core != fsm.Core {
		return
	}
	m := trueMode(f, p)
	if q.About == finally && !resting {
		t.full, t.fullOf, t.fullLie = m, f, lying != 0
	}
}

func (t *told) judge(f fsm.Facts, about, lying fsm.Subject) {
	t.judged = t.judged.Merge(f, about)
	t.lied = t.lied&^about | lying
	for a := about; a != 0; a &= a - 1 {
		i := bits.TrailingZeros(uint(a))
		t.at[i], t.effect[i] = f.At, t.effects
	}
}

// fresh tells whether the subject was looked at since the last effect, in this
// attempt, and not long ago.
func (t *told) fresh(about fsm.Subject, since time.Time) string {
	i := bits.TrailingZeros(uint(about))
	switch {
	case t.effect[i] < t.effects || t.at[i].Before(since):
		return fsm.SubjectNames[about] + " was not looked at since the last effect"
	case time.Since(t.at[i]) > stalest:
		return fmt.Sprintf("%s was looked at %s ago", fsm.SubjectNames[about], time.Since(t.at[i]))
	}
	return ""
}

// stalest is how old what is judged may be: an engine's own half second.
const stalest = 500 * time.Millisecond

// trueMode is section 23.2 and D2, written a second time.
func trueMode(f fsm.Facts, p fsm.Policy) fsm.Mode {
	if !f.Units.OK || !f.Logins.OK {
		return fsm.Unknown
	}
	up := func(name string) bool { a := f.Units.Value[name].Active; return a == "active" || a == "reloading" }
	switch {
	case up(p.Units.StudioPolicy):
		return fsm.StudioLocal
	case up(p.Units.Compute) && !atScreen(f):
		return fsm.Compute
	}
	return fsm.Desktop
}

func atScreen(f fsm.Facts) bool {
	return slices.ContainsFunc(f.Logins.Value.Sessions, func(s fsm.Session) bool { return s.Class == "user" && s.Graphical })
}

// displayHeld names who is on the display GPU and is no AI unit of compute.
func displayHeld(f fsm.Facts, p fsm.Policy) string {
	for _, h := range f.GPU.Value.Holders {
		if h.Display && !h.Infra && !slices.Contains(p.Units.AI[fsm.Compute], h.Unit) {
			return h.String()
		}
	}
	return ""
}

// lacking tells what keeps m from being reached, by what must be so in it.
func lacking(m fsm.Mode, f fsm.Facts, p fsm.Policy) string {
	up := func(name string) bool { return f.Units.Value[name].Is(true) }
	for _, unit := range p.Units.AIUnits() {
		mine := slices.Contains(p.Units.AI[m], unit)
		if u := f.Units.Value[unit]; !mine && !u.Gone() {
			return unit + " runs"
		}
		if mine && m == fsm.Compute && !up(unit) {
			return unit + " does not run"
		}
	}
	switch {
	case m == fsm.Desktop && !up(p.Units.Desktop):
		return p.Units.Desktop + " is down"
	case m == fsm.StudioLocal && !up(p.Units.AudioPriority):
		return p.Units.AudioPriority + " is down"
	}
	return ""
}

// forbids tells why an operation must not be done now, by what the controller was
// told: D8 and D14, written a second time.
func (t *told) forbids(op fsm.Op, in *fsm.Intent, p fsm.Policy) string {
	forward := !in.Undoing && slices.ContainsFunc(in.Plan.Steps, func(s fsm.Step) bool { return s.Op == op })
	to := in.Plan.From
	if forward {
		to = in.Plan.To
	}
	enters := to == fsm.Compute && (op.Verb == fsm.Isolate || op.Verb == fsm.Start && slices.Contains(p.Units.AI[fsm.Compute], op.Arg))
	ends := forward && to == fsm.Compute && (op.Verb == fsm.MaskNow || op.Verb == fsm.StopDesktop || op.Verb == fsm.EndSession)
	checks := []func() string{}
	add := func(when bool, c func() string) {
		if when {
			checks = append(checks, c)
		}
	}
	since := in.Begun
	add(enters || ends, func() string { return t.audio(since) })
	add(enters || ends || op.Verb == fsm.Isolate, func() string { return t.manager(since) })
	add(enters, func() string { return t.screen(since) })
	add(enters, func() string { return t.gpu(op, since, p) })
	add(op.Verb == fsm.Isolate, func() string { return t.stopSet(op, p) })
	add(forward && (enters || ends), func() string { return t.site(since) })
	for _, c := range checks {
		if why := c(); why != "" {
			return why
		}
	}
	return ""
}

func (t *told) audio(since time.Time) string {
	a := t.judged.Audio
	if !a.OK || len(a.Value.Users) > 0 {
		return "audio is in use, or not known: " + a.Why()
	}
	return t.fresh(fsm.AboutAudio, since)
}

func (t *told) manager(since time.Time) string {
	h := t.judged.Host
	if !h.OK || h.Value.Switching != "" || h.Value.ShuttingDown || h.Value.Manager != "running" && h.Value.Manager != "degraded" {
		return "the manager is not free: " + h.Value.Manager + h.Value.Switching
	}
	return t.fresh(fsm.AboutHost, since)
}

func (t *told) screen(since time.Time) string {
	if !t.judged.Logins.OK || atScreen(t.judged) {
		return "a user is at a screen, or it is not known"
	}
	return t.fresh(fsm.AboutSessions, since)
}

func (t *told) gpu(op fsm.Op, since time.Time, p fsm.Policy) string {
	if !t.judged.GPU.OK {
		return "the GPU cannot be read"
	}
	if who := displayHeld(t.judged, p); who != "" {
		return who
	}
	for _, h := range t.judged.GPU.Value.Holders {
		if op.Verb == fsm.Isolate && h.Display && !h.Infra {
			return h.String()
		}
	}
	return t.fresh(fsm.AboutGPU, since)
}

func (t *told) stopSet(op fsm.Op, p fsm.Policy) string {
	set, ok := t.judged.StopSets.Value[op.Arg]
	if !t.judged.StopSets.OK || !ok {
		return "what the isolate stops is not known"
	}
	for _, s := range set.Stops {
		if slices.Contains(p.Units.Protected, s.Name) || slices.Contains(p.Units.Own, s.Name) {
			return "it would stop " + s.Name
		}
	}
	return ""
}

func (t *told) site(since time.Time) string {
	if !t.judged.Site.OK {
		return "the site guards cannot be run"
	}
	for _, v := range t.judged.Site.Value {
		if v.Code != 0 {
			return "site guard " + v.Name
		}
	}
	return t.fresh(fsm.AboutSite, since)
}
