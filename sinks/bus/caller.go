package bus

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"

	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/fsm"
)

// newID returns an id for a wish or a hold.
func newID() string { return rand.Text()[:16] }

func sentBy(msg dbus.Message) string {
	name, _ := msg.Headers[dbus.FieldSender].Value().(string)
	return name
}

// caller tells who stands behind a name on the bus, as the bus itself saw it when the
// connection was made: uid and PID, and where that process is. (All credentials at
// once would have a descriptor among them, which this connection does not take.)
func (c *client) caller(name string) (fsm.Caller, error) {
	var uid, pid uint32
	if err := c.ofBus("GetConnectionUnixUser", &uid, name); err != nil {
		return fsm.NoCaller, fmt.Errorf("cannot tell who calls: %w", err)
	}
	by := fsm.Caller{UID: int(uid)}
	if err := c.ofBus("GetConnectionUnixProcessID", &pid, name); err != nil {
		return by, nil // the right is the user's; the process is for the record
	}
	if daemon, _ := c.behind(); daemon != nil && pid > 0 {
		if who, err := daemon.Who(int(pid)); err == nil && who.UID == by.UID {
			return who, nil // else another process has its number by now
		}
	}
	return by, nil
}

// ofBus asks the bus itself.
func (c *client) ofBus(method string, out any, args ...any) error {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	return c.conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus."+method, 0, args...).Store(out)
}

// turns bounds how many commands wait for polkit, and for a person behind it, at once:
// of one user, and of all.
type turns struct {
	mu  sync.Mutex
	of  map[int]int
	all int
}

const (
	turnsOfOne = 4
	turnsOfAll = 32
)

// take returns what ends the turn, nil if there is none left.
func (t *turns) take(uid int) func() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil {
		t.of = map[int]int{}
	}
	if t.of[uid] == turnsOfOne || t.all == turnsOfAll {
		return nil
	}
	t.of[uid]++
	t.all++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.all--
		if t.of[uid]--; t.of[uid] == 0 {
			delete(t.of, uid)
		}
	}
}
