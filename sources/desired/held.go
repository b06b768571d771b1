package desired

import (
	"context"
	"path/filepath"
	"reflect"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sources/procs"
)

// relookHolds is the time between two looks at holds whose end nothing announces:
// where their directory cannot be watched, or the process is not known.
const relookHolds = 30 * time.Second

// WatchHolds tells the holds in force, and again whenever they change, until ctx ends.
// A hold begins and is released by a change of their directory, and ends with a
// process or at a time; at rest nothing is done.
func (s *Store) WatchHolds(ctx context.Context, tell func([]fsm.Hold)) {
	var told []fsm.Hold
	for first := true; ctx.Err() == nil; first = false {
		w, err := fsnotify.NewWatcher()
		if err == nil {
			err = w.Add(s.path(holdsName))
		}
		// Watched first, then looked at: what comes in between is an event.
		now := s.holdsNow(ctx)
		if first || !reflect.DeepEqual(now, told) {
			told = now
			tell(now)
		}
		s.awaitHolds(ctx, w, now, err != nil)
		if w != nil {
			w.Close()
		}
	}
}

// holdsNow lists the holds; what cannot be read is told as one that says so.
func (s *Store) holdsNow(ctx context.Context) []fsm.Hold {
	all, err := s.Holds(ctx)
	if err != nil && ctx.Err() == nil {
		all = append(all, fsm.Hold{Why: "cannot be read: " + err.Error(), By: fsm.NoCaller})
	}
	return all
}

// awaitHolds returns when the holds may be others than all.
func (s *Store) awaitHolds(ctx context.Context, w *fsnotify.Watcher, all []fsm.Hold, blind bool) {
	ctx, stop := context.WithCancel(ctx)
	over := make(<-chan time.Time)
	if d := untilChange(all, blind); d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		over = timer.C
	}
	ended := procs.FirstEnd(ctx, holders(all))
	defer func() { stop(); <-ended }()
	var events <-chan fsnotify.Event
	if w != nil {
		events = w.Events
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-over:
			return
		case <-ended:
			return
		case e := <-events:
			if !draft(filepath.Base(e.Name)) {
				return
			}
		}
	}
}

// untilChange is the time until a hold ends, or until the next look where nothing
// would tell; 0 for never.
func untilChange(all []fsm.Hold, blind bool) (d time.Duration) {
	soonest := func(in time.Duration) {
		if in = max(in, time.Second); d == 0 || in < d {
			d = in
		}
	}
	if blind {
		soonest(relookHolds)
	}
	for _, h := range all {
		switch {
		case !h.Until.IsZero():
			soonest(time.Until(h.Until))
		case h.By.PID == 0:
			soonest(relookHolds)
		}
	}
	return d
}

// holders are the processes with whose end a hold ends.
func holders(all []fsm.Hold) (pids []int) {
	for _, h := range all {
		if h.By.PID > 0 && h.Until.IsZero() {
			pids = append(pids, h.By.PID)
		}
	}
	return pids
}
