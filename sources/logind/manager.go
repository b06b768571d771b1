package logind

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/fsm"
)

// managerTimeout bounds the questions to one user's manager.
const managerTimeout = time.Second

// row is one row of ListUnitsByNames.
type row struct {
	Name, Description, Load, Active, Sub, Following string
	Path                                            dbus.ObjectPath
	JobID                                           uint32
	JobType                                         string
	JobPath                                         dbus.ObjectPath
}

// askManager asks a user's own service manager, by its private socket, for the
// units that matter here. It wakes nothing: the audio sockets are not touched.
// No socket means no manager.
func (l *Logind) askManager(ctx context.Context, u *fsm.User) error {
	ctx, cancel := context.WithTimeout(ctx, managerTimeout)
	defer cancel()
	conn, err := dial(ctx, filepath.Join(l.users, strconv.Itoa(u.UID), "systemd", "private"))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	audio := l.policy.Units.Audio
	names := append([]string{l.policy.Units.Graphical}, audio...)
	ctx, answered := context.WithCancel(ctx)
	defer answered()
	go nudge(ctx, conn)
	var rows []row
	call := conn.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1").CallWithContext(ctx, "org.freedesktop.systemd1.Manager.ListUnitsByNames", 0, names)
	if err := call.Store(&rows); err != nil {
		return err
	}
	u.Manager = true
	for _, r := range rows {
		up := r.Active == "active" || r.Active == "activating" || r.Active == "reloading"
		switch {
		case r.Name == l.policy.Units.Graphical:
			u.Graphical = up
		case slices.Contains(audio, r.Name):
			u.AudioLoaded = u.AudioLoaded || r.Load == "loaded"
			if up {
				u.Audio = append(u.Audio, r.Name)
			}
		}
	}
	return nil
}

// nudge sends further messages until the answer is there: on its private socket
// systemd 257 may leave the first message unread that came right behind the
// authentication, until another one comes.
func nudge(ctx context.Context, conn *dbus.Conn) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			conn.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1").Go("org.freedesktop.DBus.Peer.Ping", dbus.FlagNoReplyExpected, nil)
		}
	}
}

// dial opens the private socket of a service manager: there is no bus behind it,
// hence no Hello.
func dial(ctx context.Context, socket string) (*dbus.Conn, error) {
	conn, err := dbus.Dial("unix:path="+dbus.EscapeBusAddressValue(socket), dbus.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("cannot connect to %s: %w", socket, err)
	}
	if err := conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Getuid()))}); err != nil {
		conn.Close()
		return nil, fmt.Errorf("cannot connect to %s: %w", socket, err)
	}
	return conn, nil
}
