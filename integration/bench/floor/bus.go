package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/godbus/dbus/v5"
)

const (
	systemd    = "org.freedesktop.systemd1"
	logind     = "org.freedesktop.login1"
	properties = "org.freedesktop.DBus.Properties"
)

// link is one connection with its signals, in order.
type link struct {
	conn    *dbus.Conn
	signals chan *dbus.Signal
}

// dial connects and authenticates; address is "" for the system bus.
func dial(address string) (*link, error) {
	connect := dbus.SystemBusPrivate
	if address != "" {
		connect = func(opts ...dbus.ConnOption) (*dbus.Conn, error) { return dbus.Dial(address, opts...) }
	}
	conn, err := connect(dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
	if err != nil {
		return nil, err
	}
	if err := conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Getuid()))}); err != nil {
		return nil, err
	}
	l := &link{conn: conn, signals: make(chan *dbus.Signal, 16)}
	conn.Signal(l.signals)
	return l, nil
}

// dialSystem connects to the system bus and has the ends of jobs and of sessions
// told.
func dialSystem() (*link, error) {
	l, err := dial("")
	if err != nil {
		return nil, fmt.Errorf("cannot connect to the system bus: %w", err)
	}
	if err := l.conn.Hello(); err != nil {
		return nil, err
	}
	for _, rule := range []string{"sender='" + systemd + "',member='JobRemoved'", "sender='" + logind + "',member='SessionRemoved'"} {
		if err := l.conn.BusObject().Call("org.freedesktop.DBus.AddMatch", 0, "type='signal',"+rule).Err; err != nil {
			return nil, fmt.Errorf("cannot listen: %w", err)
		}
	}
	return l, nil
}

// dialUser connects to the manager of a user, by its private socket.
func dialUser(uid string) (*link, error) {
	l, err := dial("unix:path=/run/user/" + uid + "/systemd/private")
	if err != nil {
		return nil, fmt.Errorf("cannot connect to the manager of user %s: %w", uid, err)
	}
	// There is no bus to answer this call, which is long on purpose: systemd 257
	// may not look at a first call under some 190 bytes.
	_ = l.conn.BusObject().Call("org.freedesktop.DBus.AddMatch", 0, strings.Repeat("x", 256)).Err
	return l, l.call(context.Background(), nil, systemd, "/org/freedesktop/systemd1", systemd+".Manager.Subscribe")
}

func (l *link) close() { _ = l.conn.Close() }

// call calls a method and stores its answer in into, unless that is nil.
func (l *link) call(ctx context.Context, into any, service string, path dbus.ObjectPath, method string, args ...any) error {
	c := l.conn.Object(service, path).CallWithContext(ctx, method, 0, args...)
	if c.Err != nil || into == nil {
		return c.Err
	}
	return c.Store(into)
}

func (l *link) manager(ctx context.Context, into any, method string, args ...any) error {
	return l.call(ctx, into, systemd, "/org/freedesktop/systemd1", systemd+".Manager."+method, args...)
}

// next returns the next signal with the name.
func (l *link) next(ctx context.Context, name string) (*dbus.Signal, error) {
	for {
		select {
		case s, open := <-l.signals:
			if !open {
				return nil, fmt.Errorf("cannot wait for %s: the connection was lost", name)
			}
			if s.Name == name {
				return s, nil
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("cannot wait for %s: %w", name, ctx.Err())
		}
	}
}

// named tells whether err is the D-Bus error with the name.
func named(err error, name string) bool {
	e, ok := err.(dbus.Error)
	return ok && e.Name == name
}
