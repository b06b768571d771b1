package bus

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/godbus/dbus/v5"
)

func TestGet(t *testing.T) {
	launch(t).peer()
	var b Bus
	t.Cleanup(b.Close)
	var got string
	if err := b.Get(t.Context(), peer, face, "Colour", &got); err != nil || got != "value of Colour" {
		t.Errorf("Get says %q (%v)", got, err)
	}
	if err := b.Get(t.Context(), peer, face, "Colour", new(bool)); err == nil {
		t.Error("a string passes for a bool")
	}
	all, err := b.GetAll(t.Context(), peer, face)
	if err != nil || Str(all, "Path") != string(object) || Str(all, "About") != face {
		t.Errorf("GetAll says %v (%v)", all, err)
	}
}

func TestAll(t *testing.T) {
	launch(t).peer()
	var b Bus
	t.Cleanup(b.Close)
	got, err := b.All(t.Context(), face, face, []dbus.ObjectPath{object + "/a", object + "/gone", object + "/b"})
	if err != nil || len(got) != 3 {
		t.Fatalf("%d answers (%v)", len(got), err)
	}
	if Str(got[0], "Path") != string(object+"/a") || got[1] != nil || Str(got[2], "Path") != string(object+"/b") {
		t.Errorf("the answers are %v", got)
	}
	got, err = b.All(t.Context(), face, face, []dbus.ObjectPath{object + "/a", object + "/secret"})
	var e dbus.Error
	if !errors.As(err, &e) || e.Name != "org.freedesktop.DBus.Error.AccessDenied" || got != nil {
		t.Errorf("a refusal: %v, %v", got, err)
	}
	if got, err = b.All(t.Context(), face, face, nil); err != nil || len(got) != 0 {
		t.Errorf("nothing asked: %v, %v", got, err)
	}
}

// A bus refuses too many calls that have no answer yet; many objects are read all the
// same, each in its place.
func TestAllOfMany(t *testing.T) {
	launch(t).peer()
	var b Bus
	t.Cleanup(b.Close)
	var paths []dbus.ObjectPath
	for i := range 300 {
		paths = append(paths, object+dbus.ObjectPath(fmt.Sprintf("/o%d", i)))
	}
	got, err := b.All(t.Context(), face, face, paths)
	if err != nil || len(got) != len(paths) {
		t.Fatalf("%d answers (%v)", len(got), err)
	}
	for i, p := range paths {
		if Str(got[i], "Path") != string(p) {
			t.Fatalf("answer %d is %v", i, got[i])
		}
	}
}

func TestAllOtherType(t *testing.T) {
	d := launch(t)
	d.peer()
	conn := d.Stranger()
	d.Must(conn.ExportMethodTable(map[string]any{"GetAll": func(string) (string, *dbus.Error) { return "no map", nil }},
		object, "org.freedesktop.DBus.Properties"))
	var b Bus
	t.Cleanup(b.Close)
	if got, err := b.All(t.Context(), conn.Names()[0], face, []dbus.ObjectPath{object}); err == nil || got != nil {
		t.Errorf("a string passes for properties: %v", got)
	}
}

func TestVanished(t *testing.T) {
	for name, want := range map[string]bool{
		"org.freedesktop.DBus.Error.UnknownObject":    true,
		"org.freedesktop.DBus.Error.UnknownInterface": true,
		"org.freedesktop.login1.NoSuchSession":        true,
		"org.freedesktop.login1.NoSuchUser":           true,
		"org.freedesktop.DBus.Error.AccessDenied":     false,
		"org.freedesktop.DBus.Error.NameHasNoOwner":   false,
		"org.freedesktop.DBus.Error.NoReply":          false,
	} {
		if got := Vanished(dbus.Error{Name: name}); got != want {
			t.Errorf("Vanished(%s) = %v", name, got)
		}
	}
	if Vanished(nil) || Vanished(errors.New("org.freedesktop.DBus.Error.UnknownObject")) {
		t.Error("what is no answer says that an object has gone")
	}
}

func TestReaders(t *testing.T) {
	p := map[string]dbus.Variant{"s": dbus.MakeVariant("a"), "b": dbus.MakeVariant(true), "as": dbus.MakeVariant([]string{"a", "b"}),
		"u": dbus.MakeVariant(uint32(3)), "t": dbus.MakeVariant(uint64(1 << 40))}
	read := map[string]func(name string) (value any, zero bool){
		"s":  func(n string) (any, bool) { v := Str(p, n); return v, v == "" },
		"b":  func(n string) (any, bool) { v := Bool(p, n); return v, !v },
		"as": func(n string) (any, bool) { v := Strs(p, n); return v, v == nil },
		"u":  func(n string) (any, bool) { v := U32(p, n); return v, v == 0 },
		"t":  func(n string) (any, bool) { v := U64(p, n); return v, v == 0 },
	}
	for kind, f := range read {
		for name := range read {
			got, zero := f(name)
			if name == kind && fmt.Sprint(got) != fmt.Sprint(p[name].Value()) || name != kind && !zero {
				t.Errorf("%s read as %s is %v", name, kind, got)
			}
		}
		if got, zero := f("missing"); !zero {
			t.Errorf("nothing read as %s is %v", kind, got)
		}
	}
	if !slices.Equal(Strs(p, "as"), []string{"a", "b"}) {
		t.Errorf("the strings are %v", Strs(p, "as"))
	}
}
