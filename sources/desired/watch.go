package desired

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/modewatch/modewatch/fsm"
)

// maxBackOff bounds the time between two tries to watch again.
const maxBackOff = 30 * time.Second

// errLost says that the run directory or the spool went away.
var errLost = errors.New("the run directory went away")

// Watch tells ev of every wish and request until ctx ends; it then returns nil.
// It waits for the kernel's events on the directory and does nothing at rest. A
// directory that goes away is made again after the hold time (D4, D19).
func (s *Store) Watch(ctx context.Context, ev Events) error {
	defer s.forget()
	told, pause := "", hold
	for {
		err := s.session(ctx, ev)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errLost):
			told, pause = "", hold
		case err.Error() != told:
			told = err.Error()
			ev.Bad(fsm.Note{What: fsm.NoteSource, Text: told, At: time.Now()})
		}
		s.serve(ctx, ev, pause)
		if ctx.Err() != nil {
			return nil
		}
		pause = min(2*pause, maxBackOff)
	}
}

// serve takes what is delivered while there is nothing to watch.
func (s *Store) serve(ctx context.Context, ev Events, pause time.Duration) {
	over := time.After(pause)
	for {
		select {
		case <-ctx.Done():
			return
		case <-over:
			return
		case c := <-s.asked:
			ev.Command(c)
		}
	}
}

// watch is one session with the kernel.
type watch struct {
	*Store
	ev    Events
	timer *time.Timer
}

// session prepares the directories, watches them, takes what is there already
// and then what comes, until one of them goes away.
func (s *Store) session(ctx context.Context, ev Events) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("cannot watch %s: %w", s.Dir, err)
	}
	defer w.Close()
	if note, err := s.begin(w); err != nil {
		return err
	} else if note != "" {
		ev.Bad(fsm.Note{What: fsm.NoteSource, Text: note, At: time.Now()})
	}
	l := &watch{Store: s, ev: ev, timer: time.NewTimer(hold)}
	defer l.timer.Stop()
	l.timer.Stop()
	l.lookAll(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-w.Events:
			if l.happened(e) {
				return errLost
			}
		case err := <-w.Errors:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				return fmt.Errorf("cannot watch %s: %w", s.Dir, err)
			}
			l.lookAll(ctx)
		case <-l.timer.C:
			l.look()
		case c := <-s.asked:
			ev.Command(c)
		}
	}
}

// begin reads what was handled, prepares and watches; note is for the story.
func (s *Store) begin(w *fsnotify.Watcher) (note string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(); err != nil {
		note = fmt.Sprintf("%v; what %s says now is taken as handled", err, s.path(wordFile))
	}
	if err := s.prepare(); err != nil {
		return note, err
	}
	for _, dir := range []string{s.Dir, s.path(spoolName)} {
		if err := w.Add(dir); err != nil {
			return note, fmt.Errorf("cannot watch %s: %w", dir, err)
		}
	}
	return note, nil
}

// happened acts on one event and tells whether a watched directory is gone.
func (l *watch) happened(e fsnotify.Event) (lost bool) {
	gone := e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename)
	switch e.Name {
	case l.Dir, l.path(spoolName):
		return gone
	case l.path(wordFile):
		if e.Op != fsnotify.Chmod { // touch and chmod are no wishes
			l.look()
		}
		return false
	}
	if filepath.Dir(e.Name) == l.path(spoolName) && e.Has(fsnotify.Create) {
		l.take(filepath.Base(e.Name))
	}
	return false
}

func (l *watch) lookAll(ctx context.Context) {
	l.look()
	for _, name := range l.waiting() {
		if ctx.Err() != nil {
			return
		}
		l.take(name)
	}
}

func (l *watch) look() {
	f := l.Store.look()
	l.timer.Stop() // what it waited for was seen just now
	if f.again > 0 {
		l.timer.Reset(f.again)
	}
	for _, n := range f.notes {
		l.ev.Bad(n)
	}
	if f.wish != nil {
		l.ev.Wish(*f.wish)
	}
}

func (l *watch) take(name string) {
	c, err := l.fetch(name)
	switch {
	case err != nil:
		l.ev.Bad(fsm.Note{What: fsm.NoteBadWish, Text: err.Error(), At: time.Now()})
	case c != nil:
		l.ev.Command(*c)
	}
}

// forget closes the replaced files.
func (s *Store) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, old := range s.strays {
		old.file.Close()
	}
	s.strays = nil
}
