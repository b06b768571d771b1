// Package logind tells of sessions and users: who is logged in, whose session is
// graphical (D3), what the users' own managers run, and what inhibits.
package logind

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sources/bus"
)

const (
	dest        = "org.freedesktop.login1"
	managerFace = dest + ".Manager"
	properties  = "org.freedesktop.DBus.Properties"
)

var manager = bus.Object{Dest: dest, Path: "/org/freedesktop/login1"}

// Logind is the source. Use New.
type Logind struct {
	bus    *bus.Bus
	policy fsm.Policy
	hint   func(fsm.Subject)
	down   func(bool)
	procs  procs
	users  string // where the users' runtime directories are
	// Woke is told when the host comes back from sleep; nil: nobody asks.
	Woke func()
}

// New returns a source that calls hint for each change of a session or user,
// and down when the host is about to go down. Without Run of b it only answers.
func New(b *bus.Bus, p fsm.Policy, hint func(fsm.Subject), down func(bool)) *Logind {
	l := &Logind{bus: b, policy: p, hint: hint, down: down, procs: procs{root: "/proc", cgroups: cgroupRoot()}, users: "/run/user"}
	b.On(l.signal,
		bus.Match{Rule: []dbus.MatchOption{dbus.WithMatchSender(dest), dbus.WithMatchInterface(managerFace)}},
		bus.Match{Rule: []dbus.MatchOption{dbus.WithMatchSender(dest), dbus.WithMatchInterface(properties),
			dbus.WithMatchMember("PropertiesChanged"), dbus.WithMatchPathNamespace("/org/freedesktop/login1/session")}},
		bus.Match{Rule: []dbus.MatchOption{dbus.WithMatchSender("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, dest)}})
	return l
}

// lookAgain is when a new session is looked at again: a compositor that is
// started from a console comes after its session, and logind does not tell.
var lookAgain = []time.Duration{2 * time.Second, 10 * time.Second}

func (l *Logind) signal(s *dbus.Signal) {
	switch s.Name {
	case managerFace + ".SessionNew":
		l.hint(fsm.AboutSessions)
		for _, d := range lookAgain {
			time.AfterFunc(d, func() { l.hint(fsm.AboutSessions) })
		}
	case managerFace + ".SessionRemoved", managerFace + ".UserNew", managerFace + ".UserRemoved":
		l.hint(fsm.AboutSessions)
	case managerFace + ".PrepareForShutdown":
		if len(s.Body) > 0 && l.down != nil {
			l.down(s.Body[0] == true)
		}
	case managerFace + ".PrepareForSleep":
		if len(s.Body) > 0 && s.Body[0] == false && l.Woke != nil {
			l.Woke()
		}
	case "org.freedesktop.DBus.NameOwnerChanged":
		if len(s.Body) > 0 && s.Body[0] == dest {
			l.hint(fsm.AboutSessions)
		}
	case properties + ".PropertiesChanged":
		if strings.HasPrefix(string(s.Path), "/org/freedesktop/login1/session/") && matters(s) {
			l.hint(fsm.AboutSessions)
		}
	}
}

// matters tells whether a session's change can change its mode: an idle hint
// cannot.
func matters(s *dbus.Signal) bool {
	if len(s.Body) < 2 {
		return true
	}
	props, ok := s.Body[1].(map[string]dbus.Variant)
	if !ok {
		return true
	}
	for name := range props {
		switch name {
		case "Active", "State", "Type", "Class":
			return true
		}
	}
	return false
}

// sessionRow and userRow are rows of ListSessions and ListUsers.
type sessionRow struct {
	ID   string
	UID  uint32
	User string
	Seat string
	Path dbus.ObjectPath
}

type userRow struct {
	UID  uint32
	Name string
	Path dbus.ObjectPath
}

// Logins returns the sessions of people and greeters, and the users. A session
// that ends while it is read is simply gone; any other trouble is an error.
func (l *Logind) Logins(ctx context.Context) (fsm.Logins, error) {
	var out fsm.Logins
	var noUsers, noSessions error
	var wg sync.WaitGroup
	wg.Go(func() { out.Users, noUsers = l.listUsers(ctx) })
	wg.Go(func() { out.Sessions, noSessions = l.listSessions(ctx) })
	wg.Wait()
	switch {
	case noUsers != nil:
		return fsm.Logins{}, fmt.Errorf("cannot read the users: %w", noUsers)
	case noSessions != nil:
		return fsm.Logins{}, fmt.Errorf("cannot read the sessions: %w", noSessions)
	}
	return out, l.evidence(out.Sessions)
}

func (l *Logind) listSessions(ctx context.Context) ([]fsm.Session, error) {
	var rows []sessionRow
	if err := l.bus.Call(ctx, manager, managerFace+".ListSessions", &rows); err != nil {
		return nil, err
	}
	paths := make([]dbus.ObjectPath, len(rows))
	for i, r := range rows {
		paths[i] = r.Path
	}
	all, err := l.bus.All(ctx, dest, dest+".Session", paths)
	if err != nil {
		return nil, err
	}
	var out []fsm.Session
	for i, p := range all {
		class := bus.Str(p, "Class")
		if p == nil || !strings.HasPrefix(class, "user") && class != "greeter" {
			continue // gone, or a manager's
		}
		if strings.HasPrefix(class, "user") {
			class = "user" // user-early, user-incomplete
		}
		out = append(out, fsm.Session{ID: rows[i].ID, User: rows[i].User, UID: int(rows[i].UID), Class: class,
			Type: bus.Str(p, "Type"), State: bus.Str(p, "State"), TTY: bus.Str(p, "TTY"), Service: bus.Str(p, "Service"),
			Scope: bus.Str(p, "Scope"), Remote: bus.Bool(p, "Remote"), Since: time.UnixMicro(int64(bus.U64(p, "Timestamp")))})
	}
	return out, nil
}

func (l *Logind) listUsers(ctx context.Context) ([]fsm.User, error) {
	var rows []userRow
	if err := l.bus.Call(ctx, manager, managerFace+".ListUsers", &rows); err != nil {
		return nil, err
	}
	paths := make([]dbus.ObjectPath, len(rows))
	for i, r := range rows {
		paths[i] = r.Path
	}
	users, unasked := make([]fsm.User, len(rows)), make([]error, len(rows))
	var wg sync.WaitGroup
	for i, r := range rows {
		users[i] = fsm.User{UID: int(r.UID), Name: r.Name}
		wg.Go(func() { unasked[i] = l.askManager(ctx, &users[i]) })
	}
	all, err := l.bus.All(ctx, dest, dest+".User", paths)
	wg.Wait()
	if err != nil {
		return nil, err
	}
	var out []fsm.User
	for i, p := range all {
		switch {
		case p == nil: // gone
		case unasked[i] != nil:
			return nil, fmt.Errorf("cannot ask the service manager of %s: %w", users[i].Name, unasked[i])
		default:
			users[i].Linger = bus.Bool(p, "Linger")
			out = append(out, users[i])
		}
	}
	return out, nil
}

// inhibitorRow is a row of ListInhibitors.
type inhibitorRow struct {
	What, Who, Why, Mode string
	UID, PID             uint32
}

// Inhibitors returns the locks of mode block that are not modewatch's.
func (l *Logind) Inhibitors(ctx context.Context) ([]fsm.Inhibitor, error) {
	var rows []inhibitorRow
	if err := l.bus.Call(ctx, manager, managerFace+".ListInhibitors", &rows); err != nil {
		return nil, fmt.Errorf("cannot list inhibitors: %w", err)
	}
	var out []fsm.Inhibitor
	for _, r := range rows {
		if r.Mode == "block" && r.Who != "modewatch" && int(r.PID) != os.Getpid() {
			out = append(out, fsm.Inhibitor{What: r.What, Who: r.Who, Why: r.Why, UID: int(r.UID), PID: int(r.PID)})
		}
	}
	return out, nil
}
