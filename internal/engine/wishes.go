package engine

import (
	"fmt"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// wished admits a wish through the gate and starts, joins, takes over or
// queues (D5, D9).
func (l *loop) wished(w fsm.Wish) {
	if ok, why := l.opt.Policy.Gate.Admit(w.Reason); !ok {
		text := fmt.Sprintf("would have started a transition to %s (%s), but %s", w.Mode, w.Reason, why)
		if w.Reason == fsm.ByRetry {
			text = fmt.Sprintf("would try %s again once nothing refuses it, but %s", w.Mode, why)
		}
		l.once("gate "+string(w.Reason)+string(w.Mode), fsm.NoteGate, text, &w)
		return
	}
	why := l.closing()
	switch {
	case why != "":
		l.accept(w)
		l.finish(l.unbegun(w, fsm.Interrupted, why))
	case l.running != nil:
		l.takeOver(w)
	case l.booting:
		l.accept(w)
		l.replaceNext(w)
		l.Hint(fsm.Core) // somebody waits now
	default:
		l.accept(w)
		l.start(w)
	}
}

func (l *loop) takeOver(w fsm.Wish) {
	switch fsm.Decide(l.running.phase(), l.running.to, w) {
	case fsm.Join:
		l.accept(w)
		l.drop(fsm.Superseded, followed) // as one that waits for a boot's own attempt
		l.joined = append(l.joined, w.ID)
	case fsm.WalkOff, fsm.StopNext:
		l.accept(w)
		l.replaceNext(w)
		l.running.halt(fsm.HaltSupersede)
	case fsm.Queue:
		l.accept(w)
		l.replaceNext(w)
	case fsm.Refuse:
		l.note(fsm.NoteGate, fmt.Sprintf("a background wish for %s (%s) does not take over a running attempt", w.Mode, w.Reason), &w)
	}
	l.publish()
}

func (l *loop) accept(w fsm.Wish) {
	l.snap.Wish = &w
	clear(l.told)
	l.triggers.afresh()
	l.waitFor(nil, "")
	l.publish()
}

// replaceNext makes w the wish that follows; the one it replaces ends as
// superseded, so that whoever waits for it is told.
func (l *loop) replaceNext(w fsm.Wish) {
	l.drop(fsm.Superseded, followed)
	l.next = &w
}

const followed = "another wish came before it could begin"

// drop ends the wish that waits, if one does, without an attempt.
func (l *loop) drop(out fsm.Outcome, cause string) {
	if w := l.next; w != nil {
		l.next = nil
		l.finish(l.unbegun(*w, out, cause))
	}
}

func (l *loop) cancelled(by fsm.Caller) {
	if l.running == nil {
		l.triggers.afresh()
		l.triggers.not = time.Now().Add(max(again, l.opt.Policy.Idle.After))
		l.waitFor(nil, "")
	}
	l.drop(fsm.Cancelled, "cancelled"+by.By()+" before it could begin")
	if l.running != nil {
		l.running.cancelled(by)
	}
	l.publish()
}
