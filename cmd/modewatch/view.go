package main

import (
	"cmp"
	"context"
	"strings"

	"github.com/modewatch/modewatch/cmd/modewatch/early"
	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/config"
)

// view is what a read verb knows: what a running controller says, or what was
// observed just now for want of one (D18).
type view struct {
	Snapshot fsm.Snapshot
	Desired  fsm.Mode // what stands in the file, "" if nothing does
	Live     bool     // the snapshot is a running controller's
	Once     bool     // that controller makes a single attempt, it is no daemon
	Locked   bool     // somebody holds the lock, though the snapshot is not his
}

// current is the observed word of section 23.2: the mode, or transitioning
// while an attempt is under way, or failed-transition after one that left the
// host out of order.
func (v view) current() fsm.State {
	s := v.Snapshot
	switch {
	case v.Live:
		return s.Current()
	case v.Locked && v.wanted() != "" && v.wanted() != s.Observation.Mode:
		return fsm.Transitioning
	case !v.Live && v.failed():
		return fsm.FailedTransition
	}
	return fsm.State(s.Observation.Mode)
}

// state is the controller's state; without a controller it is the current word.
func (v view) state() fsm.State {
	if v.Live {
		return v.Snapshot.State
	}
	return v.current()
}

// failed tells whether the last attempt left a failure that no clean
// observation has ended, as a daemon would remember it (D6).
func (v view) failed() bool {
	last, o := v.Snapshot.Last, v.Snapshot.Observation
	return last != nil && o.Mode != fsm.Unknown && fsm.Rests(last.Outcome, o) == fsm.FailedTransition && !fsm.Clean(o)
}

// wanted is the mode that is wished for, "" if none is. A word that was written
// while no controller ran is newer than the wish it kept.
func (v view) wanted() fsm.Mode {
	if v.Snapshot.Wish != nil && (v.Live || v.Desired == "") {
		return v.Snapshot.Wish.Mode
	}
	return v.Desired
}

// glance is see for the verbs that must be quick: while a controller runs in
// the usual place it does not even read the configuration.
func (e env) glance() (view, error) {
	if dir, ok := e.usualDir(); ok {
		if v, ok := (files{run: dir}).live(); ok {
			return v, nil
		}
	}
	cfg, err := e.load()
	if err != nil {
		return view{}, err
	}
	return e.see(cfg)
}

// usualDir is where the files are unless the configuration says otherwise. It is
// not known where another configuration is named, which may say so.
func (e env) usualDir() (dir string, ok bool) {
	return cmp.Or(e.runDir, early.RunDir), e.runDir != "" || e.configFile == defaultConfig
}

// see returns what a running controller says, else what is observed.
func (e env) see(cfg config.Config) (view, error) {
	f := filesOf(cfg)
	v, ok := f.live()
	if !ok {
		return e.observe(cfg)
	}
	var err error
	v.Desired, err = f.desired()
	return v, err
}

// observe looks at the host for itself. What a running controller says of its
// own doing stands beside that, else what is on disk.
func (e env) observe(cfg config.Config) (view, error) {
	f := filesOf(cfg)
	v, live := f.live()
	if !live {
		locked, err := f.dirs().Alive()
		if err != nil {
			return view{}, err
		}
		v.Locked = locked
	}
	host, done := e.host(cfg)
	defer done()
	ctx, cancel := context.WithTimeout(context.Background(), cfg.Policy.Deadlines.Observe)
	defer cancel()
	facts := host.Observe(ctx, fsm.Query{About: fsm.Core})
	v.Snapshot.Schema, v.Snapshot.At = fsm.Schema, facts.At
	v.Snapshot.Observation = fsm.Classify(facts, cfg.Policy)
	if live {
		return v, nil
	}
	err := f.remembered(&v)
	return v, err
}

// remembered fills in what the files say of the wish and the last attempt.
func (f files) remembered(v *view) (err error) {
	if v.Desired, err = f.desired(); err != nil {
		return err
	}
	if v.Snapshot.Wish, err = f.wish(); err != nil {
		return err
	}
	v.Snapshot.Last, err = f.last()
	return err
}

// byController tells whether a holder of the lock is an attempt of
// mode-controller@ and not the daemon.
func byController(who string) bool { return strings.HasPrefix(who, "mode-controller@") }
