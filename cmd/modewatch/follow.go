package main

import (
	"context"
	"fmt"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sinks/history"
)

// exitDetached is the exit code of a command that was left by Ctrl-C while the
// attempt goes on, as a shell tells of a command that ended by SIGINT.
const exitDetached = 130

// follower waits for the end of one attempt and shows how it gets on, from the
// files that the controller keeps (D18). Events of the directory wake it; once
// a second it looks without one, since a controller that dies makes none.
type follower struct {
	env   env
	files files
	ours  func(fsm.Attempt) bool  // tells the attempt that is waited for
	wish  string                  // its id, "" to follow an attempt whoever wished for it
	known func(fsm.Snapshot) bool // tells whether the controller has it in hand
	over  <-chan string           // the end of the job that makes the attempt, or nil
	job   string                  // its result
	every time.Duration           // between two looks without an event
	grace time.Duration           // for a dead controller to come back, and for a request to be taken
	live  *liveLine

	begun   time.Time // when the request was made
	last    string    // id of the last attempt at the last search of the history
	lost    time.Time // since when no controller is alive
	unheard time.Time // since when nothing is seen of the wish
}

func (e env) follower(f files) *follower {
	return &follower{env: e, files: f, begun: e.now(), every: e.every, grace: e.grace, live: e.liveLine()}
}

// errDetached says that the caller left before the end.
type errDetached struct{}

func (errDetached) Error() string { return "detached" }

// wait returns the finished attempt. It returns errDetached when ctx ends, and
// an error if there will be no such attempt.
func (w *follower) wait(ctx context.Context) (fsm.Attempt, error) {
	defer w.live.end()
	changes, err := fsnotify.NewWatcher()
	if err != nil {
		return fsm.Attempt{}, fmt.Errorf("cannot follow the attempt: %w", err)
	}
	defer changes.Close()
	if err := changes.Add(w.files.run); err != nil {
		return fsm.Attempt{}, fmt.Errorf("cannot follow the attempt in %s: %w", w.files.run, err)
	}
	tick := time.NewTicker(w.every)
	defer tick.Stop()
	for {
		if a, err := w.look(); a != nil || err != nil {
			return fromPtr(a), err
		}
		select {
		case <-changes.Events:
		case <-changes.Errors: // an overflow: look at everything, which look does
		case <-tick.C:
		case w.job = <-w.over:
			w.over = nil // its record may be still to come
		case <-ctx.Done():
			return fsm.Attempt{}, errDetached{}
		}
	}
}

func fromPtr(a *fsm.Attempt) fsm.Attempt {
	if a == nil {
		return fsm.Attempt{}
	}
	return *a
}

// look returns the attempt if it has ended, and shows what is under way if not.
func (w *follower) look() (*fsm.Attempt, error) {
	v, ok := w.files.live()
	if !ok {
		return w.withoutController()
	}
	w.lost = time.Time{}
	s := v.Snapshot
	if w.over != nil {
		w.show(s)
		return nil, nil // the end of its job is the end
	}
	if s.Last != nil && w.ours(*s.Last) {
		return s.Last, nil
	}
	if a, err := w.missed(s); a != nil || err != nil {
		return a, err
	}
	w.show(s)
	return nil, w.heard(s)
}

// missed finds an attempt that ended between two looks and was followed by
// another before we saw it. While an attempt runs and none has ended since the
// last search, there is nothing to search for.
func (w *follower) missed(s fsm.Snapshot) (*fsm.Attempt, error) {
	if s.Last == nil || s.Attempt != nil && s.Last.ID == w.last {
		return nil, nil
	}
	w.last = s.Last.ID
	all, _, err := w.files.history(history.Filter{Since: w.begun})
	for i := len(all) - 1; i >= 0; i-- {
		if w.ours(all[i]) {
			return &all[i], nil
		}
	}
	return nil, err
}

// heard ends a wait for what the controller does not have in hand.
func (w *follower) heard(s fsm.Snapshot) error {
	now := w.env.now()
	switch {
	case w.known == nil, w.known(s):
		w.unheard = time.Time{}
	case w.unheard.IsZero():
		w.unheard = now
	case now.Sub(w.unheard) >= w.grace:
		return broken("journalctl -u modewatch tells what became of it", "the controller has told nothing of it for %s", span(w.grace))
	}
	return nil
}

// show tells of the attempt under way, which may be one that runs before ours.
func (w *follower) show(s fsm.Snapshot) {
	switch r := s.Attempt; {
	case r == nil, w.known != nil && !w.known(s): // not taken up yet
	case w.wish == "", r.Wish.ID == w.wish, s.Wish != nil && r.To == s.Wish.Mode:
		w.live.running(*r, w.env.now())
	default:
		w.live.queued(*r, w.env.now())
	}
}

// withoutController handles a controller that is not there, or not there yet:
// the file of the last attempt may tell the end all the same.
func (w *follower) withoutController() (*fsm.Attempt, error) {
	if w.over != nil {
		return nil, nil // it has not begun yet, or is about to end
	}
	last, err := w.files.last()
	if err != nil {
		return nil, err
	}
	if last != nil && w.ours(*last) {
		return last, nil
	}
	if w.job != "" {
		return nil, errNoRecord
	}
	now := w.env.now()
	if w.lost.IsZero() {
		w.lost = now
		w.live.note(fmt.Sprintf("the controller has ended; waiting %s for it to come back", span(w.grace)))
	}
	if now.Sub(w.lost) < w.grace {
		return nil, nil
	}
	return nil, broken(w.env.prog+" status shows where this host is; systemctl status modewatch shows the controller",
		"the controller ended and left no record of this attempt")
}

// errNoRecord says that a unit ended without the record of an attempt.
var errNoRecord = fmt.Errorf("the attempt left no record")
