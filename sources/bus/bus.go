// Package bus keeps one connection to the system bus for the sources that listen
// there. It connects when first needed, delivers signals in order, and while Run
// runs comes back by itself, with a growing pause, when the bus goes away.
package bus

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	callTimeout  = 2 * time.Second
	pauseFirst   = 100 * time.Millisecond
	pauseMost    = 30 * time.Second
	noAutoStart  = dbus.FlagNoAutoStart
	propertyGet  = "org.freedesktop.DBus.Properties.Get"
	propertyAll  = "org.freedesktop.DBus.Properties.GetAll"
	localSignals = "org.freedesktop.DBus.Local"
)

// Match is a match rule: which signals the bus sends us.
type Match struct {
	Rule []dbus.MatchOption
}

// Bus is the connection. Its zero value is ready for use.
type Bus struct {
	mu       sync.Mutex
	conn     *dbus.Conn
	signals  chan *dbus.Signal
	matches  []Match
	handlers []func(*dbus.Signal)
	ups      []func(context.Context)
}

// On adds a handler and the rules that bring its signals. A handler is told of
// every signal of the connection and picks its own; it must not block. Call it before Run.
func (b *Bus) On(handler func(*dbus.Signal), rules ...Match) {
	b.handlers = append(b.handlers, handler)
	b.matches = append(b.matches, rules...)
}

// OnUp adds what is to be done on each new connection, before its signals are
// delivered. Call it before Run.
func (b *Bus) OnUp(f func(context.Context)) { b.ups = append(b.ups, f) }

// Run keeps the connection and delivers signals until ctx ends; it then returns
// nil. It polls nothing: it waits for the bus, and while there is none for the
// next try.
func (b *Bus) Run(ctx context.Context) error {
	pause := pauseFirst
	for ctx.Err() == nil {
		if err := b.session(ctx); err == nil {
			pause = pauseFirst
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, pauseMost)
	}
	b.Close()
	return nil
}

// session connects and delivers until the connection ends; nil says that there
// was one.
func (b *Bus) session(ctx context.Context) error {
	conn, err := b.connection()
	if err != nil {
		return err
	}
	b.mu.Lock()
	signals, same := b.signals, b.conn == conn
	b.mu.Unlock()
	if !same { // it ended, and a call has made another one
		return nil
	}
	for _, m := range b.matches {
		call, cancel := context.WithTimeout(ctx, callTimeout)
		err := conn.AddMatchSignalContext(call, m.Rule...)
		cancel()
		if err != nil {
			b.drop(conn)
			return fmt.Errorf("cannot listen on the system bus: %w", err)
		}
	}
	for _, up := range b.ups {
		up(ctx)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case s, open := <-signals:
			if !open {
				b.drop(conn)
				b.tell(&dbus.Signal{Name: localSignals + ".Disconnected"})
				return nil
			}
			b.tell(s)
		}
	}
}

func (b *Bus) tell(s *dbus.Signal) {
	for _, h := range b.handlers {
		h(s)
	}
}

// connection returns the live connection, or makes one.
func (b *Bus) connection() (*dbus.Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn != nil && b.conn.Connected() {
		return b.conn, nil
	}
	// The context is the connection's for life: it ends only a handshake that hangs.
	ctx, cancel := context.WithCancel(context.Background())
	slow := time.AfterFunc(callTimeout, cancel)
	conn, err := dbus.ConnectSystemBus(dbus.WithContext(ctx), dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
	slow.Stop()
	if err != nil {
		cancel()
		return nil, fmt.Errorf("cannot connect to the system bus: %w", err)
	}
	b.conn = conn
	b.signals = make(chan *dbus.Signal, 64)
	conn.Signal(b.signals)
	return conn, nil
}

func (b *Bus) drop(conn *dbus.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	_ = conn.Close() // it is broken already
	if b.conn == conn {
		b.conn = nil
	}
}

// Close ends the connection.
func (b *Bus) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn != nil {
		_ = b.conn.Close()
		b.conn = nil
	}
}

// Object names what a call is for.
type Object struct {
	Dest string
	Path dbus.ObjectPath
}

// Call calls a method and stores what it returns in out, which may be nil. It
// starts no service, and ends with ctx, at the latest after two seconds.
func (b *Bus) Call(ctx context.Context, o Object, method string, out any, args ...any) error {
	conn, err := b.connection()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	call := conn.Object(o.Dest, o.Path).CallWithContext(ctx, method, noAutoStart, args...)
	if call.Err != nil || out == nil {
		return call.Err
	}
	return call.Store(out)
}

// Get reads one property into out.
func (b *Bus) Get(ctx context.Context, o Object, face, name string, out any) error {
	var v dbus.Variant
	if err := b.Call(ctx, o, propertyGet, &v, face, name); err != nil {
		return err
	}
	return v.Store(out)
}

// GetAll reads all properties of an interface.
func (b *Bus) GetAll(ctx context.Context, o Object, face string) (map[string]dbus.Variant, error) {
	props := map[string]dbus.Variant{}
	err := b.Call(ctx, o, propertyAll, &props, face)
	return props, err
}

// atOnce is how many calls of one All are on their way together. A bus refuses the
// call after 128 that a connection has no answer to yet, and others use it too.
const atOnce = 32

// All reads the properties of many objects, so many at once. It ends with ctx, or two
// seconds after the last answer: many take longer than one.
// A nil map stands for an object that has gone.
func (b *Bus) All(ctx context.Context, dest, face string, paths []dbus.ObjectPath) ([]map[string]dbus.Variant, error) {
	conn, err := b.connection()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	calls := make([]*dbus.Call, len(paths))
	for begin := 0; begin < len(paths); begin += atOnce {
		end := min(begin+atOnce, len(paths))
		for i := begin; i < end; i++ {
			calls[i] = conn.Object(dest, paths[i]).GoWithContext(ctx, propertyAll, noAutoStart, make(chan *dbus.Call, 1), face)
		}
		if err := answered(ctx, calls[begin:end]); err != nil {
			return nil, err
		}
	}
	out := make([]map[string]dbus.Variant, len(paths))
	for i, c := range calls {
		switch {
		case c.Err == nil:
			if err := c.Store(&out[i]); err != nil {
				return nil, err
			}
		case !Vanished(c.Err):
			return nil, c.Err
		}
	}
	return out, nil
}

// answered waits for calls that went out together, as long as one is answered after
// the other.
func answered(ctx context.Context, calls []*dbus.Call) error {
	silence := time.NewTimer(callTimeout)
	defer silence.Stop()
	for _, c := range calls {
		select {
		case <-c.Done:
			silence.Reset(callTimeout)
		case <-silence.C:
			return context.DeadlineExceeded
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Vanished tells whether an error says that the object is not there any more.
func Vanished(err error) bool {
	e, ok := err.(dbus.Error)
	return ok && (e.Name == "org.freedesktop.DBus.Error.UnknownObject" || e.Name == "org.freedesktop.DBus.Error.UnknownInterface" ||
		e.Name == "org.freedesktop.login1.NoSuchSession" || e.Name == "org.freedesktop.login1.NoSuchUser")
}

// Str, Bool and Strs read a property of GetAll; the zero value where it is not
// there or of another type.
func Str(p map[string]dbus.Variant, name string) string { v, _ := p[name].Value().(string); return v }
func Bool(p map[string]dbus.Variant, name string) bool  { v, _ := p[name].Value().(bool); return v }
func Strs(p map[string]dbus.Variant, name string) []string {
	v, _ := p[name].Value().([]string)
	return v
}
func U32(p map[string]dbus.Variant, name string) uint32 { v, _ := p[name].Value().(uint32); return v }
func U64(p map[string]dbus.Variant, name string) uint64 { v, _ := p[name].Value().(uint64); return v }
