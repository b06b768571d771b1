package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sinks/bus"
	"github.com/modewatch/modewatch/sources/desired"
)

// askedWithin bounds a call for which polkit may ask a person for a password.
const askedWithin = 2 * time.Minute

// deliver puts a command into the spool; who may not write there asks over the bus,
// where polkit decides. It returns the id by which the daemon knows the command.
func (e env) deliver(f files, c fsm.Command) (id string, err error) {
	err = f.store().Ask(c)
	if !errors.Is(err, fs.ErrPermission) {
		return c.ID, err
	}
	return overBus(c)
}

// overBus makes the call that a command stands for.
func overBus(c fsm.Command) (id string, err error) {
	conn, err := dbus.ConnectSystemBus()
	if err != nil {
		return "", notOperator("the system bus cannot be asked either: " + err.Error())
	}
	defer conn.Close()
	none := map[string]dbus.Variant{}
	switch c.Verb {
	case fsm.VerbRequest:
		err = busCall(conn, &id, "Request", string(c.Mode), none)
	case fsm.VerbForce:
		err = busCall(conn, &id, "Request", string(c.Mode), map[string]dbus.Variant{"force": dbus.MakeVariant(true)})
	case fsm.VerbReconcile:
		err = busCall(conn, &id, "Reconcile", none)
	case fsm.VerbCancel:
		err = busCall(conn, nil, "Cancel", none)
	}
	return id, err
}

// busCall calls a method of the daemon, letting polkit ask whoever sits here.
func busCall(conn *dbus.Conn, out *string, method string, args ...any) error {
	ctx, cancel := context.WithTimeout(context.Background(), askedWithin)
	defer cancel()
	call := conn.Object(bus.Name, bus.Path).CallWithContext(ctx, bus.Face+"."+method,
		dbus.FlagNoAutoStart|dbus.FlagAllowInteractiveAuthorization, args...)
	if call.Err != nil {
		return callFault(call.Err)
	}
	if out == nil {
		return nil
	}
	return call.Store(out)
}

// callFault tells in words what a call came to.
func callFault(err error) error {
	var e dbus.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("cannot ask the daemon over the bus: %w", err)
	}
	switch e.Name {
	case "org.freedesktop.DBus.Error.AccessDenied", "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired":
		return notOperator(e.Error())
	case "org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner":
		return notOperator("the daemon is not on the bus either")
	}
	return fmt.Errorf("cannot ask the daemon over the bus: %w", err)
}

// notOperator is the fault of a caller whom neither the files nor polkit let (exit 32).
func notOperator(why string) error {
	return notAllowed(fmt.Sprintf("use sudo, or have root add you to group %s (usermod -aG %s USER) and log in again", desired.GroupName, desired.GroupName),
		"you may not ask the daemon for this: you are not in group %s, and %s", desired.GroupName, why)
}

// heldByBus is a hold that lasts as long as a connection.
type heldByBus struct {
	conn *dbus.Conn
	id   string
}

// Release ends the hold.
func (h heldByBus) Release() error {
	defer h.conn.Close()
	err := busCall(h.conn, nil, "Release", h.id)
	var e dbus.Error
	if errors.As(err, &e) && e.Name == bus.Name+".Error.NoSuchHold" {
		return fs.ErrNotExist
	}
	return err
}

// hold is released once what it is for is over.
type hold interface{ Release() error }

// hold keeps this host in its mode: by file, or over the bus for who may not write
// there. One with a span outlives this process only by file.
func (e env) hold(s *desired.Store, id, why string, span time.Duration) (hold, error) {
	held, err := s.Hold(id, why, span)
	if !errors.Is(err, fs.ErrPermission) || span > 0 {
		return held, err
	}
	conn, dial := dbus.ConnectSystemBus()
	if dial != nil {
		return nil, err
	}
	h := heldByBus{conn: conn}
	if err := busCall(conn, &h.id, "Hold", why, uint64(0)); err != nil {
		conn.Close()
		return nil, err
	}
	return h, nil
}
