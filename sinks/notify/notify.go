// Package notify tells systemd how the daemon is: ready, reloading, stopping,
// alive, and in one line what it is about. Outside systemd, where nobody wants
// to know, every call does nothing.
package notify

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/modewatch/modewatch/fsm"
)

// patience bounds a message to a manager that does not take it: the callers are
// the engine's loop and the writer of the run files.
const patience = 100 * time.Millisecond

// errBusy is the error of a message that the manager has not taken in time.
var errBusy = errors.New("cannot notify systemd: it takes no messages")

// notifier sends messages one at a time, in the order of the calls.
type notifier struct {
	turn chan struct{} // holds a token while a message is under way
	send func(string) error

	mu   sync.Mutex
	said string // the last status
}

// systemd is the notifier for the socket that the environment names.
var systemd = newNotifier(func(state string) error {
	_, err := daemon.SdNotify(false, state)
	return err
})

func newNotifier(send func(string) error) *notifier {
	return &notifier{turn: make(chan struct{}, 1), send: send}
}

// Ready tells that start or reload is over. It is told before any attempt (D11).
func Ready() error { return systemd.tell(daemon.SdNotifyReady) }

// Reloading tells that the configuration is read again; Ready must follow.
func Reloading() error {
	return systemd.tell(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
}

// Stopping tells that the daemon ends, which may take as long as a step.
func Stopping() error { return systemd.tell(daemon.SdNotifyStopping) }

// Status sets the line that "systemctl status" shows to Text of the snapshot.
// The same line is sent once.
func Status(s fsm.Snapshot) error { return systemd.status(Text(s)) }

// Alive is the watchdog's ping. Only the engine's loop may call it: a ping from
// anywhere else would say nothing. It waits for nothing, and one that fails is not
// told: there is nobody to hear of it but systemd, which then misses the ping.
func Alive() { systemd.post(daemon.SdNotifyWatchdog) }

// Interval returns how often Alive is to be called: half the time after which
// systemd would kill the daemon, 0 if it has no watchdog.
func Interval() time.Duration {
	d, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return 0 // not systemd's writing
	}
	return d / 2
}

func (n *notifier) status(line string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if line == n.said {
		return nil
	}
	if err := n.tell("STATUS=" + line); err != nil {
		return err
	}
	n.said = line
	return nil
}

// post sends one message after those under way, and waits for none: at rest it is
// all that the daemon does.
func (n *notifier) post(state string) {
	go func() {
		n.turn <- struct{}{}
		_ = n.send(state)
		<-n.turn
	}()
}

// tell sends one message. Sending can hang if the manager does; the goroutine
// is then left with it, and later messages give up until it is back.
func (n *notifier) tell(state string) error {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case n.turn <- struct{}{}:
	case <-late.C:
		return errBusy
	}
	sent := make(chan error, 1)
	go func() { sent <- n.send(state); <-n.turn }()
	select {
	case err := <-sent:
		if err != nil {
			return fmt.Errorf("cannot notify systemd: %w", err)
		}
		return nil
	case <-late.C:
		return errBusy
	}
}
