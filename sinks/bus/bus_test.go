package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sources/bus/bustest"
)

var (
	desk  = fsm.Snapshot{State: fsm.AtDesktop, PID: 7, Since: time.UnixMicro(1000), Observation: fsm.Observation{Mode: fsm.Desktop, Evidence: []string{"a \xff\x00 b"}}}
	going = fsm.Snapshot{State: fsm.Transitioning, PID: 7, Since: time.UnixMicro(2000), Observation: desk.Observation,
		Wish:    &fsm.Wish{ID: "w", Mode: fsm.Compute, By: fsm.NoCaller},
		Attempt: &fsm.Running{ID: "a", From: fsm.Desktop, To: fsm.Compute, Step: 2, Steps: 7, Op: fsm.Op{Verb: fsm.Isolate, Arg: "compute.target"}, Until: time.UnixMicro(9000), Phase: fsm.After}}
)

func TestPropertiesAreThoseOfTheLastSnapshot(t *testing.T) {
	r := serve(t, nobody)
	reader := r.bus.Stranger()
	if got := r.all(reader); got["State"].Value() != "boot" || got["Version"].Value() != "1.2" || got["Mode"].Value() != "unknown" {
		t.Errorf("before anything was told: %v", got)
	}
	r.Tell(nil, nil, &going)
	r.Held([]fsm.Hold{{ID: "h", Why: "guests", By: fsm.Caller{UID: 1000}, Until: time.UnixMicro(5000)}})
	r.eventually("the state", func() bool { return r.all(reader)["State"].Value() == "transitioning" })
	got := r.all(reader)
	for name, want := range map[string]string{"CurrentMode": `"transitioning"`, "Mode": `"desktop"`, "DesiredMode": `"compute"`, "StateSince": "@t 2000",
		"Evidence": "[\"a \ufffd\ufffd b\"]", "Holds": `[("h", "guests", "uid 1000", 1000, 5000)]`} {
		if text := got[name].String(); text != want && !strings.Contains(fmt.Sprint(got[name].Value()), "h guests uid 1000 1000 5000") {
			t.Errorf("%s is %s, want %s", name, text, want)
		}
	}
	attempt, _ := got["Attempt"].Value().(dict)
	if attempt["Operation"].Value() != "isolate compute.target" || attempt["Deadline"].Value() != uint64(9000) || attempt["PointOfNoReturn"].Value() != true {
		t.Errorf("the attempt is %v", attempt)
	}
}

// watch listens to all signals of the service.
func (r *rig) watch() (*dbus.Conn, chan *dbus.Signal) {
	conn := r.bus.Stranger()
	all, ours := make(chan *dbus.Signal, 4096), make(chan *dbus.Signal, 4096)
	conn.Signal(all)
	go func() { // ends with the connection
		for s := range all {
			if s.Path == Path {
				ours <- s
			}
		}
	}()
	r.bus.Must(conn.AddMatchSignal(dbus.WithMatchObjectPath(Path)))
	return conn, ours
}

func TestWhatHappenedIsToldInOrderAndOnce(t *testing.T) {
	r := serve(t, nobody)
	conn, signals := r.watch()
	r.Tell([]fsm.Edge{{Row: fsm.Row{On: fsm.Begin, From: fsm.AtDesktop, To: fsm.Transitioning}, Attempt: "a"}}, nil, &going)
	first := bustest.Within(t, signals, "a signal")
	if first.Name != Face+".StateChanged" || fmt.Sprint(first.Body) != "[desktop begin transitioning  a]" {
		t.Errorf("first came %s %v", first.Name, first.Body)
	}
	if got := r.all(conn)["State"].Value(); got != "transitioning" {
		t.Errorf("at the signal the state is %v", got)
	}
	news := bustest.Within(t, signals, "a change")
	if changed := news.Body[1].(dict); news.Name != props+".PropertiesChanged" || changed["State"].Value() != "transitioning" || changed["Version"].Value() != nil {
		t.Errorf("then came %s %v", news.Name, news.Body)
	}
	r.Tell(nil, nil, &going) // nothing new
	r.Tell(nil, []fsm.Attempt{{ID: "a", Outcome: fsm.Blocked, Verdicts: []fsm.Verdict{{Guard: "check_audio_idle", Code: 10}}}}, &desk)
	end := bustest.Within(t, signals, "an end")
	var a fsm.Attempt
	if end.Name != Face+".AttemptEnded" || json.Unmarshal([]byte(end.Body[0].(string)), &a) != nil || a.Outcome != fsm.Blocked {
		t.Errorf("the end is %s %v", end.Name, end.Body)
	}
	last := bustest.Within(t, signals, "a change").Body[1].(dict)
	if len(last["Guards"].Value().([][]any)) != 1 || len(last["Attempt"].Value().(dict)) != 0 || last["Mode"].Value() != nil {
		t.Errorf("at last changed %v", last)
	}
}

func TestTheServiceComesBackWithTheBus(t *testing.T) {
	r := serve(t, nobody)
	r.bus.Stop()
	r.Tell([]fsm.Edge{{Row: fsm.Row{On: fsm.Begin}}}, nil, &going)
	r.bus.Start()
	r.there()
	if got := r.all(r.bus.Stranger())["State"].Value(); got != "transitioning" {
		t.Errorf("afterwards the state is %v", got)
	}
}

// looking are holds at whose reading something is looked at: the service has its name
// by then, and has told nothing yet.
type looking struct {
	*behind
	look func()
}

func (l looking) Clients() ([]fsm.Hold, error) {
	l.look()
	return l.behind.Clients()
}

// Who finds the service finds what is so, even before it tells anything.
func TestWhatHappenedBeforeIsThereWithTheName(t *testing.T) {
	r := serve(t, nobody)
	r.bus.Stop()
	seen := make(chan any, 16)
	look := func() {
		var v dbus.Variant
		err := r.bus.Stranger().Object(Name, Path).Call(props+".Get", 0, Face, "State").Store(&v)
		seen <- fmt.Sprintf("%v, %v", v.Value(), err)
	}
	r.Behind(r.behind, looking{r.behind, look}, func(text string) { t.Log(text) })
	r.Tell([]fsm.Edge{{Row: fsm.Row{On: fsm.Begin}}}, nil, &going)
	r.bus.Start()
	if got := bustest.Within(t, seen, "a look"); got != "transitioning, <nil>" {
		t.Errorf("the first who looks sees %v", got)
	}
}

func TestSomebodyElseWithTheName(t *testing.T) {
	bus := bustest.New(t)
	bus.Start()
	_, err := bus.Stranger().RequestName(Name, 0)
	bus.Must(err)
	s := New("")
	s.connect = func(ctx context.Context) (*dbus.Conn, error) { return dial(ctx, "unix:path="+bus.Socket) }
	if served, err := s.session(t.Context()); served || err == nil || !strings.Contains(err.Error(), "somebody else") {
		t.Errorf("served: %v, %v", served, err)
	}
}

// ear is a connection that hears nothing while it is shut.
type ear struct {
	net.Conn
	shut sync.Mutex
}

func (e *ear) Read(p []byte) (int, error) {
	n, err := e.Conn.Read(p)
	e.shut.Lock()
	defer e.shut.Unlock()
	return n, err
}

// A connection that takes nothing costs nobody else anything: the bus keeps its
// messages up to a bound, and then ends it.
func TestAClientThatNeverReads(t *testing.T) {
	r := serve(t, nobody)
	raw, err := net.Dial("unix", r.bus.Socket)
	r.bus.Must(err)
	e := &ear{Conn: raw}
	deaf, err := dbus.NewConn(e)
	r.bus.Must(err)
	defer deaf.Close()
	r.bus.Must(deaf.Auth(nil))
	r.bus.Must(deaf.Hello())
	r.bus.Must(deaf.AddMatchSignal(dbus.WithMatchObjectPath(Path)))
	e.shut.Lock()
	defer e.shut.Unlock()
	conn, signals := r.watch()
	began := time.Now()
	for i := range 3000 {
		s := going
		s.PID = 1000 + i
		r.Tell(nil, nil, &s)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("to tell took %v", took)
	}
	r.eventually("the last one", func() bool { return r.all(conn)["PID"].Value() == uint32(3999) })
	if bustest.Within(t, signals, "a signal") == nil {
		t.Error("no signal")
	}
}

func TestTellNeverWaitsForABusThatTakesNothing(t *testing.T) {
	s := New("")
	for range 3 * mostEvents {
		s.Tell([]fsm.Edge{{}}, nil, &going)
	}
	events, news, lost := s.take()
	if len(events) != mostEvents || lost != 2*mostEvents || len(news) == 0 {
		t.Errorf("%d events, %d lost, %d news", len(events), lost, len(news))
	}
}

// A bus that takes the connection and then says nothing keeps nobody from the end.
func TestABusThatSaysNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bus")
	silent, err := net.Listen("unix", file)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	s := New("")
	s.connect = func(ctx context.Context) (*dbus.Conn, error) { return dial(ctx, "unix:path="+file) }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	conn, err := silent.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	began := time.Now()
	cancel()
	<-ended
	if took := time.Since(began); took > callTimeout/2 {
		t.Errorf("its end took %v", took)
	}
}

// A look at rest that finds all as it was costs next to nothing; whatever a property
// tells of is news.
func TestALookThatFindsNothingNewIsNotTold(t *testing.T) {
	s := New("")
	woken := func() bool {
		select {
		case <-s.wake:
			s.take()
			return true
		default:
			return false
		}
	}
	s.Tell(nil, nil, &going)
	if !woken() {
		t.Fatal("the first is not told")
	}
	same := going
	same.At = time.Now()
	same.Observation.Evidence = slices.Clone(going.Observation.Evidence)
	s.Tell(nil, nil, &same)
	s.Tell(nil, nil, nil)
	if woken() {
		t.Error("what has not changed is told again")
	}
	s.Tell([]fsm.Edge{{}}, nil, &desk)
	woken()
	s.Tell(nil, nil, &going) // back as it was before what was told with an edge
	if !woken() || s.values["State"] != "transitioning" {
		t.Errorf("the state is %v", s.values["State"])
	}
	for what, change := range map[string]func(*fsm.Snapshot){
		"state": func(s *fsm.Snapshot) { s.State = fsm.FailedTransition }, "since": func(s *fsm.Snapshot) { s.Since = time.Now() },
		"PID": func(s *fsm.Snapshot) { s.PID++ }, "waits": func(s *fsm.Snapshot) { s.Waits = "x" },
		"wish": func(s *fsm.Snapshot) { s.Wish = nil }, "attempt": func(s *fsm.Snapshot) { s.Attempt = &fsm.Running{} },
		"last": func(s *fsm.Snapshot) { s.Last = &fsm.Attempt{ID: "x"} }, "mode": func(s *fsm.Snapshot) { s.Observation.Mode = fsm.Unknown },
		"evidence": func(s *fsm.Snapshot) { s.Observation.Evidence = []string{"y"} },
		"degraded": func(s *fsm.Snapshot) { s.Observation.Degraded = []fsm.Deviation{{What: "z"}} },
	} {
		s.Tell(nil, nil, &going)
		woken()
		other := going
		change(&other)
		before := s.values
		s.Tell(nil, nil, &other)
		if !woken() || len(changed(before, s.values)) == 0 {
			t.Errorf("another %s is not told", what)
		}
	}
}
