// Package act carries out the operations of a plan. It is the only code of
// modewatch that changes the host: everything else looks, decides or tells.
//
// An operation is one call of Do. It ends when the manager's job ended, not
// when the host is as wished: a job's "done" proves nothing (D10), so that the
// caller observes afterwards. Whatever waits is bounded by the context; nothing
// is forked; no call that changes something is ever sent twice (D12).
package act

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/fsm"
)

// Errors that a caller may look for with errors.Is.
var (
	// ErrNotFound: the unit does not exist, which an optional step may ignore.
	ErrNotFound = errors.New("no such unit")
	// ErrForeignMask: the unit is masked, and not by modewatch, so that its
	// mask is not ours to add to or to remove (D10).
	ErrForeignMask = errors.New("masked by somebody else")
	// ErrActive: the target of an isolate is active; a second isolate would
	// stop the services of the session (D10).
	ErrActive = errors.New("target is active already")
)

// Actor does operations on this host. Its zero value is not usable, see New.
type Actor struct {
	policy  fsm.Policy
	log     func(string)
	ended   func() // told of each job's end
	users   string // where logind keeps the users' runtime directories
	control string // where the masks go, see mask.go

	busy atomic.Bool // an attempt runs

	mu         sync.Mutex // guards what follows
	closed     bool
	system     *manager
	login      *dbus.Conn
	inhibitors []*os.File // inhibitor locks
}

// Option changes an Actor under construction.
type Option func(*Actor)

// WithLog has every step of an escalation told to log: a session that is killed
// because it would not end, a unit that was left alone.
func WithLog(log func(text string)) Option {
	return func(a *Actor) { a.log = log }
}

// WithJobs has ended called at the end of every job of the system's manager,
// ours or not, while an attempt runs (D20). It must not block.
func WithJobs(ended func()) Option {
	return func(a *Actor) { a.ended = ended }
}

// New returns an Actor that works by policy. It connects when it first needs to.
func New(policy fsm.Policy, opts ...Option) *Actor {
	a := &Actor{
		policy:  policy,
		log:     func(string) {},
		ended:   func() {},
		users:   "/run/user",
		control: "/run/systemd/system.control",
	}
	for _, opt := range opts {
		opt(a)
	}
	return a
}

// Attend tells whether an attempt runs; it does not wait. The connections are
// made while the attempt still looks around, and closed after it: at rest the end
// of every job on the host would wake whoever listens. Do connects by itself too.
func (a *Actor) Attend(busy bool) {
	a.busy.Store(busy)
	if busy {
		go a.connectAhead()
		return
	}
	go a.rest()
}

// connectAhead makes the connections; where that fails, Do will say so. It takes the
// inhibitor locks besides.
func (a *Actor) connectAhead() {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	_, _ = a.manager(ctx)
	_, _ = a.bus(ctx)
	a.inhibit(ctx)
}

// rest closes the connections, unless an attempt runs again.
func (a *Actor) rest() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.busy.Load() {
		_ = a.disconnect()
	}
}

// Close ends the connections for good. A Do that is under way returns an error.
func (a *Actor) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	return a.disconnect()
}

func (a *Actor) disconnect() (err error) {
	a.letGo()
	if a.system != nil {
		a.system.Close()
	}
	if a.login != nil {
		err = a.login.Close()
	}
	a.system, a.login = nil, nil
	return err
}

// Do carries out op and returns when its job ended or ctx is done; in the
// latter case the job goes on in the manager. It is not for concurrent use.
// Verbs that only wait return at once, a countdown once it is announced: their wait
// is the caller's observation.
func (a *Actor) Do(ctx context.Context, op fsm.Op) error {
	if op.Arg == "" {
		return fmt.Errorf("cannot %s: it is not said what", op.Verb)
	}
	switch op.Verb {
	case fsm.Run, fsm.Start:
		return a.start(ctx, op.Arg)
	case fsm.Stop:
		return a.systemJob(ctx, stopping, op.Arg, replace)
	case fsm.Isolate:
		return a.isolate(ctx, op.Arg)
	case fsm.MaskNow:
		return a.maskNow(ctx, op.Arg)
	case fsm.UnmaskNow:
		return a.unmaskNow(ctx, op.Arg)
	case fsm.EndSession:
		return a.endSession(ctx, op.Arg)
	case fsm.StopDesktop:
		return a.stopDesktop(ctx, op.Arg)
	case fsm.StopAudio:
		return a.stopAudio(ctx, op.Arg)
	case fsm.StartAudio:
		return a.startAudio(ctx, op.Arg)
	case fsm.SetBudgets:
		return a.setBudgets(ctx, op.Arg)
	case fsm.Countdown:
		return a.announce(ctx, op.Arg)
	case fsm.Drain, fsm.AwaitRelease, fsm.AwaitReady:
		return nil
	}
	return fmt.Errorf("cannot do %q: unknown verb", op)
}
