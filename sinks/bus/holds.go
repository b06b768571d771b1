package bus

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/fsm"
)

// hold keeps a hold for as long as a connection lives. Its end is listened for first:
// one that leaves in between is seen to have left.
func (c *client) hold(h fsm.Hold) error {
	_, holds := c.behind()
	if holds == nil {
		return errors.New("the daemon has not started yet")
	}
	if err := few(holds, h.By.UID); err != nil {
		return err
	}
	if err := c.watch(h.Client); err != nil {
		return fmt.Errorf("cannot tell when you leave the bus: %w", err)
	}
	if err := holds.Hold(h); err != nil {
		return err
	}
	if !c.there(h.Client, h.By) {
		return errors.Join(errors.New("you have left the bus"), c.end(holds, h.ID))
	}
	return nil
}

// mostHolds bounds those of one user's connections: each is a file under /run, which
// every look at the host reads.
const mostHolds = 64

// few refuses who has enough of them. Who asks at once may have a few more (turns).
func few(holds Holds, uid int) error {
	all, err := holds.Clients()
	if err != nil {
		return err
	}
	n := 0
	for _, h := range all {
		if h.By.UID == uid {
			n++
		}
	}
	if n >= mostHolds {
		return fmt.Errorf("you hold %d times already: release one", n)
	}
	return nil
}

// watch has the end of a connection told, by one rule for all of its holds: a bus lets
// nobody have more than some hundreds.
func (c *client) watch(name string) error {
	c.lives.Lock()
	defer c.lives.Unlock()
	if c.watched[name] {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	err := c.conn.AddMatchSignalContext(ctx, leaves(name)...)
	c.watched[name] = err == nil
	return err
}

// unwatch forgets a connection that has ended.
func (c *client) unwatch(name string) error {
	c.lives.Lock()
	defer c.lives.Unlock()
	if !c.watched[name] {
		return nil
	}
	delete(c.watched, name)
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	return c.conn.RemoveMatchSignalContext(ctx, leaves(name)...)
}

// leaves matches the end of a connection.
func leaves(name string) []dbus.MatchOption {
	return []dbus.MatchOption{dbus.WithMatchSender("org.freedesktop.DBus"), dbus.WithMatchInterface("org.freedesktop.DBus"),
		dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, name), dbus.WithMatchArg(2, "")}
}

// there tells whether a connection is on the bus, and of that process. Where the bus
// does not say, it counts as there: the process of a hold is looked at all the same.
func (c *client) there(name string, by fsm.Caller) bool {
	var pid uint32
	err := c.ofBus("GetConnectionUnixProcessID", &pid, name)
	var e dbus.Error
	if errors.As(err, &e) {
		return e.Name != "org.freedesktop.DBus.Error.NameHasNoOwner"
	}
	return err != nil || by.PID == 0 || int(pid) == by.PID
}

// adopt takes up the holds that a predecessor of this daemon or connection left: those
// whose connection has gone end.
func (c *client) adopt() {
	_, holds := c.behind()
	if holds == nil {
		return
	}
	all, err := holds.Clients()
	if err != nil {
		c.log("the holds of connections to the bus cannot be read: " + err.Error())
	}
	for _, h := range all {
		err := c.watch(h.Client)
		if !c.there(h.Client, h.By) {
			err = c.end(holds, h.ID)
		}
		if err != nil { // it then ends with its process
			c.log("the hold " + h.ID + ": " + err.Error())
		}
	}
}

// left ends the holds of a connection that has gone.
func (c *client) left(sig *dbus.Signal) {
	if sig.Name != "org.freedesktop.DBus.NameOwnerChanged" || sig.Sender != "org.freedesktop.DBus" || len(sig.Body) != 3 {
		return
	}
	name, _ := sig.Body[0].(string)
	if heir, _ := sig.Body[2].(string); heir != "" {
		return
	}
	_, holds := c.behind()
	all, err := holds.Clients()
	for _, h := range all {
		if h.Client == name {
			err = errors.Join(err, c.end(holds, h.ID))
		}
	}
	if err = errors.Join(err, c.unwatch(name)); err != nil {
		c.log("the holds of " + name + ", which has left the bus, may stand: " + err.Error())
	}
}

func (c *client) end(holds Holds, id string) error {
	if err := holds.Release(id); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// release ends a hold for a user.
func (c *client) release(id string, uid int) *dbus.Error {
	_, holds := c.behind()
	if holds == nil {
		return failed(errors.New("the daemon has not started yet"))
	}
	all, err := holds.Clients()
	if err != nil {
		return failed(err)
	}
	for _, h := range all {
		switch {
		case h.ID != id:
			continue
		case uid != c.root && uid != h.By.UID:
			return refusal("org.freedesktop.DBus.Error.AccessDenied", "the hold %s is not yours", h.ID)
		}
		if err := c.end(holds, id); err != nil {
			return failed(err)
		}
		return nil
	}
	return refusal(Name+".Error.NoSuchHold", "there is no hold %.64q of a connection to the bus", id)
}
