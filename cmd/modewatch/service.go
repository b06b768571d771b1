package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/fsm"
)

// controllerUnit is the unit that makes one attempt where no daemon runs (D18).
func controllerUnit(m fsm.Mode) string { return "mode-controller@" + string(m) + ".service" }

// job is the job of a unit that makes an attempt.
type job interface {
	// over gets the job's result when the job is over.
	over() <-chan string
	// exit returns the exit code of the unit's main process, after that.
	exit(ctx context.Context, result string) (int, error)
	close()
}

// service is a unit's job that was asked for over the bus.
type service struct {
	conn   *dbus.Conn
	unit   string
	done   chan string
	cancel context.CancelFunc
}

// How long the bus may take to answer, and a unit to stop: mode-controller@ has
// two minutes for the way back.
const (
	busTime  = 30 * time.Second
	stopTime = 3 * time.Minute
)

// startService starts a unit as root, or as polkit lets the caller. The
// connection lives until it is closed, but the start itself is bounded.
func startService(ctx context.Context, unit string) (job, error) {
	ctx, cancel := context.WithCancel(ctx)
	slow := time.AfterFunc(busTime, cancel)
	defer slow.Stop()
	s, err := connect(ctx, unit)
	if err != nil {
		cancel()
		return nil, err
	}
	s.cancel = cancel
	if _, err := s.conn.StartUnitContext(ctx, unit, "replace", s.done); err != nil {
		s.close()
		return nil, busFault("start", unit, err)
	}
	return s, nil
}

// stopService stops a unit and waits until it is stopped.
func stopService(ctx context.Context, unit string) error {
	ctx, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	s, err := connect(ctx, unit)
	if err != nil {
		return err
	}
	s.cancel = cancel
	defer s.close()
	if _, err := s.conn.StopUnitContext(ctx, unit, "replace", s.done); err != nil {
		return busFault("stop", unit, err)
	}
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return broken("systemctl status "+unit, "cannot wait for the end of %s: %v", unit, ctx.Err())
	}
}

func connect(ctx context.Context, unit string) (*service, error) {
	conn, err := dbus.NewSystemConnectionContext(ctx)
	if err != nil {
		return nil, broken("is the system bus running?", "no controller runs, and %s cannot be started: %v", unit, err)
	}
	return &service{conn: conn, unit: unit, done: make(chan string, 1)}, nil
}

func (s *service) close()              { s.conn.Close(); s.cancel() }
func (s *service) over() <-chan string { return s.done }

// exited is the ExecMainCode of a process that ended by itself (CLD_EXITED).
const exited = 1

func (s *service) exit(ctx context.Context, result string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, busTime)
	defer cancel()
	code, err := s.property(ctx, "ExecMainCode")
	if err != nil {
		return 0, err
	}
	status, err := s.property(ctx, "ExecMainStatus")
	switch {
	case err != nil:
		return 0, err
	case result != "done" && result != "failed" || code != exited && code != 0:
		return 0, broken("journalctl -u "+s.unit+" tells more", "%s did not run to its end: its job ended as %q", s.unit, result)
	}
	return status, nil
}

func (s *service) property(ctx context.Context, name string) (int, error) {
	p, err := s.conn.GetServicePropertyContext(ctx, s.unit, name)
	if err != nil {
		return 0, fmt.Errorf("cannot read how %s ended: %w", s.unit, err)
	}
	n, ok := p.Value.Value().(int32)
	if !ok {
		return 0, fmt.Errorf("cannot read how %s ended: %s is %s", s.unit, name, p.Value)
	}
	return int(n), nil
}

// busFault gives the manager's refusals the exit code and the hint they deserve.
func busFault(verb, unit string, err error) error {
	var refused godbus.Error
	if !errors.As(err, &refused) {
		return fmt.Errorf("cannot %s %s: %w", verb, unit, err)
	}
	switch refused.Name {
	case "org.freedesktop.DBus.Error.AccessDenied", "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired":
		return notAllowed("run it as root, or let polkit give you org.freedesktop.systemd1.manage-units for this unit",
			"you may not %s %s", verb, unit)
	case "org.freedesktop.systemd1.NoSuchUnit", "org.freedesktop.systemd1.LoadFailed":
		return broken("are the units of modewatch installed? then systemctl daemon-reload", "%s does not exist", unit)
	}
	return fmt.Errorf("cannot %s %s: %w", verb, unit, err)
}
