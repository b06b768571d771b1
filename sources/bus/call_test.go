package bus

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/sources/bus/bustest"
)

func TestCall(t *testing.T) {
	launch(t).peer()
	var b Bus
	t.Cleanup(b.Close)
	var said string
	if err := b.Call(t.Context(), peer, face+".Echo", &said, "hello"); err != nil || said != "hello" {
		t.Errorf("Echo says %q (%v)", said, err)
	}
	if err := b.Call(t.Context(), peer, face+".Echo", nil, "hello"); err != nil {
		t.Errorf("an answer that nobody wants: %v", err)
	}
	for _, c := range []struct {
		why, method, want string
		o                 Object
		out               any
	}{
		{"another type", face + ".Echo", "", peer, new(uint32)},
		{"no such method", face + ".Sing", "org.freedesktop.DBus.Error.UnknownMethod", peer, new(string)},
		{"nobody there", face + ".Echo", "org.freedesktop.DBus.Error.NameHasNoOwner", Object{"org.modewatch.Nobody", object}, new(string)},
	} {
		err := b.Call(t.Context(), c.o, c.method, c.out, "hello")
		var e dbus.Error
		if errors.As(err, &e); err == nil || e.Name != c.want {
			t.Errorf("%s: %v, want %s", c.why, err, c.want)
		}
	}
}

func TestCallWithoutBus(t *testing.T) {
	place(t)
	var b Bus
	b.Close() // nothing to close
	_, all := b.All(t.Context(), face, face, []dbus.ObjectPath{object})
	_, props := b.GetAll(t.Context(), peer, face)
	for _, err := range []error{all, props, b.Call(t.Context(), peer, face+".Echo", new(string), "x"),
		b.Get(t.Context(), peer, face, "x", new(string)), b.session(t.Context())} {
		if err == nil || !strings.HasPrefix(err.Error(), "cannot connect to the system bus: ") {
			t.Errorf("the error is %v", err)
		}
	}
}

func TestCallStartsNothing(t *testing.T) {
	d := launch(t)
	started := filepath.Join(filepath.Dir(d.Socket), "started")
	service := "[D-BUS Service]\nName=org.modewatch.Asleep\nExec=/bin/sh -c \": >" + started + "; exit 1\"\n"
	if err := os.WriteFile(filepath.Join(filepath.Dir(d.Socket), "org.modewatch.Asleep.service"), []byte(service), 0o600); err != nil {
		t.Fatal(err)
	}
	d.Must(d.Stranger().BusObject().Call("org.freedesktop.DBus.ReloadConfig", 0).Err)
	var b Bus
	t.Cleanup(b.Close)
	asleep := Object{"org.modewatch.Asleep", object}
	var e dbus.Error
	if err := b.Call(t.Context(), asleep, face+".Echo", nil, "x"); !errors.As(err, &e) || e.Name != "org.freedesktop.DBus.Error.NameHasNoOwner" {
		t.Errorf("the error is %v", err)
	}
	if _, err := os.Stat(started); err == nil {
		t.Error("the service was started")
	}
	// The same call with a start does start it, or this test says nothing.
	_ = d.Stranger().Object(asleep.Dest, object).Call(face+".Echo", 0, "x").Err // it ends without a name
	if _, err := os.Stat(started); err != nil {
		t.Errorf("the service cannot be started at all: %v", err)
	}
}

// unanswered are the questions that the peer leaves open.
func unanswered(b *Bus) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Call":   func(ctx context.Context) error { return b.Call(ctx, peer, face+".Hang", nil) },
		"Get":    func(ctx context.Context) error { return b.Get(ctx, peer, face, "Hang", new(string)) },
		"GetAll": func(ctx context.Context) error { _, err := b.GetAll(ctx, peer, "Hang"); return err },
		"All": func(ctx context.Context) error {
			_, err := b.All(ctx, face, "Hang", []dbus.ObjectPath{object, object})
			return err
		},
	}
}

func TestNoAnswer(t *testing.T) {
	launch(t).peer()
	var b Bus
	t.Cleanup(b.Close)
	for what, ask := range unanswered(&b) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		began := time.Now()
		if err := ask(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) >= callTimeout {
			t.Errorf("%s: %v after %v", what, err, time.Since(began))
		}
		cancel()
	}
	ended := make(chan error, 10)
	began := time.Now()
	for _, ask := range unanswered(&b) {
		go func() { ended <- ask(context.Background()) }()
	}
	for range unanswered(&b) {
		if err := bustest.Within(t, ended, "the end of a call without a deadline"); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) < callTimeout {
			t.Errorf("%v after %v, want %v", err, time.Since(began), callTimeout)
		}
	}
}

// Many answers may take long together; only silence ends the wait.
func TestManyAnswersTakeTheirTime(t *testing.T) {
	for _, mute := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var calls []*dbus.Call
			for i := range 5 {
				c := &dbus.Call{Done: make(chan *dbus.Call, 1)}
				calls = append(calls, c)
				if i < 3 || !mute {
					time.AfterFunc(time.Duration(i+1)*callTimeout*3/4, func() { c.Done <- c })
				}
			}
			began := time.Now()
			err := answered(t.Context(), calls)
			want, took := 5*callTimeout*3/4, time.Since(began)
			if mute {
				want = 3*callTimeout*3/4 + callTimeout
			}
			if took != want || errors.Is(err, context.DeadlineExceeded) != mute {
				t.Errorf("mute %v: %v after %v, want %v", mute, err, took, want)
			}
		})
	}
}

func TestCallComesBack(t *testing.T) {
	d := launch(t)
	d.peer()
	var b Bus
	t.Cleanup(b.Close)
	d.Must(b.Call(t.Context(), peer, face+".Echo", nil, "x"))
	first := b.conn
	d.Must(b.Call(t.Context(), peer, face+".Echo", nil, "x"))
	if b.conn != first {
		t.Error("a new connection for each call")
	}
	d.Stop()
	bustest.Within(t, first.Context().Done(), "the end of the connection")
	d.Start()
	d.peer()
	if err := b.Call(t.Context(), peer, face+".Echo", nil, "x"); err != nil {
		t.Errorf("no connection to the new bus: %v", err)
	}
}

func TestCloseEndsCalls(t *testing.T) {
	d := launch(t)
	conn := d.peer()
	var b Bus
	d.Must(b.Call(t.Context(), peer, face+".Echo", nil, "x"))
	ended := make(chan error, 10)
	for _, ask := range unanswered(&b) {
		go func() { ended <- ask(t.Context()) }()
	}
	b.Close()
	b.Close() // a second one does nothing
	for range unanswered(&b) {
		if err := bustest.Within(t, ended, "the end of the call"); err == nil {
			t.Error("a call that nobody answered has no error")
		}
	}
	b.Close() // a question that came late has connected again
	d.speak()
	conn.Close()
	alone(t)
}
