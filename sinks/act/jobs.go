package act

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// The two job modes in use. Both may replace queued jobs that conflict.
const (
	replace     = "replace"
	isolateMode = "isolate"
)

// action is what a job does, as the errors call it.
type action string

const (
	starting  action = "start"
	stopping  action = "stop"
	isolating action = "isolate"
)

// stopsWithin is how long an isolate waits for the stops that it began: most end in
// that time, and a look before takes it from the manager, which has to see to them.
const stopsWithin = 100 * time.Millisecond

// job is a job that a manager has taken on.
type job struct {
	do     action
	unit   string
	result chan string
}

// begin has the manager take on a job.
func (m *manager) begin(ctx context.Context, do action, unit, mode string) (job, error) {
	j := job{do, unit, make(chan string, 1)} // go-systemd's dispatcher blocks on an unread channel
	call := m.StartUnitContext
	if do == stopping {
		call = m.StopUnitContext
	}
	if _, err := call(ctx, unit, mode, j.result); err != nil {
		return job{}, refusal(do, unit, err)
	}
	return j, nil
}

// await returns when the job ended, ctx is done or the connection is lost. In
// the last two cases nobody knows how the job ends: the caller observes.
func (m *manager) await(ctx context.Context, j job) error {
	select {
	case r := <-j.result:
		return outcome(j.do, j.unit, r)
	case <-m.lost:
		return fmt.Errorf("cannot follow the %s job of %s: %w", j.do, j.unit, errLost)
	case <-ctx.Done():
		return fmt.Errorf("cannot %s %s: its job is still running: %w", j.do, j.unit, context.Cause(ctx))
	}
}

// do begins a job and awaits its end.
func (m *manager) do(ctx context.Context, do action, unit, mode string) error {
	j, err := m.begin(ctx, do, unit, mode)
	if err != nil {
		return err
	}
	return m.await(ctx, j)
}

// outcome maps the result of a job. The words are systemd's: failed, timeout,
// dependency, assert, canceled, skipped and some rarer ones.
func outcome(do action, unit, result string) error {
	if result == "done" {
		return nil
	}
	return fmt.Errorf("cannot %s %s: job result %s", do, unit, result)
}

const systemdErrors = systemd + "."

var errMasked = errors.New("it is masked")

// refusal maps the error of a call that a job was asked for with.
func refusal(do action, unit string, err error) error {
	var e dbus.Error
	if !errors.As(err, &e) || !strings.HasPrefix(e.Name, systemdErrors) {
		return fmt.Errorf("cannot %s %s: %w", do, unit, err)
	}
	name := strings.TrimPrefix(e.Name, systemdErrors)
	switch name {
	case "NoSuchUnit":
		if strings.Contains(e.Error(), unit) {
			return fmt.Errorf("cannot %s %s: %w", do, unit, ErrNotFound)
		} // else one that it requires is missing, which nothing may pass over
	case "UnitMasked":
		return fmt.Errorf("cannot %s %s: %w", do, unit, errMasked)
	}
	return fmt.Errorf("cannot %s %s: %s: %s", do, unit, name, strings.TrimSuffix(e.Error(), "."))
}

// systemJob does a job of the system's manager.
func (a *Actor) systemJob(ctx context.Context, do action, unit, mode string) error {
	m, err := a.manager(ctx)
	if err != nil {
		return fmt.Errorf("cannot %s %s: %w", do, unit, err)
	}
	return m.do(ctx, do, unit, mode)
}

// start starts a unit. The limit of starts (systemd.unit(5), StartLimitBurst=) is for
// what fails again and again by itself: a transition is somebody's act, and begins it
// anew where it is reached.
func (a *Actor) start(ctx context.Context, unit string) error {
	err := a.systemJob(ctx, starting, unit, replace)
	if err == nil || !strings.HasSuffix(unit, ".service") || ctx.Err() != nil {
		return err
	}
	var result string
	if a.get(ctx, unitObject(unit, "Service"), "Result", &result) != nil || result != "start-limit-hit" {
		return err
	}
	m, lost := a.manager(ctx)
	if lost != nil {
		return err
	}
	if m.ResetFailedUnitContext(ctx, unit) != nil {
		return err
	}
	return a.systemJob(ctx, starting, unit, replace)
}

// isolate starts a target and stops what it does not want. It refuses a target
// that is active, or whose state cannot be read. Stops that take long go on when it
// returns, but the manager is through with what it had to begin (D10).
func (a *Actor) isolate(ctx context.Context, target string) error {
	state, err := a.property(ctx, target, "ActiveState")
	switch {
	case err != nil:
		return fmt.Errorf("cannot isolate %s: cannot read its state: %w", target, err)
	case state == "active" || state == "reloading":
		return fmt.Errorf("cannot isolate %s: %w", target, ErrActive)
	}
	m, err := a.manager(ctx)
	if err != nil {
		return fmt.Errorf("cannot isolate %s: %w", target, err)
	}
	removed, unwatch := m.removals()
	defer unwatch()
	j, err := m.begin(ctx, isolating, target, isolateMode)
	if err != nil {
		// The manager says of a missing target only that it may not be isolated.
		if load, _ := a.property(ctx, target, "LoadState"); load == "not-found" {
			return fmt.Errorf("cannot isolate %s: %w", target, ErrNotFound)
		}
		return err
	}
	if err := m.await(ctx, j); err != nil {
		return err
	}
	m.seeStops(ctx, removed)
	return nil
}

// seeStops waits for the stops that are under way, but stopsWithin at most. Whether
// all came to their end is for the look that follows.
func (m *manager) seeStops(ctx context.Context, removed <-chan *dbus.Signal) {
	jobs, err := m.ListJobsContext(ctx) // the answer comes after what the manager had to begin
	if err != nil {
		return
	}
	open := map[dbus.ObjectPath]string{}
	for _, j := range jobs {
		if j.JobType == "stop" {
			open[j.JobPath] = j.Unit
		}
	}
	ctx, enough := context.WithTimeout(ctx, stopsWithin)
	defer enough()
	_ = follow(ctx, open, removed, func(string, string) {})
}

// follow waits until none of the open jobs is left, each with its unit, and tells the
// result of each.
func follow(ctx context.Context, open map[dbus.ObjectPath]string, removed <-chan *dbus.Signal, told func(unit, result string)) error {
	for len(open) > 0 {
		select {
		case s, ok := <-removed:
			if !ok {
				return errLost
			}
			if s.Name != jobRemoved || len(s.Body) < 4 {
				continue
			}
			path, _ := s.Body[1].(dbus.ObjectPath)
			if unit, ours := open[path]; ours {
				result, _ := s.Body[3].(string)
				told(unit, result)
				delete(open, path)
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// removals brings every signal of the connection, that of a job's end among them,
// until the returned function is called.
func (m *manager) removals() (<-chan *dbus.Signal, func()) {
	signals := make(chan *dbus.Signal, 64)
	m.raw.Signal(signals)
	return signals, func() { m.raw.RemoveSignal(signals) }
}

// property reads a property of a unit that is a string.
func (a *Actor) property(ctx context.Context, unit, name string) (string, error) {
	var value string
	err := a.get(ctx, unitObject(unit, "Unit"), name, &value)
	return value, err
}
