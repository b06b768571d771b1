package units

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/fsm"
)

func TestUnits(t *testing.T) {
	_, _ = launch(t,
		unit{name: "up.target", sub: "active", props: props{"CanIsolate": true}},
		unit{name: "plain.target", sub: "active", props: props{"CanIsolate": false}},
		unit{name: "main.service", alias: "alias.service"},
		unit{name: "bad.service", active: "failed", sub: "failed", props: props{"Result": "exit-code"}},
		unit{name: "ours.service", load: "masked", active: "inactive", sub: "dead", props: props{"FragmentPath": maskDir + "ours.service"}},
		unit{name: "theirs.service", load: "masked", active: "inactive", sub: "dead", props: props{"FragmentPath": "/etc/systemd/system/theirs.service"}},
		unit{name: "eats.service", props: props{"MemoryCurrent": uint64(4096)}},
		unit{name: "uncounted.service", props: props{"MemoryCurrent": uint64(1<<64 - 1)}},
		unit{name: "left.service", active: "failed", sub: "failed"}, // its object goes while it is read
	)
	want := map[string]fsm.Unit{}
	for _, u := range []fsm.Unit{
		{Name: "up.target", Load: "loaded", Active: "active", Sub: "active", CanIsolate: true},
		{Name: "plain.target", Load: "loaded", Active: "active", Sub: "active"},
		{Name: "alias.service", Load: "loaded", Active: "active", Sub: "running"},
		{Name: "bad.service", Load: "loaded", Active: "failed", Sub: "failed", Result: "exit-code"},
		{Name: "ours.service", Load: "masked", Active: "inactive", Sub: "dead", Runtime: true},
		{Name: "theirs.service", Load: "masked", Active: "inactive", Sub: "dead"},
		{Name: "none.service", Load: "not-found", Active: "inactive", Sub: "dead"},
		{Name: "none.target", Load: "not-found", Active: "inactive", Sub: "dead"},
		{Name: "left.service", Load: "loaded", Active: "failed", Sub: "failed"},
		{Name: "eats.service", Load: "loaded", Active: "active", Sub: "running", Memory: 4096},
		{Name: "uncounted.service", Load: "loaded", Active: "active", Sub: "running"},
	} {
		want[u.Name] = u
	}
	s := lazy(t, "up.target", "plain.target", "alias.service", "bad.service", "ours.service", "theirs.service", "none.service", "none.target", "left.service")
	got, err := s.Units(t.Context(), []string{"eats.service", "uncounted.service"}, true)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("the units are %+v (%v)\nwant %+v", got, err, want)
	}
}

func TestMemoryOnlyOfExtraUnitsAndWhenAsked(t *testing.T) {
	_, f := launch(t, unit{name: "a.service", props: props{"MemoryCurrent": uint64(7)}}, unit{name: "b.service", props: props{"MemoryCurrent": uint64(8)}})
	s := lazy(t, "a.service")
	for memory, want := range map[bool]uint64{false: 0, true: 8} {
		got, err := s.Units(t.Context(), []string{"b.service"}, memory)
		if err != nil || got["a.service"].Memory != 0 || got["b.service"].Memory != want {
			t.Errorf("asked %v: %+v (%v)", memory, got, err)
		}
	}
	if n := f.times("MemoryCurrent"); n != 1 {
		t.Errorf("memory was read %d times", n)
	}
}

func TestCanIsolateIsReadOnce(t *testing.T) {
	_, f := launch(t, unit{name: "a.target", props: props{"CanIsolate": true}})
	s := lazy(t, "a.target")
	for range 3 {
		if got, err := s.Units(t.Context(), nil, false); err != nil || !got["a.target"].CanIsolate {
			t.Fatalf("%+v (%v)", got, err)
		}
	}
	if n := f.times("CanIsolate"); n != 1 {
		t.Errorf("read %d times", n)
	}
}

// questions are all that the source is asked.
func questions(s *Systemd) map[string]func(context.Context) (any, error) {
	return map[string]func(context.Context) (any, error){
		"Units":    func(ctx context.Context) (any, error) { return s.Units(ctx, nil, false) },
		"Host":     func(ctx context.Context) (any, error) { return s.Host(ctx) },
		"StopSets": func(ctx context.Context) (any, error) { return s.StopSets(ctx, []string{"a.target"}) },
	}
}

func TestRefusedIsAnError(t *testing.T) {
	_, f := launch(t, unit{name: "a.target", props: props{"CanIsolate": true}}, unit{name: "a.service"})
	s := lazy(t, "a.target")
	for _, c := range []struct{ refused, question, want string }{
		{"ListUnitsByNames", "Units", "cannot list units: "},
		{"CanIsolate", "Units", "cannot read a.target: "},
		{"SystemState", "Host", "cannot read the state of the manager: "},
		{"ListJobs", "Host", "cannot list jobs: "},
		{"ListUnitsByPatterns", "Host", "cannot tell whether a switch is in progress: "},
		{"ListUnitsFiltered", "StopSets", "cannot list units: "},
		{"GetAll", "StopSets", "cannot tell what isolating a.target would stop: "},
		{"GetAll a.service", "StopSets", "cannot tell what isolating a.target would stop: "},
	} {
		ask := questions(s)[c.question]
		f.set(func() { f.errs[c.refused] = "org.freedesktop.DBus.Error.AccessDenied" })
		_, err := ask(t.Context())
		var refused dbus.Error
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || !errors.As(err, &refused) {
			t.Errorf("%s refused: %v, want %q", c.refused, err, c.want)
		}
		f.set(func() { clear(f.errs) })
	}
	for name, ask := range questions(s) {
		if _, err := ask(t.Context()); err != nil {
			t.Errorf("%s, nothing refused: %v", name, err)
		}
	}
}

func TestSilenceIsAnError(t *testing.T) {
	_, f := launch(t, unit{name: "a.target"})
	f.set(func() {
		f.mute = map[string]bool{"ListUnitsByNames": true, "SystemState": true, "ListUnitsFiltered": true}
	})
	for name, ask := range questions(lazy(t, "a.target")) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := ask(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
}

func TestNoManagerIsAnError(t *testing.T) {
	d, f := launch(t)
	s := lazy(t)
	if _, err := f.conn.ReleaseName(dest); err != nil {
		t.Fatal(err)
	}
	for name, ask := range questions(s) {
		if got, err := ask(t.Context()); err == nil {
			t.Errorf("%s without a manager: %v", name, got)
		}
	}
	d.stop()
	for name, ask := range questions(s) {
		if got, err := ask(t.Context()); err == nil {
			t.Errorf("%s without a bus: %v", name, got)
		}
	}
}

func TestNameThatIsNotValid(t *testing.T) {
	launch(t, unit{name: "a.service"})
	_, err := lazy(t, "a.service").Units(t.Context(), []string{"nonsense"}, false)
	if err == nil || err.Error() != "cannot list units: asked for 2 units, got 1" {
		t.Errorf("the error is %v", err)
	}
}

func TestHost(t *testing.T) {
	_, f := launch(t, unit{name: "a.service"}, unit{name: "nixos-rebuild-x.service", active: "inactive", sub: "dead"})
	s := lazy(t)
	if h, err := s.Host(t.Context()); err != nil || !reflect.DeepEqual(h, fsm.Host{Manager: "running"}) {
		t.Errorf("at rest: %+v (%v)", h, err)
	}
	f.set(func() {
		f.state = "stopping"
		f.jobs = []job{{7, "a.service", "stop", "running", "/j/7", "/u/a"}, {8, "b.service", "start", "waiting", "/j/8", "/u/b"}}
		f.units[1].active = "activating"
	})
	want := fsm.Host{Manager: "stopping", ShuttingDown: true, Switching: "nixos-rebuild-x.service",
		Pending: []fsm.Job{{ID: 7, Unit: "a.service", Type: "stop", State: "running"}, {ID: 8, Unit: "b.service", Type: "start", State: "waiting"}}}
	if h, err := s.Host(t.Context()); err != nil || !reflect.DeepEqual(h, want) {
		t.Errorf("the host is %+v (%v)\nwant %+v", h, err, want)
	}
	s.switching = nil
	if h, err := s.Host(t.Context()); err != nil || h.Switching != "" || !slices.Equal(h.Pending, want.Pending) {
		t.Errorf("no switch units are known: %+v (%v)", h, err)
	}
}
