package units

import (
	"fmt"
	"maps"
	"testing"
)

// stops says what isolating goal.target would stop, by origin.
func stops(t *testing.T, s *Systemd) map[string]string {
	t.Helper()
	sets, err := s.StopSets(t.Context(), []string{"goal.target"})
	if err != nil || len(sets) != 1 || sets["goal.target"].Target != "goal.target" {
		t.Fatalf("the sets are %v (%v)", sets, err)
	}
	got := map[string]string{}
	last := ""
	for _, u := range sets["goal.target"].Stops {
		if u.Name <= last || u.Description != "the "+u.Name {
			t.Errorf("%+v after %s", u, last)
		}
		got[u.Name], last = u.Origin, u.Name
	}
	return got
}

func names(n ...string) []string { return n }

func TestStopSet(t *testing.T) {
	down := func(u unit) unit { u.active, u.sub = "inactive", "dead"; return u }
	for _, c := range []struct {
		why   string
		goal  props
		units []unit
		want  map[string]string
	}{
		{"nothing else is up", nil, nil, nil},
		{"what nothing holds", nil, []unit{{name: "a.service"}}, map[string]string{"a.service": "hand"}},
		{"is down", nil, []unit{down(unit{name: "a.service"}), {name: "f.service", active: "failed", sub: "failed"}}, nil},
		{"its sub state has the word of a state that counts", nil, []unit{{name: "a.service", active: "inactive", sub: "active"}}, nil},
		{"each state that counts", nil, []unit{{name: "a.service", active: "reloading"}, {name: "b.service", active: "refreshing"},
			{name: "c.service", active: "activating"}, {name: "d.service", active: "deactivating"}, {name: "e.mount", active: "maintenance"}},
			map[string]string{"a.service": "hand", "b.service": "hand", "c.service": "hand", "d.service": "hand", "e.mount": "dependency"}},
		{"follows another", nil, []unit{{name: "a.device", following: "b.device"}}, nil},
		{"IgnoreOnIsolate", nil, []unit{{name: "a.service", props: props{"IgnoreOnIsolate": true}}}, nil},
		{"RefuseManualStop is no help", nil, []unit{{name: "a.service", props: props{"RefuseManualStop": true}}}, map[string]string{"a.service": "hand"}},
		{"pulled in far down, through what is not up", props{"Wants": names("mid.target")},
			[]unit{down(unit{name: "mid.target", props: props{"Requires": names("a.service")}}), {name: "a.service"}}, nil},
		{"pulled in by another name", props{"Wants": names("alias.service")}, []unit{{name: "a.service", alias: "alias.service"}}, nil},
		{"pulls in what is not there", props{"Wants": names("none.service")}, []unit{{name: "a.service"}}, map[string]string{"a.service": "hand"}},
		{"pulled in round a circle", props{"Wants": names("a.service")}, []unit{{name: "a.service", props: props{"Wants": names("goal.target")}}}, nil},
		{"triggered by what stays", props{"Wants": names("a.socket")},
			[]unit{{name: "a.socket"}, {name: "a.service", props: props{"TriggeredBy": names("a.socket")}}}, nil},
		{"triggered by what goes", nil, []unit{{name: "a.socket"}, {name: "a.service", props: props{"TriggeredBy": names("a.socket")}}},
			map[string]string{"a.socket": "dependency", "a.service": "socket"}},
		{"spared, but excluded by what starts", props{"Wants": names("new.service")},
			[]unit{down(unit{name: "new.service"}), {name: "a.service", props: props{"IgnoreOnIsolate": true, "ConflictedBy": names("new.service")}},
				{name: "b.service", props: props{"IgnoreOnIsolate": true, "Conflicts": names("goal.target")}}},
			map[string]string{"a.service": "hand", "b.service": "hand"}},
		{"conflicts with what is not in it", nil, []unit{{name: "a.service", props: props{"IgnoreOnIsolate": true, "Conflicts": names("x.service")}}}, nil},
		{"wanted by the target, part of what goes", props{"Wants": names("a.service")},
			[]unit{{name: "a.service"}, {name: "b.service", props: props{"ConsistsOf": names("a.service")}}}, map[string]string{"a.service": "hand", "b.service": "hand"}},
		{"triggered by what is spared", nil, []unit{{name: "a.path", props: props{"IgnoreOnIsolate": true}},
			{name: "a.service", props: props{"TriggeredBy": names("a.path")}}}, nil},
		{"pulled in by what cannot be loaded", props{"Wants": names("bad.service")},
			[]unit{down(unit{name: "bad.service", props: props{"LoadState": "bad-setting", "Wants": names("a.service")}}), {name: "a.service"}}, map[string]string{"a.service": "hand"}},
		{"requires what is masked", props{"Wants": names("a.service")}, []unit{{name: "a.service", props: props{"Requires": names("b.service")}},
			{name: "b.service", props: props{"LoadState": "masked"}}}, map[string]string{"a.service": "hand", "b.service": "hand"}},
		{"wanted by what is only looked at", props{"Requisite": names("a.service")},
			[]unit{{name: "a.service", props: props{"Wants": names("b.service")}}, {name: "b.service"}}, map[string]string{"b.service": "hand"}},
		{"looked at, and wanted as well", props{"Requisite": names("a.service"), "Wants": names("c.service")},
			[]unit{{name: "a.service", props: props{"Wants": names("b.service")}}, {name: "b.service"}, {name: "c.service", props: props{"Wants": names("a.service")}}}, nil},
		{"not needed any more, in turn", nil, []unit{{name: "a.service"},
			{name: "b.service", props: props{"IgnoreOnIsolate": true, "StopWhenUnneeded": true, "WantedBy": names("a.service")}},
			{name: "c.service", props: props{"IgnoreOnIsolate": true, "StopWhenUnneeded": true, "RequiredBy": names("b.service")}}},
			map[string]string{"a.service": "hand", "b.service": "dependency", "c.service": "dependency"}},
		{"still needed", nil, []unit{{name: "a.service", props: props{"IgnoreOnIsolate": true}},
			{name: "b.service", props: props{"IgnoreOnIsolate": true, "StopWhenUnneeded": true, "WantedBy": names("a.service")}}}, nil},
		{"what falls with it is down", nil, []unit{{name: "a.service", props: props{"BoundBy": names("b.service")}}, down(unit{name: "b.service"})},
			map[string]string{"a.service": "hand"}},
	} {
		t.Run(c.why, func(t *testing.T) {
			launch(t, append([]unit{{name: "goal.target", active: "inactive", sub: "dead", props: c.goal}}, c.units...)...)
			if got := stops(t, lazy(t)); !maps.Equal(got, c.want) {
				t.Errorf("stops %v, want %v", got, c.want)
			}
		})
	}
}

func TestEachPullHolds(t *testing.T) {
	for kind, holds := range map[string]bool{"Requires": true, "Wants": true, "BindsTo": true, "Requisite": true, "Upholds": true,
		"After": false, "PartOf": false, "Conflicts": false, "RequiredBy": false} {
		t.Run(kind, func(t *testing.T) {
			launch(t, unit{name: "goal.target", props: props{kind: names("a.service")}}, unit{name: "a.service"})
			if got := stops(t, lazy(t)); (len(got) == 0) != holds {
				t.Errorf("stops %v", got)
			}
		})
	}
}

func TestEachFallTakesAlong(t *testing.T) {
	for kind, takes := range map[string]bool{"RequiredBy": true, "RequisiteOf": true, "BoundBy": true, "ConsistsOf": true, "PropagatesStopTo": true,
		"WantedBy": false, "UpheldBy": false, "Before": false, "Triggers": false} {
		t.Run(kind, func(t *testing.T) {
			spared := props{"IgnoreOnIsolate": true, kind: names("c.service")}
			launch(t, unit{name: "goal.target"}, unit{name: "a.service", props: props{kind: names("b.service")}},
				unit{name: "b.service", props: spared}, unit{name: "c.service", props: props{"IgnoreOnIsolate": true}})
			if got := stops(t, lazy(t)); len(got) != map[bool]int{true: 3, false: 1}[takes] {
				t.Errorf("stops %v", got)
			}
		})
	}
}

func TestOrigin(t *testing.T) {
	up := unit{name: "up.service", props: props{"IgnoreOnIsolate": true}}
	for _, c := range []struct {
		name  string
		props props
		want  string
	}{
		{"a.service", nil, "hand"},
		{"a.service", props{"UnitFileState": "disabled", "WantedBy": names("down.target")}, "hand"},
		{"a.service", props{"UnitFileState": "enabled"}, "enabled"},
		{"a.service", props{"UnitFileState": "enabled-runtime"}, "enabled"},
		{"a.service", props{"TriggeredBy": names("a.timer"), "UnitFileState": "enabled"}, "timer"},
		{"a.service", props{"TriggeredBy": names("a.socket"), "Transient": true}, "socket"},
		{"a.service", props{"TriggeredBy": names("x.automount", "a.path")}, "path"},
		{"a.service", props{"Transient": true, "UnitFileState": "enabled"}, "transient"},
		{"a.scope", props{"Transient": true}, "transient"},
		{"a.mount", props{"UnitFileState": "enabled"}, "dependency"},
		{"a.service", props{"WantedBy": names("up.service"), "UnitFileState": "enabled"}, "enabled"},
		{"a.service", props{"WantedBy": names("up.service"), "UnitFileState": "disabled"}, "dependency"},
		{"a.service", props{"RequiredBy": names("up.service")}, "dependency"},
		{"a.service", props{"BoundBy": names("up.service")}, "dependency"},
		{"a.service", props{"UpheldBy": names("up.service")}, "dependency"},
		{"a.service", props{"FragmentPath": maskDir + "a.service"}, "dependency"},
		{"a.service", props{"BusName": "org.modewatch.Test"}, "bus"},
		{"a.service", props{"BusName": ""}, "hand"},
	} {
		t.Run(fmt.Sprint(c.want, c.props), func(t *testing.T) {
			_, f := launch(t, unit{name: "goal.target"}, up, unit{name: c.name, props: c.props})
			s := lazy(t)
			for range 2 {
				if got := stops(t, s)[c.name]; got != c.want {
					t.Errorf("the origin is %q, want %q", got, c.want)
				}
			}
			if _, has := c.props["BusName"]; has && f.times("BusName") != 1 {
				t.Errorf("the bus name was read %d times", f.times("BusName"))
			}
		})
	}
}

func TestNodesAreReadOnceButTransientOnes(t *testing.T) {
	_, f := launch(t, unit{name: "goal.target"}, unit{name: "a.service"}, unit{name: "init.scope", props: props{"Transient": true}},
		unit{name: "run-1.scope", props: props{"Transient": true}})
	s := lazy(t)
	for range 2 {
		stops(t, s)
	}
	for name, want := range map[string]int{"goal.target": 1, "a.service": 1, "init.scope": 1, "run-1.scope": 2} {
		if n := f.times("GetAll " + name); n != want {
			t.Errorf("%s was read %d times, want %d", name, n, want)
		}
	}
}
