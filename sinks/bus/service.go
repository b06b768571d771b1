// Package bus is org.modewatch1 on the system bus: what modewatch knows, as
// properties that tell when they change, and what it can be asked for, by whom
// polkit lets (specification section 20; sections 21 and 24 for what is told).
//
// The engine never waits for it: what is to be told is left in a mailbox. Each call
// is answered in a goroutine of its own, from what was told last.
package bus

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/fsm"
)

// The names of the service.
const (
	Name  = "org.modewatch1"
	Path  = dbus.ObjectPath("/org/modewatch1")
	Face  = "org.modewatch1.Manager"
	props = "org.freedesktop.DBus.Properties"
)

const (
	callTimeout = 5 * time.Second // for a question to the bus itself, and to polkit
	pauseFirst  = 100 * time.Millisecond
	pauseMost   = 30 * time.Second
)

// Reload is the one command that the spool does not know.
const Reload = "reload"

// Daemon is what stands behind the service.
type Daemon interface {
	// Do hands a command over, within ctx. What becomes of it is told later.
	Do(ctx context.Context, c fsm.Command) error
	// Ask answers a question with the document of a read verb, such as dry-run.
	Ask(ctx context.Context, verb string, args ...string) ([]byte, error)
	// Who describes a live process.
	Who(pid int) (fsm.Caller, error)
}

// Holds keeps the holds of callers, so that every other look finds them too.
type Holds interface {
	// Hold is in force until Release, or until the process of h.By has ended. h.Client
	// is the connection that holds, to be found again by a successor of this daemon.
	Hold(h fsm.Hold) error
	Release(id string) error
	// Clients are the holds that were made by a connection to the bus.
	Clients() ([]fsm.Hold, error)
}

// Service is the face on the bus. Use New.
type Service struct {
	connect func(context.Context) (*dbus.Conn, error)
	root    int // the uid that polkit is not asked about
	once    sync.Once
	answers answers
	turns   turns

	mu     sync.Mutex
	daemon Daemon
	holds  Holds
	tell   func(string)
	values map[string]any // the properties, as they were told last
	shown  fsm.Snapshot   // the one that Tell was told last
	served chan struct{}  // closed when others have found the service
	mail   mail
	wake   chan struct{}
}

// New returns a service that Run has yet to start.
func New(version string) *Service {
	s := &Service{connect: system, wake: make(chan struct{}, 1), served: make(chan struct{})}
	s.values = valuesOf(fsm.Snapshot{State: fsm.Boot, Observation: fsm.Observation{Mode: fsm.Unknown}})
	s.values["Version"], s.values["Guards"], s.values["Holds"] = version, verdictsOf(nil), holdsOf(nil)
	return s
}

// Behind sets what stands behind the service from now on. log is told, once for each
// cause, why the bus cannot be served, and what went wrong there.
func (s *Service) Behind(d Daemon, h Holds, log func(string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.daemon, s.holds, s.tell = d, h, log
}

func (s *Service) log(text string) {
	s.mu.Lock()
	tell := s.tell
	s.mu.Unlock()
	if tell != nil {
		tell(text)
	}
}

func (s *Service) behind() (Daemon, Holds) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.daemon, s.holds
}

// Served waits until the service is there for the first time, or ctx ends.
func (s *Service) Served(ctx context.Context) {
	select {
	case <-s.served:
	case <-ctx.Done():
	}
}

// Run serves the bus until ctx ends, and comes back with a growing pause when the
// bus goes away. Without a bus all else goes on.
func (s *Service) Run(ctx context.Context) {
	pause, told := pauseFirst, ""
	for ctx.Err() == nil {
		served, err := s.session(ctx)
		if served {
			pause, told = pauseFirst, ""
		}
		if err != nil && ctx.Err() == nil && err.Error() != told {
			told = err.Error()
			s.log("the bus service " + Name + " is not there: " + told)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, pauseMost)
	}
}

// session serves one connection until it or ctx ends. served says that others found
// the service on it.
func (s *Service) session(ctx context.Context) (served bool, err error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	conn, err := s.connect(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	c := &client{Service: s, conn: conn, gone: make(chan *dbus.Signal, 64), watched: map[string]bool{}}
	conn.Signal(c.gone)
	if err := c.export(); err != nil {
		return false, err
	}
	c.take() // what happened before anybody could listen is in the properties
	var reply dbus.RequestNameReply
	err = c.ofBus("RequestName", &reply, Name, uint32(dbus.NameFlagDoNotQueue))
	switch {
	case err != nil:
		return false, fmt.Errorf("cannot take its name: %w (is its policy installed?)", err)
	case reply != dbus.RequestNameReplyPrimaryOwner:
		return false, fmt.Errorf("somebody else has its name")
	}
	c.adopt()
	c.once.Do(func() { close(c.served) })
	return true, c.serve(ctx)
}

// client is the service on one connection.
type client struct {
	*Service
	conn *dbus.Conn
	gone chan *dbus.Signal // of names that vanish

	lives   sync.Mutex
	watched map[string]bool // the connections whose end is told
}

// export offers the object, before it can be found.
func (c *client) export() error {
	for face, object := range map[string]any{
		Face:                                  &manager{c},
		props:                                 &properties{c},
		"org.freedesktop.DBus.Introspectable": introspection{},
	} {
		if err := c.conn.Export(object, Path, face); err != nil {
			return fmt.Errorf("cannot offer %s: %w", face, err)
		}
	}
	return c.conn.Export(introspection{root: true}, "/", "org.freedesktop.DBus.Introspectable")
}

// serve tells what is left in the mailbox, and ends the holds of those who leave.
func (c *client) serve(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.conn.Context().Done():
			return fmt.Errorf("the bus has gone")
		case sig, open := <-c.gone:
			if !open {
				return fmt.Errorf("the bus has gone")
			}
			c.left(sig)
		case <-c.wake:
			if err := c.deliver(); err != nil {
				return err
			}
		}
	}
}
