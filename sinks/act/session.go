package act

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	sd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/fsm"
)

// The session is looked at again at growing intervals: its state "closing" and
// the end of its scope are never signalled. Its removal is: until then a look only
// takes time from those who see to it.
const (
	lookFirst = 2 * time.Millisecond
	lookAsked = 50 * time.Millisecond // right after it was asked to end
	lookLast  = 500 * time.Millisecond
	sigkill   = int32(9)
)

// session is what is left of a logind session, by one look. It has ended when
// both are empty.
type session struct {
	id    string
	state string // logind's: online, active, closing; empty when it knows no such session
	scope string // the scope's ActiveState where it counts; empty when it is not loaded or gone
}

func (s session) ended() bool { return s.state == "" && s.scope == "" }

func (s session) String() string {
	switch {
	case s.state == "":
		return fmt.Sprintf("session %s (unknown to logind, its scope is %s)", s.id, orGone(s.scope))
	case s.state == "closing":
		return fmt.Sprintf("session %s (closing, its scope is %s)", s.id, orGone(s.scope))
	}
	return fmt.Sprintf("session %s (%s)", s.id, s.state)
}

func orGone(word string) string {
	if word == "" {
		return "gone"
	}
	return word
}

// endSession ends a session and returns when it is gone, with its scope. What
// does not go in SessionTerm is killed; ctx bounds the whole. A session that
// does not exist is a success.
func (a *Actor) endSession(ctx context.Context, id string) error {
	s, err := a.lookSession(ctx, id)
	if err != nil {
		return fmt.Errorf("cannot end session %s: %w", id, err)
	}
	if s.ended() {
		return nil
	}
	removed, unwatch, err := a.watchRemoval(ctx, id)
	if err == nil {
		defer unwatch()
		err = a.seeOut(ctx, &s, removed)
	}
	if err != nil {
		return fmt.Errorf("cannot end %s: %w", s, err)
	}
	return nil
}

// seeOut asks a session to end, kills it once if it does not in SessionTerm, and
// returns when it is gone. A session that is opening is given as long to open: if
// it is asked before, it is closing for ever, its leader outside of the scope.
func (a *Actor) seeOut(ctx context.Context, s *session, removed <-chan *dbus.Signal) error {
	patience := time.NewTimer(a.policy.Deadlines.SessionTerm)
	defer patience.Stop()
	interval, asked, late := lookFirst, false, false
	for !s.ended() {
		switch {
		case !asked && (late || s.state != "opening"):
			err := a.terminate(ctx, *s)
			if err != nil && !busError(err) {
				return err
			}
			if err != nil { // logind may come back, also with the session gone
				a.log(fmt.Sprintf("%s: cannot ask it to end yet: %v", s, err))
				interval = lookLast
			}
			if asked = err == nil; asked {
				interval = lookAsked
			}
			patience.Reset(a.policy.Deadlines.SessionTerm)
		case late:
			a.log(fmt.Sprintf("%s: still there after %s, killing it", s, a.policy.Deadlines.SessionTerm))
			a.kill(ctx, s.id)
			interval = lookFirst
		}
		late = false
		select {
		case <-removed:
			interval, removed = lookFirst, nil
		case <-time.After(interval):
			interval = min(2*interval, lookLast)
		case <-patience.C:
			late = true
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		// A look that fails shows nothing; the next one may, until ctx is done.
		if now, err := a.lookSession(ctx, s.id); err == nil {
			*s = now
		}
	}
	return nil
}

// terminate asks a session to end. logind takes no notice where it thinks that
// the session is ending already, so that there the scope is stopped instead.
func (a *Actor) terminate(ctx context.Context, s session) error {
	if s.state != "" && s.state != "closing" {
		err := a.call(ctx, logindManager, "TerminateSession", s.id).Err
		if noSession(err) {
			return nil
		}
		return err
	}
	a.log(fmt.Sprintf("%s: terminating it would do nothing, its scope is stopped instead", s))
	m, err := a.manager(ctx)
	if err != nil {
		return err
	}
	_, err = m.begin(ctx, stopping, fsm.SessionScope(s.id), replace)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// kill sends SIGKILL to all of a session: by logind or, where that fails, by the
// manager that keeps its scope or, where there is none, to its leader. What fails
// is told; the wait goes on regardless.
func (a *Actor) kill(ctx context.Context, id string) {
	err := a.call(ctx, logindManager, "KillSession", id, "all", sigkill).Err
	if err == nil {
		return
	}
	scope := fsm.SessionScope(id)
	a.log(fmt.Sprintf("cannot kill session %s by logind: %v; killing %s", id, err, scope))
	if err = a.call(ctx, systemdManager, "KillUnit", scope, "all", sigkill).Err; err == nil {
		return
	}
	a.log(fmt.Sprintf("cannot kill %s: %v; killing the leader of session %s", scope, err, id))
	if err := a.killLeader(ctx, id); err != nil {
		a.log(fmt.Sprintf("cannot kill the leader of session %s: %v", id, err))
	}
}

// killLeader kills the process that leads a session. It is held by its pidfd
// before logind is asked a second time, so that no other process is hit.
func (a *Actor) killLeader(ctx context.Context, id string) error {
	var pid, again uint32
	leader := sessionObject(id)
	if err := a.get(ctx, leader, "Leader", &pid); err != nil {
		return err
	}
	process, err := os.FindProcess(int(pid))
	if err != nil {
		return err
	}
	defer process.Release()
	if err := a.get(ctx, leader, "Leader", &again); err != nil {
		return err
	}
	if pid != again || pid <= 1 {
		return fmt.Errorf("its process is %d and then %d", pid, again)
	}
	return process.Kill()
}

// lookSession reads what is left of a session. The scope counts only where logind
// takes the session for ending or ended, and is asked for only then.
func (a *Actor) lookSession(ctx context.Context, id string) (session, error) {
	s := session{id: id}
	err := a.get(ctx, sessionObject(id), "State", &s.state)
	if err != nil && !noSession(err) {
		return s, fmt.Errorf("cannot read its state from logind: %w", err)
	}
	if s.state != "" && s.state != "closing" {
		return s, nil
	}
	scope := fsm.SessionScope(id)
	// GetUnit answers for loaded units only, and so does not load a scope that is gone.
	var path dbus.ObjectPath
	err = a.read(ctx, systemdManager, "GetUnit", &path, scope)
	if err == nil {
		s.scope, err = a.property(ctx, scope, "ActiveState")
	}
	if err != nil && !named(err, systemdErrors+"NoSuchUnit") {
		return s, fmt.Errorf("cannot read the state of %s: %w", scope, err)
	}
	if s.scope == "inactive" || s.scope == "failed" {
		s.scope = ""
	}
	return s, nil
}

func sessionObject(id string) object {
	return object{logind, dbus.ObjectPath("/org/freedesktop/login1/session/" + sd.PathBusEscape(id)), logind + ".Session"}
}

// watchRemoval has the signal of a session's removal sent to a channel.
func (a *Actor) watchRemoval(ctx context.Context, id string) (<-chan *dbus.Signal, func(), error) {
	conn, err := a.bus(ctx)
	if err != nil {
		return nil, nil, err
	}
	match := []dbus.MatchOption{dbus.WithMatchSender(logind), dbus.WithMatchInterface(logindManager.face),
		dbus.WithMatchMember("SessionRemoved"), dbus.WithMatchArg(0, id)}
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := conn.AddMatchSignalContext(call, match...); err != nil {
		return nil, nil, err
	}
	signals := make(chan *dbus.Signal, 1)
	conn.Signal(signals)
	return signals, func() {
		conn.RemoveSignal(signals)
		go func() { // nobody waits for it, and it ends with the connection anyway
			call, cancel := context.WithTimeout(context.Background(), callTimeout)
			defer cancel()
			_ = conn.RemoveMatchSignalContext(call, match...)
		}()
	}, nil
}

// noSession tells whether err says that logind does not know the session, or no
// longer does.
func noSession(err error) bool {
	return named(err, logind+".NoSuchSession") || named(err, "org.freedesktop.DBus.Error.UnknownObject")
}

// named tells whether err is the D-Bus error with the name.
func named(err error, name string) bool {
	var e dbus.Error
	return errors.As(err, &e) && e.Name == name
}
