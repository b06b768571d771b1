package act

import (
	"context"
	"os"

	"github.com/godbus/dbus/v5"
)

// locks are what keeps the host up while an attempt runs: it does not sleep in the
// middle of one, and waits with a shutdown, for as long as logind lets it be delayed,
// until the running step is recorded. They end with the attempt, or with us.
var locks = [][2]string{{"sleep", "block"}, {"shutdown", "delay"}}

// inhibit takes the locks. Without them an attempt is as safe as it can be made
// otherwise, so that a refusal is told and nothing more.
func (a *Actor) inhibit(ctx context.Context) {
	for _, l := range locks {
		var fd dbus.UnixFD
		if err := a.call(ctx, logindManager, "Inhibit", l[0], "modewatch", "a transition is under way", l[1]).Store(&fd); err != nil {
			a.log("cannot keep the host from " + l[0] + " during the attempt: " + err.Error())
			continue
		}
		a.hold(os.NewFile(uintptr(fd), "inhibitor"))
	}
}

// hold keeps a lock until the attempt ends; it may have ended meanwhile.
func (a *Actor) hold(lock *os.File) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.busy.Load() || a.closed {
		lock.Close()
		return
	}
	a.inhibitors = append(a.inhibitors, lock)
}

// letGo ends the locks. a.mu is held.
func (a *Actor) letGo() {
	for _, lock := range a.inhibitors {
		lock.Close()
	}
	a.inhibitors = nil
}
