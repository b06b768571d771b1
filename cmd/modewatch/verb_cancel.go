package main

import (
	"context"
	"fmt"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sources/desired"
)

// runCancel has the attempt under way walked back, and tells how it ended. It
// exits with 0 once nothing is under way nor waited for, unless the host was left out of order.
func runCancel(e env, _ []string) (int, error) {
	cfg, err := e.load()
	if err != nil {
		return 0, err
	}
	f := filesOf(cfg)
	v, live := f.live()
	switch {
	case live && v.Snapshot.Attempt == nil && v.Snapshot.Waits != "":
		if _, err := e.deliver(f, cancel()); err != nil {
			return 0, askFault(err)
		}
		e.say("Nothing is under way. No longer waited for: %s", v.Snapshot.Waits)
		return 0, nil
	case !live || v.Snapshot.Attempt == nil:
		e.say("Nothing is under way.")
		return 0, nil
	}
	running := *v.Snapshot.Attempt
	if running.Phase == fsm.After {
		e.say("The point of no return is passed: the attempt is walked back, but a session that has ended does not come back.")
	}
	if v.Once {
		return e.stopOnce(f, running)
	}
	w := e.follower(f)
	w.ours = func(a fsm.Attempt) bool { return a.ID == running.ID }
	w.known = func(s fsm.Snapshot) bool { return s.Attempt != nil && s.Attempt.ID == running.ID }
	if _, err := e.deliver(f, cancel()); err != nil {
		return 0, askFault(err)
	}
	a, err := e.follow(w)
	return e.cancelled(a, err)
}

func cancel() fsm.Command {
	return fsm.Command{Verb: fsm.VerbCancel, ID: desired.NewID(), By: self()}
}

// stopOnce stops the unit that makes a single attempt, and tells how it ended.
func (e env) stopOnce(f files, running fsm.Running) (int, error) {
	unit := controllerUnit(running.To)
	if err := e.stop(context.Background(), unit); err != nil {
		return 0, err
	}
	last, err := f.last()
	if err == nil && (last == nil || last.ID != running.ID) {
		err = broken(e.prog+" status shows where this host is", "%s was stopped and left no record", unit)
	}
	if err != nil {
		return 0, err
	}
	return e.cancelled(*last, nil)
}

func (e env) cancelled(a fsm.Attempt, err error) (int, error) {
	code, err := e.result(a, err)
	switch a.Outcome {
	case fsm.Degraded, fsm.Failed:
		return code, err
	case fsm.Reached, fsm.Noop:
		if err == nil && !e.asJSON {
			e.say("%s", fmt.Sprintf("It had ended before it could be cancelled; %s request MODE goes back.", e.prog))
		}
	}
	if code == exitDetached {
		return code, err
	}
	return 0, err
}
