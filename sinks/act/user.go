package act

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/godbus/dbus/v5"
)

// errNoManager: the user's manager does not run, so that there is nothing of the
// user to stop nor to start.
var errNoManager = errors.New("the user's manager is not running")

// stopDesktop stops the graphical-session.target of a user's manager, and with
// it what is part of it (section 12.4).
func (a *Actor) stopDesktop(ctx context.Context, uid string) error {
	return a.userJobs(ctx, "desktop", uid, stopping, []string{a.policy.Units.Graphical})
}

// stopAudio stops the audio stack of a user, sockets first, so that no client
// can wake it again. PipeWire's own socket is never touched: to connect to it is
// to start PipeWire.
func (a *Actor) stopAudio(ctx context.Context, uid string) error {
	return a.userJobs(ctx, "audio", uid, stopping, socketsFirst(a.policy.Units.Audio))
}

// startAudio starts the audio stack of a user. Services that a socket of the
// stack activates are left to it.
func (a *Actor) startAudio(ctx context.Context, uid string) error {
	return a.userJobs(ctx, "audio", uid, starting, byHand(socketsFirst(a.policy.Units.Audio)))
}

// userJobs begins a job for each unit, in order, and then awaits all of them. A
// manager that is not running, or that ends meanwhile, is a success. A unit that
// does not exist is left out, as is one that the user masked.
func (a *Actor) userJobs(ctx context.Context, what, uid string, do action, units []string) error {
	m, err := a.userManager(ctx, uid)
	if errors.Is(err, errNoManager) {
		a.log(fmt.Sprintf("nothing to %s for user %s: %v", do, uid, err))
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot %s the %s of user %s: %w", do, what, uid, err)
	}
	defer m.Close()
	err = m.all(ctx, do, units, a.log)
	if err == nil {
		return nil
	}
	if (errors.Is(err, errLost) || busError(err)) && a.managerGone(ctx, uid) {
		a.log(fmt.Sprintf("the manager of user %s ended meanwhile", uid))
		return nil
	}
	return fmt.Errorf("cannot %s the %s of user %s: %w", do, what, uid, err)
}

// all does one job for each unit. All are asked for at once, in order, so that a
// manager that is busy with the first does not keep the others waiting. The first
// failure counts; to have nothing to start is one.
func (m *manager) all(ctx context.Context, do action, units []string, log func(string)) error {
	removed, unwatch := m.removals()
	defer unwatch()
	var asked []*dbus.Call
	for _, unit := range units {
		asked = append(asked, m.ask(ctx, do, unit))
	}
	open, first := map[dbus.ObjectPath]string{}, error(nil)
	for i, call := range asked {
		path, err := taken(<-call.Done, do, units[i])
		switch {
		case errors.Is(err, errMasked):
			log(fmt.Sprintf("%s is masked and stays as it is", units[i]))
		case err == nil:
			open[path] = units[i]
		case first == nil && !errors.Is(err, ErrNotFound):
			first = err
		}
	}
	if first == nil && len(open) == 0 && do == starting {
		return ErrNotFound
	}
	err := follow(ctx, open, removed, func(unit, result string) { first = cmp.Or(first, outcome(do, unit, result)) })
	if err != nil {
		err = fmt.Errorf("cannot %s %s: the end of the job is not known: %w", do, strings.Join(slices.Sorted(maps.Values(open)), ", "), err)
	}
	return cmp.Or(first, err)
}

// ask has the manager take on a job; its answer is yet to come.
func (m *manager) ask(ctx context.Context, do action, unit string) *dbus.Call {
	method := "StartUnit"
	if do == stopping {
		method = "StopUnit"
	}
	o := systemdManager
	return m.raw.Object(o.service, o.path).GoWithContext(ctx, o.face+"."+method, 0, make(chan *dbus.Call, 1), unit, replace)
}

// taken is the answer: the job.
func taken(call *dbus.Call, do action, unit string) (path dbus.ObjectPath, err error) {
	if err = call.Store(&path); err != nil {
		err = refusal(do, unit, err)
	}
	return path, err
}

// userManager connects to a user's manager by its private socket: on the user's
// bus root is not let in. One that is about to end may take a connection and break it
// off: it is asked again until it is gone or answers.
func (a *Actor) userManager(ctx context.Context, uid string) (*manager, error) {
	path, err := a.privateSocket(uid)
	if err != nil {
		return nil, err
	}
	for until := time.Now().Add(breaksOff); ; {
		m, err := connect(ctx, dialPrivate(path))
		switch {
		case errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist):
			return nil, errNoManager
		case err == nil || ctx.Err() != nil || !busError(err) || time.Now().After(until):
			return m, err
		}
		select {
		case <-time.After(breaksOff / 100):
		case <-ctx.Done():
		}
	}
}

// breaksOff is for how long a manager that breaks connections off is asked again.
const breaksOff = 2 * time.Second

// managerGone tells whether nobody answers at a user's socket. The socket itself
// outlasts a manager that was killed.
func (a *Actor) managerGone(ctx context.Context, uid string) bool {
	m, err := a.userManager(ctx, uid)
	if err == nil {
		m.Close()
	}
	return errors.Is(err, errNoManager)
}

// privateSocket returns the path of a user's manager's socket. The directory is
// the user's own: a socket there that is not would lead us to somebody else.
func (a *Actor) privateSocket(uid string) (string, error) {
	want, err := strconv.ParseUint(uid, 10, 32)
	if err != nil {
		return "", fmt.Errorf("%q is not a uid", uid)
	}
	path := filepath.Join(a.users, uid, "systemd", "private")
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", errNoManager
	}
	if err != nil {
		return "", err
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !ok || uint64(owner.Uid) != want {
		return "", fmt.Errorf("%s does not belong to user %s", path, uid)
	}
	return path, nil
}

func isSocket(unit string) bool { return strings.HasSuffix(unit, ".socket") }

// socketsFirst returns the units with the sockets before all others.
func socketsFirst(units []string) []string {
	out := slices.Clone(units)
	slices.SortStableFunc(out, func(a, b string) int {
		switch {
		case isSocket(a) == isSocket(b):
			return 0
		case isSocket(a):
			return -1
		}
		return 1
	})
	return out
}

// byHand returns the units without the services that have a socket among them.
func byHand(units []string) []string {
	return slices.DeleteFunc(slices.Clone(units), func(unit string) bool {
		name, service := strings.CutSuffix(unit, ".service")
		return service && slices.Contains(units, name+".socket")
	})
}
