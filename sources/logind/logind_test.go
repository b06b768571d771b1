package logind

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sources/bus/bustest"
)

func nobody(fsm.Subject) {}

// Sessions are of people and greeters; what has gone meanwhile, and a manager's, is
// left out.
func TestSessions(t *testing.T) {
	f := newLogin(t, nobody, nil, nil)
	f.session("1", 1000, map[string]any{"Class": "user", "Type": "wayland", "State": "active", "TTY": "tty2", "Timestamp": uint64(7e6)})
	f.session("2", 1001, map[string]any{"Class": "user-early", "Type": "tty", "Remote": true})
	f.session("c1", 33, map[string]any{"Class": "greeter", "Type": "wayland"})
	f.session("3", 1000, map[string]any{"Class": "manager"})
	f.session("4", 1000, map[string]any{"Class": "user"})
	f.user(1000, true)
	f.user(1001, false)
	f.user(1002, false)
	f.set(func() {
		delete(f.props, "/org/freedesktop/login1/session/4")
		delete(f.props, "/org/freedesktop/login1/user/1002")
	})
	got, err := f.Logins(t.Context())
	want := []fsm.Session{
		{ID: "1", User: "user1000", UID: 1000, Class: "user", Type: "wayland", State: "active", TTY: "tty2", Scope: "session-1.scope", Since: time.Unix(7, 0), Graphical: true, Why: "type wayland"},
		{ID: "2", User: "user1001", UID: 1001, Class: "user", Type: "tty", Remote: true, Scope: "session-2.scope", Since: time.Unix(0, 0)},
		{ID: "c1", User: "user33", UID: 33, Class: "greeter", Type: "wayland", Scope: "session-c1.scope", Since: time.Unix(0, 0), Graphical: true, Why: "type wayland"}}
	if err != nil || !slices.Equal(got.Sessions, want) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got.Sessions, want)
	}
	if len(got.Users) != 2 || got.Users[0].Name != "user1000" || !got.Users[0].Linger || got.Users[0].Manager || got.Users[1].Linger {
		t.Errorf("users %+v", got.Users)
	}
}

// Who starts a compositor from a console has a graphical session (D3).
func TestACompositorOnAConsole(t *testing.T) {
	tty := map[string]any{"Class": "user", "Type": "tty"}
	for what, c := range map[string]struct {
		group, comm string
		link        string
		want        string
	}{
		"a shell":                    {"session-1.scope", "bash", "/dev/null", ""},
		"a compositor":               {"session-1.scope", "Hyprland", "/dev/null", "1: Hyprland (PID 7) runs"},
		"who holds the card":         {"session-1.scope", "weston", "/dev/dri/card0", "1: weston (PID 7) holds /dev/dri/card0"},
		"who holds another card":     {"session-1.scope", "weston", "/dev/dri/card1", ""},
		"of the user's manager":      {"user@1000.service/session.slice/x.service", "Hyprland", "/dev/null", "2: Hyprland (PID 7) runs"},
		"of another user's":          {"../user-1001.slice/session-9.scope", "Hyprland", "/dev/null", ""},
		"in the scope of the newest": {"session-2.scope", "Hyprland", "/dev/null", "2: Hyprland (PID 7) runs"},
	} {
		t.Run(what, func(t *testing.T) {
			f := newLogin(t, nobody, nil, nil)
			f.session("1", 1000, tty)
			f.session("2", 1000, map[string]any{"Class": "user", "Type": "tty", "Timestamp": uint64(7e6)})
			f.process(7, 1000, c.group, c.comm, c.link)
			if got := f.graphical(); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// What cannot be asked is an error, never "nobody is there".
func TestCannotTell(t *testing.T) {
	f := newLogin(t, nobody, nil, nil)
	for method, want := range map[string]string{"ListUsers": "cannot read the users", "ListSessions": "cannot read the sessions"} {
		f.set(func() { f.errs[method] = "org.freedesktop.DBus.Error.AccessDenied" })
		if got, err := f.Logins(t.Context()); err == nil || !strings.Contains(err.Error(), want) || got.Sessions != nil || got.Users != nil {
			t.Errorf("%s: %+v, %v", method, got, err)
		}
		f.set(func() { delete(f.errs, method) })
	}
	f.set(func() { f.errs["ListInhibitors"] = "org.freedesktop.DBus.Error.AccessDenied" })
	if got, err := f.Inhibitors(t.Context()); err == nil || got != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

// A process that cannot be looked into could be a compositor.
func TestAProcessThatCannotBeRead(t *testing.T) {
	f := newLogin(t, nobody, nil, nil)
	f.session("1", 1000, map[string]any{"Class": "user", "Type": "tty"})
	f.process(7, 1000, "session-1.scope", "x")
	if err := os.Remove(f.root + "/proc/7/comm"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(f.root+"/proc/7/comm", 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Logins(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot look at the processes of user1000") {
		t.Errorf("%v", err)
	}
}

// Only what others block counts.
func TestInhibitors(t *testing.T) {
	f := newLogin(t, nobody, nil, nil)
	f.set(func() {
		f.inhibitors = []inhibitorRow{{"sleep", "backup", "runs", "block", 1000, 7}, {"sleep", "x", "y", "delay", 1000, 8},
			{"shutdown", "modewatch", "y", "block", 0, 9}, {"sleep", "me", "y", "block", 0, uint32(os.Getpid())}}
	})
	got, err := f.Inhibitors(t.Context())
	if want := []fsm.Inhibitor{{What: "sleep", Who: "backup", Why: "runs", UID: 1000, PID: 7}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}

// Each signal that can change who is there hints; what the host is about to do is
// told; an idle hint is nothing.
func TestSignals(t *testing.T) {
	said := make(chan string, 1000)
	f := newLogin(t, func(s fsm.Subject) {
		if s != fsm.AboutSessions {
			t.Errorf("a hint about %v", s)
		}
		said <- "hint"
	}, func(going bool) { said <- map[bool]string{true: "down", false: "up"}[going] }, func() { said <- "woke" })
	if _, err := f.Logins(t.Context()); err != nil { // it is connected
		t.Fatal(err)
	}
	send := func(path dbus.ObjectPath, name string, body ...any) {
		if err := f.conn.Emit(path, name, body...); err != nil {
			t.Fatal(err)
		}
	}
	const one = "/org/freedesktop/login1/session/1"
	changed := func(name string) {
		send(one, properties+".PropertiesChanged", dest+".Session", map[string]dbus.Variant{name: dbus.MakeVariant("x")}, []string{})
	}
	for what, c := range map[string]struct {
		send func()
		want string
	}{
		"a session ends": {func() { send(manager.Path, managerFace+".SessionRemoved", "1", dbus.ObjectPath(one)) }, "hint"},
		"a user comes":   {func() { send(manager.Path, managerFace+".UserNew", uint32(7), dbus.ObjectPath("/x")) }, "hint"},
		"a type changes": {func() { changed("Type") }, "hint"},
		"an idle hint":   {func() { changed("IdleHint"); send(manager.Path, managerFace+".PrepareForShutdown", false) }, "up"},
		"it goes down":   {func() { send(manager.Path, managerFace+".PrepareForShutdown", true) }, "down"},
		"it stays up":    {func() { send(manager.Path, managerFace+".PrepareForShutdown", false) }, "up"},
		"it sleeps, woke": {func() {
			send(manager.Path, managerFace+".PrepareForSleep", true)
			send(manager.Path, managerFace+".PrepareForSleep", false)
		}, "woke"},
	} {
		for len(said) > 0 {
			<-said
		}
		c.send()
		if got := bustest.Within(t, said, what); got != c.want {
			t.Errorf("%s: %s, want %s", what, got, c.want)
		}
	}
}
