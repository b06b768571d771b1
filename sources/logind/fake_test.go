package logind

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sources/bus"
	"github.com/modewatch/modewatch/sources/bus/bustest"
)

// login is a fake logind on a real bus, with a made /proc and control groups.
type login struct {
	*Logind
	t    *testing.T
	conn *dbus.Conn
	root string

	mu         sync.Mutex
	sessions   []sessionRow
	users      []userRow
	inhibitors []inhibitorRow
	props      map[dbus.ObjectPath]map[string]dbus.Variant // an object without any is gone
	errs       map[string]string                           // the error that a method answers with
}

// newLogin starts a bus with the fake on it, and a source that hints.
func newLogin(t *testing.T, hint func(fsm.Subject), down func(bool), woke func()) *login {
	t.Helper()
	d := bustest.New(t)
	d.Start()
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+d.Socket)
	f := &login{t: t, conn: d.Stranger(), root: t.TempDir(), props: map[dbus.ObjectPath]map[string]dbus.Variant{}, errs: map[string]string{}}
	d.Must(f.conn.ExportMethodTable(map[string]any{
		"ListSessions":   func() ([]sessionRow, *dbus.Error) { return told(f, "ListSessions", &f.sessions) },
		"ListUsers":      func() ([]userRow, *dbus.Error) { return told(f, "ListUsers", &f.users) },
		"ListInhibitors": func() ([]inhibitorRow, *dbus.Error) { return told(f, "ListInhibitors", &f.inhibitors) },
	}, manager.Path, managerFace))
	d.Must(f.conn.ExportSubtreeMethodTable(map[string]any{"GetAll": f.getAll}, manager.Path, properties))
	_, err := f.conn.RequestName(dest, dbus.NameFlagDoNotQueue)
	d.Must(err)
	b := &bus.Bus{}
	var policy fsm.Policy
	policy.Sessions.Compositors, policy.GPU.Display = []string{"Hyprland"}, []string{"/dev/dri/card0"}
	f.Logind = New(b, policy, hint, down)
	f.Woke = woke
	f.procs, f.Logind.users = procs{root: filepath.Join(f.root, "proc"), cgroups: filepath.Join(f.root, "cgroup")}, f.root
	bustest.Run(t, b.Run)
	return f
}

// told is the answer of a method.
func told[T any](f *login, method string, rows *[]T) ([]T, *dbus.Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if name := f.errs[method]; name != "" {
		return nil, dbus.NewError(name, []any{method})
	}
	return *rows, nil
}

// set changes the fake while it runs.
func (f *login) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *login) getAll(m dbus.Message, _ string) (map[string]dbus.Variant, *dbus.Error) {
	path, _ := m.Headers[dbus.FieldPath].Value().(dbus.ObjectPath)
	f.mu.Lock()
	defer f.mu.Unlock()
	if p, ok := f.props[path]; ok {
		return p, nil
	}
	return nil, dbus.NewError("org.freedesktop.DBus.Error.UnknownObject", []any{"gone"})
}

// session adds one with an id.
func (f *login) session(id string, uid int, props map[string]any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	path := dbus.ObjectPath("/org/freedesktop/login1/session/" + id)
	f.sessions = append(f.sessions, sessionRow{id, uint32(uid), fmt.Sprint("user", uid), "seat0", path})
	f.props[path] = map[string]dbus.Variant{"Scope": dbus.MakeVariant("session-" + id + ".scope")}
	for name, v := range props {
		f.props[path][name] = dbus.MakeVariant(v)
	}
}

func (f *login) user(uid int, linger bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	path := dbus.ObjectPath(fmt.Sprint("/org/freedesktop/login1/user/", uid))
	f.users = append(f.users, userRow{uint32(uid), fmt.Sprint("user", uid), path})
	f.props[path] = map[string]dbus.Variant{"Linger": dbus.MakeVariant(linger)}
}

// process adds one of a user, in a control group of the user's slice.
func (f *login) process(pid, uid int, group, comm string, links ...string) {
	f.t.Helper()
	slice := filepath.Join(f.root, "cgroup", "user.slice", fmt.Sprintf("user-%d.slice", uid), group)
	dir := filepath.Join(f.root, "proc", fmt.Sprint(pid))
	for _, d := range []string{slice, filepath.Join(dir, "fd")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			f.t.Fatal(err)
		}
	}
	for file, text := range map[string]string{filepath.Join(slice, "cgroup.procs"): fmt.Sprintln(pid), filepath.Join(dir, "comm"): comm + "\n"} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			f.t.Fatal(err)
		}
	}
	for i, to := range links {
		if err := os.Symlink(to, filepath.Join(dir, "fd", fmt.Sprint(i))); err != nil {
			f.t.Fatal(err)
		}
	}
}

// graphical are the ids of the sessions that are, with why.
func (f *login) graphical() string {
	f.t.Helper()
	got, err := f.Logins(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	var out []string
	for _, s := range got.Sessions {
		if s.Graphical {
			out = append(out, s.ID+": "+s.Why)
		}
	}
	return strings.Join(out, ", ")
}
