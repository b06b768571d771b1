package engine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/guards"
)

// triggers is what the loop knows of the background triggers (D5, D13, section 16).
// They are felt at rest only, and looked at when they can have changed: by a hint,
// or by the clock once nobody has touched the machine for long enough.
type triggers struct {
	timer   *time.Timer
	asking  bool            // the guards are asked about an urge
	era     int             // counts what makes the answer worthless: wishes and cancels
	changed bool            // what they may be asked about changed meanwhile
	not     time.Time       // before this they are not asked again
	pause   time.Duration   // before they are asked again because something changed
	hears   fsm.Subject     // what they refused by, which is listened to
	felt    map[string]bool // urges that were followed or told, and are still felt
	refused *fsm.Wish       // a person's wish that guards refused, while nobody wished since
	revert  *fsm.Wish       // what was wished before the wish of an idle host
	wishing string          // the id of that
}

// weighed is what the guards say of an urge of an era, and how long it took to ask them.
type weighed struct {
	urge    fsm.Urge
	era     int
	preview Preview
	took    time.Duration
}

// again is how long after a refusal the guards are asked again about an urge: what
// refused may be over, and not all of it tells.
const again = time.Minute

// What tells that it changed has the guards asked again sooner, but asking takes no
// more of the time than this.
const (
	soon  = time.Second
	share = 20
)

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
// desk is no news, unless the machine was found idle and stays.
func (l *loop) heeds(about fsm.Subject) bool {
	return about != fsm.AboutIdle || l.machine.State() == fsm.AtCompute || l.triggers.felt[key(fsm.Urge{Reason: fsm.ByIdle})]
}

// heard takes a hint: if it may be about what refused an urge, the guards are asked
// again.
func (t *triggers) heard(about fsm.Subject) {
	if about&t.hears == 0 {
		return
	}
	t.changed = true
	if next := time.Now().Add(t.pause); next.Before(t.not) {
		t.not = next
	}
}

// feel looks at what the background triggers want, now that the host rests, and acts
// on the first that is not followed or told already.
func (l *loop) feel(o fsm.Observation, f fsm.Facts) {
	if _, resting := l.machine.State().Mode(); !resting || l.triggers.asking || l.closing() != "" {
		return
	}
	urges, later := fsm.Feel(o, time.Since(l.snap.Since), l.triggers.refused, f, l.opt.Policy)
	l.triggers.in(later)
	l.triggers.forget(urges)
	if !slices.ContainsFunc(urges, fsm.Urge.Weighed) {
		l.waitFor(nil, "")
	}
	for _, u := range urges {
		if l.triggers.felt[key(u)] {
			continue
		}
		if ok, _ := l.opt.Policy.Gate.Admit(u.Reason); ok {
			l.act(u)
			return
		}
		l.urged(u)
		l.triggers.felt[key(u)] = true
	}
}

// act follows an urge that the gate lets through.
func (l *loop) act(u fsm.Urge) {
	switch wait := time.Until(l.triggers.not); {
	case !u.Weighed():
		l.urged(u)
		l.triggers.felt[key(u)] = true
	case wait > 0:
		l.triggers.in(wait)
	default:
		l.weigh(u)
	}
}

func key(u fsm.Urge) string { return string(u.Reason) + u.Key }

// forget drops what is no longer felt.
func (t *triggers) forget(urges []fsm.Urge) {
	still := map[string]bool{}
	for _, u := range urges {
		if t.felt[key(u)] {
			still[key(u)] = true
		}
	}
	t.felt = still
}

// weigh asks the guards what they would say to a wish that nobody makes now. Only one
// that nothing is known to refuse is made: an idle host that may not go would
// otherwise try in vain each minute of the night.
func (l *loop) weigh(u fsm.Urge) {
	l.triggers.asking, l.triggers.changed = true, false
	w, era := l.wish(u), l.triggers.era
	go func() {
		began := time.Now()
		p := Look(l.ctx, l.opt.Host, l.opt.Policy, w)
		l.send(weighed{u, era, p, time.Since(began)})
	}()
}

func (l *loop) weighed(m weighed) {
	t := &l.triggers
	t.asking = false
	if _, resting := l.machine.State().Mode(); !resting || l.running != nil || l.closing() != "" {
		return
	}
	if m.era != t.era {
		l.Hint(fsm.Core) // what is felt now is another matter
		return
	}
	if bad := guards.Blocking(m.preview.Verdicts); len(bad) > 0 {
		l.tellRefused(m.urge, bad)
		l.waitFor(bad, fmt.Sprintf("%s once nothing refuses it; now %s", m.urge.Mode, reasons(bad)))
		wait := min(again, l.opt.Policy.Idle.After)
		if wait == 0 {
			wait = again
		}
		t.pause = max(soon, share*m.took)
		if t.changed {
			wait = min(wait, t.pause)
		}
		t.not = time.Now().Add(wait)
		t.in(wait)
		return
	}
	if !m.preview.Plan.Empty() {
		l.urged(m.urge)
	}
}

// waitFor has what refused an urge listened to, and shows what is waited for; nothing
// and "" end that.
func (l *loop) waitFor(bad []fsm.Verdict, text string) {
	if about := guards.About(bad); about != l.triggers.hears {
		l.triggers.hears = about
		if l.opt.Listen != nil {
			l.opt.Listen(about)
		}
	}
	if l.snap.Waits != text {
		l.snap.Waits = text
		l.publish()
	}
}

// tellRefused tells why this host stays as it is, once for each guard that says
// so: how busy a CPU is now is no news.
func (l *loop) tellRefused(u fsm.Urge, bad []fsm.Verdict) {
	var by []string
	for _, v := range bad {
		by = append(by, v.Guard)
	}
	if who := strings.Join(by, ","); l.told[string(u.Reason)] != who {
		l.told[string(u.Reason)] = who
		w := l.wish(u)
		l.note(fsm.NoteSource, fmt.Sprintf("%s, but this host stays in %s: %s", u.Cause, l.snap.Observation.Mode, reasons(bad)), &w)
	}
}

// wish is what an urge wishes for. One that is tried again is still that of whoever
// made it.
func (l *loop) wish(u fsm.Urge) fsm.Wish {
	w := fsm.Wish{ID: l.opt.NewID(), Mode: u.Mode, Reason: u.Reason, By: fsm.NoCaller, At: time.Now()}
	if r := l.triggers.refused; u.Reason == fsm.ByRetry && r != nil {
		w.By = r.By
	}
	return w
}

// urged makes the wish of a trigger, which goes the way of every other (D4).
func (l *loop) urged(u fsm.Urge) {
	w := l.wish(u)
	if ok, _ := l.opt.Policy.Gate.Admit(u.Reason); ok {
		l.triggers.revert, l.triggers.wishing = l.snap.Wish, w.ID
		switch {
		case u.Reason == fsm.ByRetry && l.triggers.refused != nil:
			l.keep(w, l.triggers.refused.ID)
		case u.Mode != l.snap.Observation.Mode: // what is healed was wished before
			l.keep(w, "")
		}
	}
	l.wished(w)
}

// tried takes the end of an attempt. A person's wish that guards refused is tried again
// when they no longer do (D5). An idle host's that was refused or called off is not
// made again at once, and one that failed not before somebody has been there: it
// may have cost a session, and would fail again.
func (l *loop) tried(a fsm.Attempt) {
	t, w := &l.triggers, l.snap.Wish
	refused := a.Outcome == fsm.Blocked && w != nil && a.Serves(w.ID)
	switch {
	case refused && !w.Reason.Automatic():
		t.refused, t.not = w, time.Time{}
	case refused && w.Reason == fsm.ByRetry:
		t.refused, t.not = w, time.Now().Add(again)
	case a.Wish.Reason != fsm.ByIdle || a.Success:
	case a.Outcome == fsm.Blocked || a.Outcome == fsm.Cancelled:
		t.not = time.Now().Add(max(again, l.opt.Policy.Idle.After))
	default:
		t.felt[key(fsm.Urge{Reason: fsm.ByIdle})] = true
	}
}

// afresh forgets what led up to a new wish.
func (t *triggers) afresh() {
	t.felt, t.refused = map[string]bool{}, nil
	t.era++
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
