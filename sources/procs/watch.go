package procs

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sources/poll"
)

// Watcher tells when a process that matters may have started or ended, for as
// long as Watch runs; before and after it holds nothing open. It tells no facts:
// a look at /proc does (D20).
//
// Its cost is bounded however many programs start. What comes is read in bulk and
// then not listened to for Pause, so that it wakes at most twice in that time; and
// a pass over the processes, which finds those whose end to wait for, is made only
// after a start of interest, and never for more than a twentieth of the time.
//
// Seen are programs in the folders where those of the names are found when Watch
// begins. One that is executed elsewhere, as from a home, is found by the next
// pass only; guards look for themselves.
type Watcher struct {
	Root  string                 // the /proc tree
	Names map[string]fsm.Subject // by the executable's name, see Interests
	Dirs  []string               // patterns of the folders to look in; nil: the usual ones
	Pause time.Duration          // 0: DefaultPause
	Hint  func(fsm.Subject)

	again  atomic.Pointer[context.CancelFunc]
	counts [countKinds]atomic.Int64
}

// DefaultPause is for how long after an event no other is listened to.
const DefaultPause = 100 * time.Millisecond

// settle is after how long a start is looked into once more: a program on a slow
// disk may not have become itself by the first time.
const settle = time.Second

// share is the part of the time that passes over the processes may take, as the
// factor of their duration that lies between two.
const share = 20

// Again has the folders looked for once more, as after a switch of the system's
// profile. It does nothing while Watch does not run.
func (w *Watcher) Again() {
	if end := w.again.Load(); end != nil {
		(*end)()
	}
}

// Watch hints until ctx ends; it then returns nil. It gives one hint about
// everything of interest as soon as nothing can be missed any more. An error says
// why the kernel does not tell, such as a file system or a sandbox without
// fanotify: there are no hints then.
func (w *Watcher) Watch(ctx context.Context) error {
	for {
		session, end := context.WithCancel(ctx)
		w.again.Store(&end)
		err := w.session(session)
		end()
		if err != nil || ctx.Err() != nil {
			w.again.Store(nil)
			return err
		}
	}
}

// watch is one session with the kernel.
type watch struct {
	*Watcher
	at    resolved
	set   *poll.Set
	execs *execs
	exits *exits
	alive map[int]fsm.Subject // processes of interest, by the last pass

	due   time.Time   // of the next pass; zero: none is wanted
	after time.Time   // of the one that follows it
	next  time.Time   // no pass before
	fresh fsm.Subject // what started since the last pass is of interest for
	crowd bool        // there were more processes of interest than are waited for
}

func (w *Watcher) session(ctx context.Context) error {
	at := resolve(w.folders(), w.Names)
	x, err := openExecs(at.dirs)
	if err != nil {
		return err
	}
	defer x.close()
	set, err := poll.New()
	if err != nil {
		return err
	}
	defer set.Close()
	s := &watch{Watcher: w, at: at, set: set, execs: x, exits: newExits(set)}
	defer s.exits.close()
	if err := set.Add(x.fd); err != nil {
		return err
	}
	err = s.serve(ctx)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (w *Watcher) folders() []string {
	if w.Dirs != nil {
		return w.Dirs
	}
	return places
}

// serve makes the first pass, hints, and then goes round: wait, take all that has
// come, hint once, pause.
func (s *watch) serve(ctx context.Context) error {
	if _, err := s.pass(ctx); err != nil {
		return err
	}
	s.Hint(s.everything())
	for {
		ready, err := s.set.Wait(ctx, s.until())
		if err != nil {
			return err
		}
		s.counts[wakes].Add(1)
		about, err := s.happened(ready)
		if err != nil {
			return err
		}
		if at := s.until(); !at.IsZero() && !time.Now().Before(at) {
			more, err := s.pass(ctx)
			if err != nil {
				return err
			}
			about |= more
		}
		if about != 0 {
			s.Hint(about)
		}
		if err := s.pause(ctx); err != nil {
			return err
		}
		if slices.Contains(ready, s.execs.fd) {
			if err := s.set.Again(s.execs.fd); err != nil {
				return err
			}
		}
	}
}

func (s *watch) everything() fsm.Subject {
	var all fsm.Subject
	for _, about := range s.Names {
		all |= about
	}
	return all
}

// happened takes what the ready files tell.
func (s *watch) happened(ready []int) (fsm.Subject, error) {
	var about fsm.Subject
	for _, fd := range ready {
		if fd == s.execs.fd {
			started, err := s.started()
			if err != nil {
				return 0, err
			}
			about |= started
		} else if pid, ok := s.exits.ended(fd); ok {
			s.counts[ends].Add(1)
			about |= s.alive[pid]
			delete(s.alive, pid)
			if s.crowd && s.due.IsZero() {
				s.due = time.Now()
			}
		}
	}
	return about, nil
}

// started reads which programs were executed. After one of interest the processes
// are looked through twice: right after the pause, and once it has surely become
// itself.
func (s *watch) started() (fsm.Subject, error) {
	var about fsm.Subject
	lost, err := s.execs.drain(func(name []byte) {
		s.counts[execsTold].Add(1)
		if a := s.at.about(name); a != 0 {
			s.counts[starts].Add(1)
			about |= a
		}
	})
	if lost {
		s.counts[losses].Add(1)
		about = s.everything()
	}
	if about != 0 {
		s.fresh |= about
		s.after = time.Now().Add(settle)
		if s.due.IsZero() { // one that is due is not put off by those that come
			s.due = time.Now().Add(s.pauseTime())
		}
	}
	return about, err
}

// until is when the next pass may be made, zero if none is wanted.
func (s *watch) until() time.Time {
	if !s.due.IsZero() && s.due.Before(s.next) {
		return s.next
	}
	return s.due
}

// pass looks through all processes for those of interest and waits for their end.
// It returns what those are of interest for that came, went unseen, or started
// since the last pass: one may have come and gone, and somebody looked in between.
func (s *watch) pass(ctx context.Context) (fsm.Subject, error) {
	began := time.Now()
	s.counts[passes].Add(1)
	now, err := s.find(ctx)
	if err != nil {
		return 0, err
	}
	about := s.fresh
	s.fresh, s.due, s.after, s.crowd = 0, s.after, time.Time{}, false
	for pid, why := range now {
		there, err := s.exits.add(pid)
		switch {
		case errors.Is(err, errCrowded):
			s.crowd = true
		case err != nil:
			return 0, err
		case !there:
			delete(now, pid)
			about |= why
		}
	}
	for pid, why := range now {
		about |= why &^ s.alive[pid]
	}
	for pid, why := range s.alive {
		if _, still := now[pid]; !still {
			s.exits.drop(pid)
			about |= why
		}
	}
	s.alive = now
	s.next = time.Now().Add(share * time.Since(began))
	return about, nil
}

// find tells the processes of interest.
func (s *watch) find(ctx context.Context) (map[int]fsm.Subject, error) {
	t, err := scan(ctx, s.Root, wanted{names: true})
	if err != nil {
		return nil, err
	}
	defer t.close()
	out := map[int]fsm.Subject{}
	for _, p := range t.procs {
		if about := s.at.process(p); about != 0 {
			out[p.pid] = about
		}
	}
	return out, nil
}

func (w *Watcher) pauseTime() time.Duration {
	if w.Pause > 0 {
		return w.Pause
	}
	return DefaultPause
}

// pause lets time pass without listening.
func (s *watch) pause(ctx context.Context) error {
	t := time.NewTimer(s.pauseTime())
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
