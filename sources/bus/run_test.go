package bus

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/sources/bus/bustest"
)

// rule matches the signal Tick of the peer.
var rule = Match{Rule: []dbus.MatchOption{dbus.WithMatchInterface(face), dbus.WithMatchMember("Tick")}}

// heard makes a handler that passes on the numbers of Tick, -1 for another
// signal of the peer and -2 for the end of the connection.
func heard(b *Bus, rules ...Match) <-chan int {
	out := make(chan int, 10000)
	b.On(func(s *dbus.Signal) {
		switch {
		case s.Name == face+".Tick":
			out <- int(s.Body[0].(int32))
		case strings.HasPrefix(s.Name, face):
			out <- -1
		case s.Name == "org.freedesktop.DBus.Local.Disconnected":
			out <- -2
		}
	}, rules...)
	return out
}

// ups tells of each connection whose matches are in force.
func ups(b *Bus) <-chan bool {
	up := make(chan bool, 100)
	b.OnUp(func(context.Context) { up <- true })
	return up
}

func emit(t *testing.T, conn *dbus.Conn, member string, n int) {
	t.Helper()
	if err := conn.Emit(object, face+"."+member, int32(n)); err != nil {
		t.Fatal(err)
	}
}

func TestSignalsInOrder(t *testing.T) {
	conn := launch(t).Stranger()
	var b Bus
	ticks, up := heard(&b, rule), ups(&b)
	run(t, &b)
	bustest.Within(t, up, "the connection")
	const many = 2000
	for n := range many {
		emit(t, conn, "Tock", n) // matched by no rule
		emit(t, conn, "Tick", n)
	}
	for n := range many {
		if got := bustest.Within(t, ticks, "a signal"); got != n {
			t.Fatalf("signal %d is %d", n, got)
		}
	}
}

func TestEveryHandlerIsTold(t *testing.T) {
	conn := launch(t).Stranger()
	var b Bus
	one, two, up := heard(&b, rule), heard(&b, Match{Rule: []dbus.MatchOption{dbus.WithMatchMember("Tock")}}), ups(&b)
	run(t, &b)
	bustest.Within(t, up, "the connection")
	emit(t, conn, "Tick", 7)
	emit(t, conn, "Tock", 8)
	for i, c := range []<-chan int{one, two} {
		if a, b := bustest.Within(t, c, "Tick"), bustest.Within(t, c, "Tock"); a != 7 || b != -1 {
			t.Errorf("handler %d was told %d and %d", i, a, b)
		}
	}
}

func TestRunComesBack(t *testing.T) {
	d := place(t)
	var b Bus
	ticks, up := heard(&b, rule), ups(&b)
	run(t, &b) // before there is a bus
	for n := range 3 {
		d.Start()
		bustest.Within(t, up, "the connection")
		emit(t, d.Stranger(), "Tick", n)
		if got := bustest.Within(t, ticks, "the signal"); got != n {
			t.Fatalf("the signal is %d, want %d", got, n)
		}
		d.Stop()
		if got := bustest.Within(t, ticks, "the end of the connection"); got != -2 {
			t.Fatalf("told %d of the end", got)
		}
	}
}

// refuse closes each connection that somebody makes, and tells when.
func refuse(t *testing.T, socket string) (tries <-chan time.Time, end func()) {
	t.Helper()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	at := make(chan time.Time, 100)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			at <- time.Now()
			conn.Close()
		}
	}()
	end = func() { l.Close() }
	t.Cleanup(end)
	return at, end
}

func TestPauseGrowsUntilThereIsABus(t *testing.T) {
	d := place(t)
	tries, end := refuse(t, d.Socket)
	var b Bus
	signals, up := heard(&b), ups(&b)
	run(t, &b)
	last, pause := bustest.Within(t, tries, "the first try"), pauseFirst
	for range 3 {
		at := bustest.Within(t, tries, "the next try")
		// The times are taken by the listener, hence the little less.
		if gap := at.Sub(last); gap < pause-pause/4 {
			t.Errorf("tried again after %v, want %v", gap, pause)
		}
		last, pause = at, 2*pause
	}
	end()
	d.Start()
	bustest.Within(t, up, "the connection")
	d.Stop()
	bustest.Within(t, signals, "the end of the connection")
	gone := time.Now()
	tries, _ = refuse(t, d.Socket)
	if after := bustest.Within(t, tries, "a try after the bus has gone").Sub(gone); after >= pause {
		t.Errorf("tried only after %v, want %v", after, pauseFirst)
	}
}

func TestRunEnds(t *testing.T) {
	for name, start := range map[string]func(*testing.T) *daemon{"with a bus": launch, "without": place} {
		t.Run(name, func(t *testing.T) {
			d := start(t)
			var b Bus
			up := ups(&b)
			end := run(t, &b)
			if d.Runs() {
				bustest.Within(t, up, "the connection")
			}
			if err := end(); err != nil || b.conn != nil {
				t.Errorf("Run returned %v, the connection is %v", err, b.conn)
			}
			alone(t)
		})
	}
}

func TestRuleRefused(t *testing.T) {
	launch(t)
	var b Bus
	up := ups(&b)
	b.On(func(*dbus.Signal) {}, Match{Rule: []dbus.MatchOption{dbus.WithMatchOption("nonsense", "x")}})
	err := b.session(t.Context())
	if err == nil || !strings.HasPrefix(err.Error(), "cannot listen on the system bus: ") {
		t.Errorf("the error is %v", err)
	}
	if len(up) > 0 || b.conn != nil {
		t.Errorf("told of %d connections, kept %v", len(up), b.conn)
	}
	alone(t)
}
