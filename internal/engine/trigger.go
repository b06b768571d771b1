package engine

import (
	"fmt"
	"strings"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/guards"
)

// triggers is what the loop knows of the background triggers (D13, section 16).
// They are felt at rest only, and looked at when they can have changed: by a hint,
// or by the clock once nobody has touched the machine for long enough.
type triggers struct {
	timer   *time.Timer
	asking  bool      // a wish of an idle host is being weighed
	not     time.Time // before this it is not weighed again
	spent   bool      // an idle host has tried and failed, and nobody was there since
	felt    string    // the urge that was followed or refused last, since the last wish
	revert  *fsm.Wish // what was wished before the wish of an idle host
	wishing string    // the id of that
}

// weighed is what the guards say of the wish of an idle host.
type weighed struct {
	urge    fsm.Urge
	preview Preview
}

// again is how long after a refusal the guards of an idle host are asked again:
// what refused may be over, and not all of it tells.
const again = time.Minute

// C returns the channel of the next look, nil while none is due.
func (t *triggers) C() <-chan time.Time {
	if t.timer == nil {
		return nil
	}
	return t.timer.C
}

// in plans the next look; 0 plans none.
func (t *triggers) in(d time.Duration) {
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	if d > 0 {
		t.timer = time.NewTimer(d)
	}
}

// watches tells whether the triggers need to know of input at all.
func (l *loop) watches() fsm.Subject {
	if _, resting := l.machine.State().Mode(); resting && l.opt.Policy.WatchesInput() {
		return fsm.AboutIdle
	}
	return 0
}

// heeds tells whether a hint is worth a look at rest: that somebody works at a
// desk is no news, unless an idle host waits for it.
func (l *loop) heeds(about fsm.Subject) bool {
	return about != fsm.AboutIdle || l.machine.State() == fsm.AtCompute || l.triggers.spent
}

// feel looks at what the background triggers want, now that the host rests.
func (l *loop) feel(o fsm.Observation, f fsm.Facts) {
	if _, resting := l.machine.State().Mode(); !resting || l.triggers.asking || l.closing() != "" {
		return
	}
	urge, later := fsm.Feel(o, time.Since(l.snap.Since), f, l.opt.Policy)
	l.triggers.in(later)
	switch {
	case urge == nil:
		l.triggers.felt, l.triggers.spent = "", false
	case urge.Reason == fsm.ByIdle && l.triggers.spent:
	case urge.Reason == fsm.ByIdle && l.opt.Policy.Gate.Background:
		if wait := time.Until(l.triggers.not); wait > 0 {
			l.triggers.in(wait)
			return
		}
		l.weigh(*urge)
	case l.triggers.felt != string(urge.Reason)+urge.Key:
		l.urged(*urge)
		l.triggers.felt = string(urge.Reason) + urge.Key
	}
}

// weigh asks the guards what they would say to an idle host's wish. Only one that
// nothing is known to refuse is made: an idle host that may not go would otherwise
// try in vain each minute of the night.
func (l *loop) weigh(u fsm.Urge) {
	l.triggers.asking = true
	w := fsm.Wish{Mode: u.Mode, Reason: u.Reason, By: fsm.NoCaller, At: time.Now()}
	go func() { l.send(weighed{u, Look(l.ctx, l.opt.Host, l.opt.Policy, w)}) }()
}

func (l *loop) weighed(m weighed) {
	l.triggers.asking = false
	if _, resting := l.machine.State().Mode(); !resting || l.running != nil || l.closing() != "" {
		return
	}
	if bad := guards.Blocking(m.preview.Verdicts); len(bad) > 0 {
		l.tellRefused(m.urge, bad)
		wait := min(again, l.opt.Policy.Idle.After)
		l.triggers.not = time.Now().Add(wait)
		l.triggers.in(wait)
		return
	}
	if !m.preview.Plan.Empty() {
		l.urged(m.urge)
	}
}

// tellRefused tells why an idle host stays as it is, once for each guard that says
// so: how busy a CPU is now is no news.
func (l *loop) tellRefused(u fsm.Urge, bad []fsm.Verdict) {
	var by []string
	for _, v := range bad {
		by = append(by, v.Guard)
	}
	if who := strings.Join(by, ","); l.told["idle"] != who {
		l.told["idle"] = who
		w := fsm.Wish{Mode: u.Mode, Reason: u.Reason, By: fsm.NoCaller, At: time.Now()}
		l.note(fsm.NoteSource, fmt.Sprintf("%s, but this host stays in %s: %s", u.Cause, l.snap.Observation.Mode, reasons(bad)), &w)
	}
}

// urged makes the wish of a trigger, which goes the way of every other (D4).
func (l *loop) urged(u fsm.Urge) {
	w := fsm.Wish{ID: l.opt.NewID(), Mode: u.Mode, Reason: u.Reason, By: fsm.NoCaller, At: time.Now()}
	if ok, _ := l.opt.Policy.Gate.Admit(u.Reason); ok {
		l.triggers.revert, l.triggers.wishing = l.snap.Wish, w.ID
		if u.Mode != l.snap.Observation.Mode { // what is healed was wished before
			l.keep(w, "")
		}
	}
	l.wished(w)
}

// tried takes the end of an idle host's attempt. One that was refused or called off
// is not made again at once, and one that failed not before somebody has been there:
// it may have cost a session, and would fail again.
func (l *loop) tried(a fsm.Attempt) {
	switch {
	case a.Wish.Reason != fsm.ByIdle || a.Success:
	case a.Outcome == fsm.Blocked || a.Outcome == fsm.Cancelled:
		l.triggers.not = time.Now().Add(max(again, l.opt.Policy.Idle.After))
	default:
		l.triggers.spent = true
	}
}

// reverts lets what was wished before stand again, where the wish of an idle host
// was refused or called off and nobody wished since (D13).
func (l *loop) reverts(a fsm.Attempt) {
	t := &l.triggers
	if a.Wish.ID != t.wishing || a.Wish.Reason != fsm.ByIdle || a.Success || l.opt.Policy.Idle.OnBlock != fsm.OnBlockRevert {
		return
	}
	w := fsm.Wish{ID: l.opt.NewID(), Mode: a.Final, Reason: fsm.ByIdle, By: fsm.NoCaller, At: time.Now()}
	if t.revert != nil {
		w = *t.revert
	}
	if l.snap.Wish != nil && l.snap.Wish.ID == a.Wish.ID && w.Mode != fsm.Unknown {
		l.snap.Wish = &w
		l.keep(w, a.Wish.ID)
	}
}

// keep has a wish stored that the loop makes by itself, in place of another.
func (l *loop) keep(w fsm.Wish, instead string) {
	if l.opt.Keep != nil {
		l.opt.Keep(w, instead)
	}
}
