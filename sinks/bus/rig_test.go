package bus

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sources/bus/bustest"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// rig is the service on a real bus, with what stands behind it.
type rig struct {
	*Service
	*behind
	t   *testing.T
	bus *bustest.Daemon
}

// behind is a daemon that remembers.
type behind struct {
	mu    sync.Mutex
	done  []fsm.Command
	asked []string
	holds map[string]fsm.Hold
	fails error
	slow  chan struct{} // answers wait for it, if it is set
}

func (b *behind) Do(_ context.Context, c fsm.Command) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done = append(b.done, c)
	return b.fails
}

func (b *behind) Ask(ctx context.Context, verb string, args ...string) ([]byte, error) {
	b.mu.Lock()
	b.asked = append(b.asked, verb)
	slow, fails := b.slow, b.fails
	b.mu.Unlock()
	if slow != nil {
		select {
		case <-slow:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return []byte(`{"guards":[{"guard":"check_audio_idle","ok":false,"code":10,"reason":"reaper \u0000 records","hard":true}]}`), fails
}

func (b *behind) Who(pid int) (fsm.Caller, error) {
	return fsm.Caller{UID: os.Getuid(), PID: pid, Unit: "session-3.scope", Session: "3"}, nil
}

func (b *behind) Hold(h fsm.Hold) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.holds[h.ID] = h
	return b.fails
}

func (b *behind) Release(id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.holds[id]; !ok {
		return fs.ErrNotExist
	}
	delete(b.holds, id)
	return nil
}

func (b *behind) Clients() (all []fsm.Hold, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range b.holds {
		all = append(all, h)
	}
	return all, nil
}

func (b *behind) set(change func(*behind)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(b)
}

func (b *behind) looks() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string{}, b.asked...)
}

func (b *behind) commands() []fsm.Command {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]fsm.Command{}, b.done...)
}

// Whom polkit is not asked about: the user of the test, or nobody.
var (
	trusted = os.Getuid()
	nobody  = -1
)

// serve starts a bus and the service on it.
func serve(t *testing.T, root int) *rig {
	t.Helper()
	r := &rig{Service: New("1.2"), behind: &behind{holds: map[string]fsm.Hold{}}, t: t, bus: bustest.New(t)}
	r.connect = func(ctx context.Context) (*dbus.Conn, error) { return dial(ctx, "unix:path="+r.bus.Socket) }
	r.root = root
	r.Behind(r.behind, r.behind, func(text string) { t.Log(text) })
	r.bus.Start()
	bustest.Run(t, func(ctx context.Context) error { r.Service.Run(ctx); return nil })
	r.there()
	return r
}

// there waits until the service has its name.
func (r *rig) there() {
	r.t.Helper()
	who := r.bus.Stranger()
	r.eventually("the service on the bus", func() bool {
		var owned bool
		err := who.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, Name).Store(&owned)
		return err == nil && owned
	})
}

func (r *rig) eventually(what string, ok func() bool) {
	r.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("%s: not after %v", what, patience)
		}
	}
}

// call calls a method of the manager and returns the name of the error.
func call(conn *dbus.Conn, method string, out any, args ...any) (string, error) {
	c := conn.Object(Name, Path).Call(Face+"."+method, 0, args...)
	err := c.Err
	if err == nil && out != nil {
		err = c.Store(out)
	}
	var e dbus.Error
	if errors.As(err, &e) {
		return e.Name, err
	}
	return "", err
}

// all reads all properties.
func (r *rig) all(conn *dbus.Conn) dict {
	r.t.Helper()
	var got dict
	r.bus.Must(conn.Object(Name, Path).Call(props+".GetAll", 0, Face).Store(&got))
	return got
}

// polkit is a stand-in for the authority, which cannot be had on a bus of a test's
// own: it lets or refuses by action.
type polkit struct {
	says map[string]answer
	mu   sync.Mutex
	saw  []string
	hang chan struct{}
}

// CheckAuthorization answers as polkit does.
func (p *polkit) CheckAuthorization(s subject, action string, _ map[string]string, flags uint32, _ string) (answer, *dbus.Error) {
	if p.hang != nil {
		<-p.hang
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	name, _ := s.Details["name"].Value().(string)
	p.saw = append(p.saw, s.Kind+" "+name+" "+action)
	return p.says[action], nil
}

// judge puts a polkit on the bus.
func (r *rig) judge(says map[string]answer) *polkit {
	r.t.Helper()
	return r.judged(&polkit{says: says})
}

func (r *rig) judged(p *polkit) *polkit {
	r.t.Helper()
	conn := r.bus.Stranger()
	r.bus.Must(conn.Export(p, "/org/freedesktop/PolicyKit1/Authority", "org.freedesktop.PolicyKit1.Authority"))
	_, err := conn.RequestName("org.freedesktop.PolicyKit1", 0)
	r.bus.Must(err)
	return p
}

// testContext ends when over is closed.
func testContext(t *testing.T, over <-chan struct{}) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-over; cancel() }()
	return ctx
}
