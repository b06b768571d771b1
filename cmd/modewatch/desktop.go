package main

import (
	"context"
	"html"
	"slices"
	"sync/atomic"
	"time"

	"github.com/godbus/dbus/v5"
)

// What shows notices on a desktop (Desktop Notifications Specification 1.2).
const (
	notifier     = "org.freedesktop.Notifications"
	notifierPath = dbus.ObjectPath("/org/freedesktop/Notifications")
	notifyWithin = 5 * time.Second
	cancelKey    = "cancel"
)

// desktop is the one place on a desktop where a notice is shown.
type desktop struct {
	env
	files files
	conn  *dbus.Conn
	id    atomic.Uint32 // of what stands there
	told  string        // the trouble that was told last
}

// call waits for the answer even of who is about to end: what is shown can be taken
// away only by its id.
func (d *desktop) call(method string, args ...any) *dbus.Call {
	ctx, cancel := context.WithTimeout(context.Background(), notifyWithin)
	defer cancel()
	return d.conn.Object(notifier, notifierPath).CallWithContext(ctx, notifier+"."+method, 0, args...)
}

// show puts a notice in the place of the one before. Where nothing shows it, that is
// told once for each cause, and the next one is tried.
func (d *desktop) show(n notice) {
	var able []string
	err := d.call("GetCapabilities").Store(&able)
	if err == nil {
		var id uint32
		err = d.call("Notify", n.arguments(d.id.Load(), able)...).Store(&id)
		d.id.Store(id)
	}
	switch {
	case err == nil || d.conn.Context().Err() != nil:
		d.told = ""
	case err.Error() != d.told:
		d.told = err.Error()
		d.note("no notice can be shown: " + tame(d.told, false))
	}
}

// arguments are those of Notify, in the place of notice id, for who is able to do what.
func (n notice) arguments(id uint32, able []string) []any {
	body := tame(n.body, false)
	if slices.Contains(able, "body-markup") {
		body = html.EscapeString(body)
	}
	actions := []string{}
	if n.cancel && slices.Contains(able, "actions") {
		actions = []string{cancelKey, "Cancel"}
	}
	hints := map[string]dbus.Variant{"urgency": dbus.MakeVariant(n.urgency)}
	lasts := int32(-1) // as long as is usual there
	if n.progress >= 0 {
		hints["value"], hints["transient"], lasts = dbus.MakeVariant(int32(n.progress)), dbus.MakeVariant(true), 0
	}
	return []any{"modewatch", id, "computer", tame(n.summary, false), body, actions, hints, lasts}
}

// actions has the signals of what a person does with a notice come in.
func (d *desktop) actions() chan *dbus.Signal {
	c := make(chan *dbus.Signal, 16)
	d.conn.Signal(c)
	ctx, cancel := context.WithTimeout(context.Background(), notifyWithin)
	defer cancel()
	if err := d.conn.AddMatchSignalContext(ctx, dbus.WithMatchInterface(notifier), dbus.WithMatchObjectPath(notifierPath)); err != nil {
		d.note("no transition can be cancelled by its notice: " + err.Error())
	}
	return c
}

// listen cancels the attempt whose notice asks for it, until the bus goes away.
func (d *desktop) listen(signals <-chan *dbus.Signal) {
	for s := range signals {
		var id uint32
		var key string
		if s.Name != notifier+".ActionInvoked" || dbus.Store(s.Body, &id, &key) != nil || key != cancelKey || id != d.id.Load() {
			continue
		}
		if _, err := d.deliver(d.files, cancel()); err != nil {
			d.fail(askFault(err))
		}
	}
}

// close takes away what is shown.
func (d *desktop) close() {
	if id := d.id.Load(); id != 0 {
		_ = d.call("CloseNotification", id).Err // it goes with its bus, else by itself
	}
}
