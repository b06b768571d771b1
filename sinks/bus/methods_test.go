package bus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sources/bus/bustest"
)

const (
	invalid = "org.freedesktop.DBus.Error.InvalidArgs"
	denied  = "org.freedesktop.DBus.Error.AccessDenied"
)

var none = dict{}

func TestCommandsAskForTheRightOfTheirMode(t *testing.T) {
	r := serve(t, nobody)
	yes := answer{Authorized: true}
	p := r.judge(map[string]answer{Name + ".request-compute": yes, Name + ".request-studio": yes, Name + ".force": {Challenge: true}, Name + ".configure": yes})
	r.Tell(nil, nil, &going)
	conn := r.bus.Stranger()
	r.eventually("the wish", func() bool { return r.all(conn)["DesiredMode"].Value() == "compute" })
	force := dict{"force": dbus.MakeVariant(true)}
	for _, c := range []struct {
		method  string
		args    []any
		refused string
		right   string
		verb    string
	}{
		{"Request", []any{"compute", none}, "", "request-compute", fsm.VerbRequest},
		{"Request", []any{"studio-local", none}, "", "request-studio", fsm.VerbRequest},
		{"Request", []any{"desktop", none}, denied, "request-desktop", ""},
		{"Request", []any{"compute", force}, "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", "force", ""},
		{"Reconcile", []any{none}, "", "request-compute", fsm.VerbReconcile},
		{"Cancel", []any{none}, denied, "request-desktop", ""}, // where the attempt came from
		{"Reload", nil, "", "configure", Reload},
		{"Hold", []any{"guests", uint64(0)}, denied, "hold", ""},
	} {
		before := len(r.commands())
		name, err := call(conn, c.method, nil, c.args...)
		if name != c.refused {
			t.Errorf("%s %v: %v", c.method, c.args, err)
		}
		p.mu.Lock()
		asked := p.saw[len(p.saw)-1]
		p.mu.Unlock()
		if asked != "system-bus-name "+conn.Names()[0]+" "+Name+"."+c.right {
			t.Errorf("%s %v asked for %s", c.method, c.args, asked)
		}
		done := r.commands()[before:]
		if c.verb == "" && len(done) != 0 || c.verb != "" && (len(done) != 1 || done[0].Verb != c.verb) {
			t.Errorf("%s %v led to %v", c.method, c.args, done)
		}
	}
	by := r.commands()[0].By
	if by.UID != os.Getuid() || by.PID != os.Getpid() || by.Session != "3" || by.Unit != "session-3.scope" {
		t.Errorf("the caller is %+v", by)
	}
}

func TestWithoutPolkitNobodyMay(t *testing.T) {
	r := serve(t, nobody)
	conn := r.bus.Stranger()
	if name, err := call(conn, "Request", nil, "compute", none); name != denied || !strings.Contains(err.Error(), "polkit cannot tell") {
		t.Errorf("without polkit: %v", err)
	}
}

func TestRootIsNotAskedAbout(t *testing.T) {
	r := serve(t, trusted)
	conn := r.bus.Stranger()
	var id string
	if _, err := call(conn, "Request", &id, "compute", none); err != nil || r.commands()[0].ID != id || id == "" {
		t.Errorf("root: %q, %v", id, err)
	}
	r.behind.set(func(b *behind) { b.fails = errors.New("the disk is full") })
	if name, err := call(conn, "Request", nil, "compute", none); name != Name+".Error.Failed" || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("a daemon that cannot: %v", err)
	}
}

func TestNonsenseIsRefusedInASentence(t *testing.T) {
	r := serve(t, trusted)
	conn := r.bus.Stranger()
	long := strings.Repeat("x", 60000)
	many := dict{}
	for i := range 20 {
		many[strings.Repeat("o", i+1)] = dbus.MakeVariant(true)
	}
	for _, c := range []struct {
		method string
		args   []any
		name   string
	}{
		{"Request", []any{"sleep", none}, invalid},
		{"Request", []any{"", none}, invalid},
		{"Request", []any{long, none}, invalid},
		{"Request", []any{"compute", dict{"force": dbus.MakeVariant("yes")}}, invalid},
		{"Request", []any{"compute", dict{long: dbus.MakeVariant(true)}}, invalid},
		{"Request", []any{"compute", many}, invalid},
		{"Request", []any{"compute"}, invalid},
		{"Request", []any{uint32(3), none}, invalid},
		{"Reconcile", []any{none}, Name + ".Error.NoWish"},
		{"Reconcile", []any{dict{"force": dbus.MakeVariant(true)}}, invalid},
		{"Cancel", []any{many}, invalid},
		{"Hold", []any{"", uint64(0)}, invalid},
		{"Hold", []any{long, uint64(0)}, invalid},
		{"Hold", []any{"x", uint64(1)}, invalid},
		{"Hold", []any{"x", ^uint64(0)}, invalid},
		{"Release", []any{long}, Name + ".Error.NoSuchHold"},
		{"DryRun", []any{"sleep"}, invalid},
		{"Explain", []any{"--help"}, invalid},
		{"Guards", []any{"unknown"}, invalid},
		{"Nothing", nil, "org.freedesktop.DBus.Error.UnknownMethod"},
	} {
		name, err := call(conn, c.method, nil, c.args...)
		if name != c.name || len(err.Error()) < 10 || len(err.Error()) > 300 {
			t.Errorf("%s: %s: %v", c.method, name, err)
		}
	}
	if len(r.commands()) != 0 || len(r.looks()) != 0 {
		t.Errorf("led to %v, %v", r.commands(), r.looks())
	}
	for _, c := range [][]any{{"Get", "nobody", "State"}, {"Get", Face, long}, {"Set", Face, "State", dbus.MakeVariant("compute")}, {"GetAll", "nobody"}} {
		if err := conn.Object(Name, Path).Call(props+"."+c[0].(string), 0, c[1:]...).Err; err == nil || len(err.Error()) > 300 {
			t.Errorf("%.60v: %v", c, err)
		}
	}
}

func TestCallersWaitInTurnForOneLook(t *testing.T) {
	r := serve(t, nobody)
	slow := make(chan struct{})
	r.behind.set(func(b *behind) { b.slow = slow })
	ended := make(chan error, 20)
	for range cap(ended) {
		conn := r.bus.Stranger()
		go func() { _, err := call(conn, "DryRun", nil, "compute"); ended <- err }()
	}
	close(slow)
	for range cap(ended) {
		if err := bustest.Within(t, ended, "an answer"); err != nil {
			t.Error(err)
		}
	}
	if n := len(r.looks()); n > 3 {
		t.Errorf("%d looks for 20 callers", n)
	}
	var got []struct {
		Guard  string
		OK     bool
		Code   int32
		Reason string
		Hard   bool
	}
	if _, err := call(r.bus.Stranger(), "Guards", &got, "compute"); err != nil || len(got) != 1 || got[0].Code != 10 || got[0].Reason != "reaper \ufffd records" {
		t.Errorf("the guards are %v, %v", got, err)
	}
}

func TestFewCommandsOfAUserWaitForPolkit(t *testing.T) {
	r := serve(t, nobody)
	p := &polkit{hang: make(chan struct{})}
	r.judged(p)
	ended := make(chan string, turnsOfOne+1)
	for range cap(ended) {
		conn := r.bus.Stranger()
		go func() { name, _ := call(conn, "Request", nil, "compute", none); ended <- name }()
	}
	if got := bustest.Within(t, ended, "a refusal"); got != "org.freedesktop.DBus.Error.LimitsExceeded" {
		t.Errorf("the one too many: %s", got)
	}
	close(p.hang)
	for range turnsOfOne {
		if got := bustest.Within(t, ended, "an answer"); got != denied {
			t.Errorf("the others: %s", got)
		}
	}
	r.eventually("all turns to be over", func() bool {
		r.turns.mu.Lock()
		defer r.turns.mu.Unlock()
		return r.turns.all == 0 && len(r.turns.of) == 0
	})
}

func TestAHoldEndsWithItsConnection(t *testing.T) {
	r := serve(t, trusted)
	conn := r.bus.Stranger()
	var id, other string
	until := uint64(time.Now().Add(time.Hour).UnixMicro())
	if _, err := call(conn, "Hold", &id, "guests", until); err != nil {
		t.Fatal(err)
	}
	if _, err := call(conn, "Hold", &other, "a render", uint64(0)); err != nil {
		t.Fatal(err)
	}
	if all, _ := r.Clients(); len(all) != 2 || r.behind.holds[id].Why != "guests" || r.behind.holds[id].Client != conn.Names()[0] {
		t.Errorf("held are %v", all)
	}
	if _, err := call(conn, "Release", nil, other); err != nil {
		t.Error(err)
	}
	if name, _ := call(conn, "Release", nil, other); name != Name+".Error.NoSuchHold" {
		t.Errorf("released twice: %s", name)
	}
	conn.Close()
	r.eventually("the end of the hold", func() bool { all, _ := r.Clients(); return len(all) == 0 })
}

func TestAHoldOfSomebodyElse(t *testing.T) {
	r := serve(t, nobody)
	conn := r.bus.Stranger()
	r.behind.set(func(b *behind) {
		b.holds["h"] = fsm.Hold{ID: "h", Client: conn.Names()[0], By: fsm.Caller{UID: os.Getuid() + 1}}
	})
	if name, _ := call(conn, "Release", nil, "h"); name != denied || len(r.behind.holds) != 1 {
		t.Errorf("released: %s", name)
	}
}

// A successor finds the holds of those that left while nobody served.
func TestHoldsThatWereLeftBehind(t *testing.T) {
	bus := bustest.New(t)
	bus.Start()
	stays, leaves := bus.Stranger(), bus.Stranger()
	b := &behind{holds: map[string]fsm.Hold{}}
	me := fsm.Caller{UID: os.Getuid(), PID: os.Getpid()}
	b.holds["stays"] = fsm.Hold{ID: "stays", Client: stays.Names()[0], By: me}
	b.holds["left"] = fsm.Hold{ID: "left", Client: leaves.Names()[0], By: me}
	b.holds["another"] = fsm.Hold{ID: "another", Client: stays.Names()[0], By: fsm.Caller{UID: me.UID, PID: 1}} // a name that was given anew
	leaves.Close()
	r := &rig{Service: New(""), behind: b, t: t, bus: bus}
	r.connect = func(ctx context.Context) (*dbus.Conn, error) { return dial(ctx, "unix:path="+bus.Socket) }
	r.Behind(b, b, nil)
	served, stop := make(chan struct{}), make(chan struct{})
	go func() { defer close(stop); r.Service.Run(testContext(t, served)) }()
	r.there()
	r.eventually("the end of what was left", func() bool { all, _ := r.Clients(); return len(all) == 1 && all[0].ID == "stays" })
	stays.Close()
	r.eventually("the end of the last", func() bool { all, _ := r.Clients(); return len(all) == 0 })
	close(served)
	<-stop
}

// However often a connection holds and lets go, the bus keeps one rule for it: it has
// some hundreds for all of us.
func TestAConnectionThatHoldsAgainAndAgain(t *testing.T) {
	r := serve(t, trusted)
	conn := r.bus.Stranger()
	for i := range 600 {
		var id string
		if _, err := call(conn, "Hold", &id, "again", uint64(0)); err != nil {
			t.Fatalf("hold %d: %v", i+1, err)
		}
		if _, err := call(conn, "Release", nil, id); err != nil {
			t.Fatalf("release %d: %v", i+1, err)
		}
	}
	var id string
	if _, err := call(conn, "Hold", &id, "the last", uint64(0)); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	r.eventually("the end of the last", func() bool { all, _ := r.Clients(); return len(all) == 0 })
}

// A user has some dozens of holds, and somebody else's do not count.
func TestWhoHoldsTooOften(t *testing.T) {
	r := serve(t, trusted)
	r.behind.set(func(b *behind) {
		for i := range mostHolds - 1 {
			id := fmt.Sprint(i)
			b.holds[id] = fsm.Hold{ID: id, By: fsm.Caller{UID: os.Getuid()}}
			b.holds["not "+id] = fsm.Hold{ID: "not " + id, By: fsm.Caller{UID: os.Getuid() + 1}}
		}
	})
	var id string
	if name, err := call(r.bus.Stranger(), "Hold", &id, "the last", uint64(0)); err != nil {
		t.Fatal(name, err)
	}
	if name, err := call(r.bus.Stranger(), "Hold", &id, "too many", uint64(0)); name != Name+".Error.Failed" || !strings.Contains(err.Error(), "release one") {
		t.Errorf("one too many is answered with %s: %v", name, err)
	}
}
