package act

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	sd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
)

// announceWithin bounds each way in which something is announced.
const announceWithin = 2 * time.Second

// announce tells everybody that this host is about to go to compute: on the
// terminals by wall, and on each user's desktop by a notification. Root is not let in
// on a user's bus, so that a transient unit of the user's own manager sends it. Who
// cannot be told is logged: the countdown goes on, and is on state all the same.
func (a *Actor) announce(ctx context.Context, within string) error {
	text := fmt.Sprintf("In %s this host leaves the desktop for compute, and ends every session. Press any key to stay.", within)
	if err := a.onTerminals(ctx, text); err != nil {
		a.log("cannot announce the countdown on the terminals: " + err.Error())
	}
	dirs, err := os.ReadDir(a.users)
	if err != nil {
		a.log("cannot announce the countdown on the desktops: " + err.Error())
	}
	for _, dir := range dirs {
		if err := a.onDesktop(ctx, dir.Name(), text, within); err != nil {
			a.log(fmt.Sprintf("cannot announce the countdown on the desktop of user %s: %v", dir.Name(), err))
		}
	}
	return nil
}

func (a *Actor) onTerminals(ctx context.Context, text string) error {
	ctx, cancel := context.WithTimeout(ctx, announceWithin)
	defer cancel()
	m, err := a.manager(ctx)
	if err != nil {
		return err
	}
	return m.transient(ctx, "modewatch-wall.service", "wall", text)
}

// onDesktop sends org.freedesktop.Notifications a critical message, which is shown
// until the countdown is over.
func (a *Actor) onDesktop(ctx context.Context, uid, text, within string) error {
	ctx, cancel := context.WithTimeout(ctx, announceWithin)
	defer cancel()
	m, err := a.userManager(ctx, uid)
	if errors.Is(err, errNoManager) {
		return nil
	}
	if err != nil {
		return err
	}
	defer m.Close()
	shown, err := time.ParseDuration(within)
	if err != nil {
		return err
	}
	const name, path = "org.freedesktop.Notifications", "/org/freedesktop/Notifications"
	return m.transient(ctx, "modewatch-notification.service", "busctl", "--user", "call", "--", name, path, name, "Notify", "susssasa{sv}i",
		"modewatch", "0", "computer", "This computer is about to work for others", text, "0", "1", "urgency", "y", "2",
		strconv.FormatInt(shown.Milliseconds(), 10))
}

// transient has a manager run a program once and forget it.
func (m *manager) transient(ctx context.Context, unit, program string, args ...string) error {
	file, err := find(program)
	if err != nil {
		return err
	}
	_, err = m.StartTransientUnitContext(ctx, unit, replace, []sd.Property{
		sd.PropDescription("Announcement of modewatch"),
		{Name: "CollectMode", Value: dbus.MakeVariant("inactive-or-failed")},
		{Name: "RuntimeMaxUSec", Value: dbus.MakeVariant(uint64((30 * time.Second).Microseconds()))},
		sd.PropExecStart(append([]string{file}, args...), false),
	}, nil)
	return err
}

// find returns the path of a program; NixOS has it in the system's profile.
func find(program string) (string, error) {
	if file, err := exec.LookPath(program); err == nil {
		return file, nil
	}
	file := filepath.Join("/run/current-system/sw/bin", program)
	if _, err := os.Stat(file); err != nil {
		return "", fmt.Errorf("%s is not installed", program)
	}
	return file, nil
}
