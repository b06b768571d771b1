package act

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/fsm"
)

// bare makes the calls of a verb and nothing else, on a connection that is there.
type bare struct {
	t       *testing.T
	conn    *dbus.Conn
	signals chan *dbus.Signal
}

func newBare(t *testing.T, dial dialer, match bool) *bare {
	t.Helper()
	conn, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	// On a private socket this fails, but is long enough to be read, see dialPrivate.
	_ = conn.BusObject().Call("org.freedesktop.DBus.AddMatch", 0, strings.Repeat("x", 256)).Err
	if match {
		for _, rule := range []string{"sender='org.freedesktop.systemd1',member='JobRemoved'", "sender='org.freedesktop.login1',member='SessionRemoved'"} {
			if err := conn.BusObject().Call("org.freedesktop.DBus.AddMatch", 0, "type='signal',"+rule).Err; err != nil {
				t.Fatal(err)
			}
		}
	}
	b := &bare{t: t, conn: conn, signals: make(chan *dbus.Signal, 1000)}
	conn.Signal(b.signals)
	return b
}

func (b *bare) call(into any, o object, method string, args ...any) {
	b.t.Helper()
	c := b.conn.Object(o.service, o.path).Call(o.face+"."+method, 0, args...)
	if c.Err == nil && into != nil {
		c.Err = c.Store(into)
	}
	if c.Err != nil {
		b.t.Fatalf("%s: %v", method, c.Err)
	}
}

// job begins jobs, one a unit, and waits until all of them are removed.
func (b *bare) job(method, mode string, units ...string) {
	b.t.Helper()
	open := map[dbus.ObjectPath]bool{}
	for _, unit := range units {
		var path dbus.ObjectPath
		b.call(&path, systemdManager, method, unit, mode)
		open[path] = true
	}
	for len(open) > 0 {
		s := b.signal("JobRemoved")
		delete(open, s.Body[1].(dbus.ObjectPath))
	}
}

func (b *bare) signal(member string) *dbus.Signal {
	b.t.Helper()
	late := time.After(patience)
	for {
		select {
		case s := <-b.signals:
			if s.Name == systemd+".Manager."+member || s.Name == logind+".Manager."+member {
				return s
			}
		case <-late:
			b.t.Fatalf("no %s", member)
		}
	}
}

func (b *bare) endSession(id string) {
	b.t.Helper()
	b.call(nil, logindManager, "TerminateSession", id)
	b.signal("SessionRemoved")
}

func (b *bare) link(make bool) {
	b.t.Helper()
	path := filepath.Join("/run/systemd/system.control", "t-plain.service")
	err := os.Remove(path)
	if make {
		err = os.Symlink(os.DevNull, path)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.call(nil, systemdManager, "Reload")
}

func (b *bare) budgets(list []fsm.Budget) {
	b.t.Helper()
	type property struct {
		Name  string
		Value dbus.Variant
	}
	for _, g := range list {
		b.call(nil, systemdManager, "SetUnitProperties", g.Slice, true, []property{{g.Property, dbus.MakeVariant(g.Value)}})
	}
}

// figure is one verb: set-up, the bare calls, and the operation.
type figure struct {
	name  string
	setUp func()
	bare  func()
	op    func() fsm.Op
}

const rounds = 11

// TestLabFigures shows each verb beside the bare calls that it makes. It fails
// only where a verb costs so much more that something must be wrong.
func TestLabFigures(t *testing.T) {
	policy := testPolicy
	audio := []string{"pipewire.socket", "pipewire.service", "wireplumber.service"}
	policy.Units.Audio = audio
	policy.Budgets = map[fsm.Mode][]fsm.Budget{fsm.Desktop: {{Slice: "t-ai.slice", Property: "CPUWeight", Value: 50}, {Slice: "user.slice", Property: "CPUWeight", Value: 300}}}
	a, _ := newActor(t, policy)
	addUnits(t, map[string]string{
		"t-fine.service":  jobUnits["t-fine.service"],
		"t-true.service":  "[Service]\nType=oneshot\nExecStart=/bin/true\n",
		"t-iso.target":    jobUnits["t-iso.target"],
		"t-other.target":  jobUnits["t-iso.target"],
		"t-plain.service": jobUnits["t-fine.service"],
	})
	t.Cleanup(func() { sh(t, "systemctl start graphical.target; systemctl revert user.slice t-ai.slice") })
	uid := aliceManager(t)
	b := newBare(t, dialSystem, true)
	u := newBare(t, dialPrivate("/run/user/"+uid+"/systemd/private"), false)
	u.call(nil, systemdManager, "Subscribe")
	quiet := func(format string, args ...any) func() { return func() { sh(t, format, args...) } }
	op := func(verb fsm.Verb, arg string) func() fsm.Op {
		return func() fsm.Op { return fsm.Op{Verb: verb, Arg: arg} }
	}
	var id string
	session := func() { id = logIn(t, "/bin/sleep 600") }
	list := []figure{
		{"run", func() {}, func() { b.job("StartUnit", "replace", "t-true.service") }, op(fsm.Run, "t-true.service")},
		{"start", quiet("systemctl stop t-fine.service"), func() { b.job("StartUnit", "replace", "t-fine.service") }, op(fsm.Start, "t-fine.service")},
		{"stop", quiet("systemctl start t-fine.service"), func() { b.job("StopUnit", "replace", "t-fine.service") }, op(fsm.Stop, "t-fine.service")},
		{"mask-now", quiet("rm -f /run/systemd/system.control/t-plain.service; systemctl daemon-reload; systemctl start t-plain.service"),
			func() { b.link(true); b.job("StopUnit", "replace", "t-plain.service") }, op(fsm.MaskNow, "t-plain.service")},
		{"unmask-now", quiet("systemctl stop t-plain.service; ln -sf /dev/null /run/systemd/system.control/t-plain.service; systemctl daemon-reload"),
			func() { b.link(false); b.job("StartUnit", "replace", "t-plain.service") }, op(fsm.UnmaskNow, "t-plain.service")},
		{"end-session", session, func() { b.endSession(id) }, func() fsm.Op { return fsm.Op{Verb: fsm.EndSession, Arg: id} }},
		{"stop-audio", func() { alices(t, "reset-failed"); alices(t, "start pipewire.socket wireplumber.service") }, func() { u.job("StopUnit", "replace", audio...) }, op(fsm.StopAudio, uid)},
		{"start-audio", func() {
			alices(t, "stop pipewire.socket wireplumber.service pipewire.service")
			alices(t, "reset-failed")
		},
			func() { u.job("StartUnit", "replace", "pipewire.socket", "wireplumber.service") }, op(fsm.StartAudio, uid)},
		{"set-budgets", quiet("systemctl revert user.slice t-ai.slice"), func() { b.budgets(policy.Budgets[fsm.Desktop]) }, op(fsm.SetBudgets, string(fsm.Desktop))},
		{"isolate", quiet("systemctl isolate t-other.target"), func() { b.job("StartUnit", "isolate", "t-iso.target") }, op(fsm.Isolate, "t-iso.target")},
	}
	for _, f := range list {
		floor, ours := f.measure(t, a)
		t.Logf("%-12s bare %8s  act %8s  more %8s", f.name, floor, ours, ours-floor)
		if ours > 3*floor+100*time.Millisecond {
			t.Errorf("%s takes %s where the bare calls take %s", f.name, ours, floor)
		}
	}
}

// measure returns the medians of the bare calls and of the operation, made in turns.
func (f figure) measure(t *testing.T, a *Actor) (floor, ours time.Duration) {
	t.Helper()
	var bares, acts []time.Duration
	for range rounds {
		f.setUp()
		began := time.Now()
		f.bare()
		bares = append(bares, time.Since(began))
		f.setUp()
		began = time.Now()
		if err := a.Do(t.Context(), f.op()); err != nil {
			t.Fatalf("%s: %v", f.name, err)
		}
		acts = append(acts, time.Since(began))
	}
	slices.Sort(bares)
	slices.Sort(acts)
	return bares[rounds/2].Round(10 * time.Microsecond), acts[rounds/2].Round(10 * time.Microsecond)
}
