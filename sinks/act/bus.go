package act

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	sd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
)

// callTimeout bounds one call that is answered at once by a healthy service.
// logind may be gone from the bus after a restart of it, and then never answers.
const callTimeout = 2 * time.Second

// reads is how often a call that changes nothing is made in all, where the bus
// fails it (D12).
const reads = 3

// readAgain is the pause between: a manager that re-executes itself is off the
// bus for about as long.
const readAgain = 150 * time.Millisecond

var (
	errClosed = errors.New("the actor is closed")
	errLost   = errors.New("the connection was lost")
)

// manager is a connection to a service manager: the system's by way of the bus,
// or a user's by its private socket. lost is closed when the connection is:
// without it, a wait for a job would outlast the bus that should end it.
type manager struct {
	*sd.Conn
	raw  *dbus.Conn // the same, for what go-systemd does not pass on
	lost <-chan struct{}
}

// dialer makes one connection that is ready for calls.
type dialer func(opts ...dbus.ConnOption) (*dbus.Conn, error)

func dialSystem(opts ...dbus.ConnOption) (*dbus.Conn, error) {
	conn, err := authenticate(dbus.SystemBusPrivate(opts...))
	if err != nil {
		return nil, err
	}
	if err := conn.Hello(); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// dialPrivate reaches a manager on its own socket, where there is no bus and
// hence no Hello. systemd 257 reads there up to 256 bytes at a time while it
// authenticates, and does not look at a call that came along whole until more
// arrives: a first call under some 190 bytes mostly waits for ever. Let it be a
// long one, as go-systemd's AddMatch is.
func dialPrivate(path string) dialer {
	return func(opts ...dbus.ConnOption) (*dbus.Conn, error) {
		return authenticate(dbus.Dial("unix:path="+path, opts...))
	}
}

func authenticate(conn *dbus.Conn, err error) (*dbus.Conn, error) {
	if err != nil {
		return nil, err
	}
	if err := conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Getuid()))}); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// bounded sets up a connection under ctx. The connection itself lives by the
// context that setup is given, which outlasts ctx once setup is through.
func bounded[T any](ctx context.Context, setup func(life context.Context) (T, error)) (T, error) {
	life, end := context.WithCancel(context.Background())
	stop := context.AfterFunc(ctx, end)
	conn, err := setup(life)
	switch {
	case !stop():
		err = context.Cause(ctx)
	case err == nil:
		return conn, nil
	}
	end()
	var none T
	return none, err
}

// connect opens a manager's connection. go-systemd asks for two, for calls and
// for signals; one does for both, as our signal handler never keeps an answer
// waiting, and halves the way to a busy manager.
func connect(ctx context.Context, dial dialer) (*manager, error) {
	return bounded(ctx, func(life context.Context) (*manager, error) {
		one, err := dial(dbus.WithContext(life), dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
		if err != nil {
			return nil, err
		}
		conn, err := sd.NewConnection(func() (*dbus.Conn, error) { return one, nil })
		return &manager{Conn: conn, raw: one, lost: one.Context().Done()}, err
	})
}

// hear tells of each job's end until the connection does.
func (a *Actor) hear(conn *dbus.Conn) {
	signals := make(chan *dbus.Signal, 64)
	conn.Signal(signals)
	for s := range signals {
		if s.Name == jobRemoved {
			a.ended()
		}
	}
}

// manager returns the connection to the system's manager, a new one if there is
// none or it broke.
func (a *Actor) manager(ctx context.Context) (*manager, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, errClosed
	}
	if a.system != nil && a.system.Connected() {
		return a.system, nil
	}
	m, err := connect(ctx, dialSystem)
	if err != nil {
		return nil, err
	}
	a.system = m
	go a.hear(m.raw)
	return m, nil
}

// bus returns a bare connection to the system bus, for all that go-systemd lacks:
// contexts in some reads, and errors in the calls of logind.
func (a *Actor) bus(ctx context.Context) (*dbus.Conn, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, errClosed
	}
	if a.login != nil && a.login.Connected() {
		return a.login, nil
	}
	c, err := bounded(ctx, func(life context.Context) (*dbus.Conn, error) {
		return dialSystem(dbus.WithContext(life), dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
	})
	if err != nil {
		return nil, err
	}
	a.login = c
	return c, nil
}

// object is one interface of an object on the system bus.
type object struct {
	service string
	path    dbus.ObjectPath
	face    string
}

const (
	systemd = "org.freedesktop.systemd1"
	logind  = "org.freedesktop.login1"
)

var (
	systemdManager = object{systemd, "/org/freedesktop/systemd1", systemd + ".Manager"}
	logindManager  = object{logind, "/org/freedesktop/login1", logind + ".Manager"}
)

// jobRemoved tells the end of a job.
const jobRemoved = systemd + ".Manager.JobRemoved"

// unitObject is one interface, Unit or that of a type, of a unit of the system.
func unitObject(name, face string) object {
	return object{systemd, dbus.ObjectPath("/org/freedesktop/systemd1/unit/" + sd.PathBusEscape(name)), systemd + "." + face}
}

// get reads a property into a pointer.
func (a *Actor) get(ctx context.Context, from object, property string, into any) error {
	var v dbus.Variant
	o := object{from.service, from.path, "org.freedesktop.DBus.Properties"}
	if err := a.read(ctx, o, "Get", &v, from.face, property); err != nil {
		return err
	}
	return v.Store(into)
}

// read makes a call that changes nothing, up to three times if the bus fails it
// (D12), and stores its answer.
func (a *Actor) read(ctx context.Context, o object, method string, into any, args ...any) error {
	for n := 1; ; n++ {
		err := a.call(ctx, o, method, args...).Store(into)
		if err == nil || n == reads || !busError(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(readAgain):
		}
	}
}

// call makes one call that is answered at once or not at all.
func (a *Actor) call(ctx context.Context, o object, method string, args ...any) *dbus.Call {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, err := a.bus(ctx)
	if err != nil {
		return &dbus.Call{Err: err}
	}
	return conn.Object(o.service, o.path).CallWithContext(ctx, o.face+"."+method, dbus.FlagNoAutoStart, args...)
}

// busError tells whether err says that the way to the service failed, not that
// the service refused. A call that ran out of time is neither.
func busError(err error) bool {
	var refusal dbus.Error
	if errors.As(err, &refusal) {
		switch strings.TrimPrefix(refusal.Name, "org.freedesktop.DBus.Error.") {
		case "Disconnected", "NoReply", "NameHasNoOwner", "ServiceUnknown":
			return true
		}
		return false
	}
	var network *net.OpError
	return errors.Is(err, dbus.ErrClosed) || errors.Is(err, io.EOF) || errors.As(err, &network)
}
