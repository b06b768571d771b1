package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/fsm"
)

// manager is what can be called. Each call runs in a goroutine of its own.
type manager struct{ c *client }

// options are the last argument of what changes something: "force" of Request.
type options = map[string]dbus.Variant

// Bounds of what a caller may say.
const (
	mostWhy     = 1024 // bytes of the reason of a hold
	mostOptions = 16
)

func refusal(name, format string, args ...any) *dbus.Error {
	return dbus.NewError(name, []any{clean(fmt.Sprintf(format, args...))})
}

func badArgs(format string, args ...any) *dbus.Error {
	return refusal("org.freedesktop.DBus.Error.InvalidArgs", format, args...)
}

func failed(err error) *dbus.Error { return refusal(Name+".Error.Failed", "%v", err) }

// Request wishes for a mode and returns the id of the wish. The attempt that is made
// for it is told by StateChanged, Attempt and AttemptEnded.
func (m *manager) Request(msg dbus.Message, mode string, opts options) (string, *dbus.Error) {
	to, ok := fsm.ParseMode(mode)
	if !ok {
		return "", badArgs("%.64q is no mode; there are desktop, studio-local and compute", mode)
	}
	force, err := flags(opts)
	if err != nil {
		return "", err
	}
	verb, actions := fsm.VerbRequest, []string{requestAction(to)}
	if force {
		verb, actions = fsm.VerbForce, append(actions, actionForce)
	}
	return m.command(msg, fsm.Command{Verb: verb, Mode: to}, actions...)
}

// Reconcile tries again for the wish that stands.
func (m *manager) Reconcile(msg dbus.Message, opts options) (string, *dbus.Error) {
	if force, err := flags(opts); err != nil || force {
		return "", badArgs("Reconcile takes no options")
	}
	to, _ := m.c.told()
	if to == "" {
		return "", refusal(Name+".Error.NoWish", "no mode is wished for, so that there is nothing to reconcile")
	}
	return m.command(msg, fsm.Command{Verb: fsm.VerbReconcile}, requestAction(to))
}

// Cancel takes the attempt under way back. It asks for the right to the mode that the
// host then stays in.
func (m *manager) Cancel(msg dbus.Message, opts options) *dbus.Error {
	if force, err := flags(opts); err != nil || force {
		return badArgs("Cancel takes no options")
	}
	_, back := m.c.told()
	_, err := m.command(msg, fsm.Command{Verb: fsm.VerbCancel}, requestAction(back))
	return err
}

// Reload has the configuration read again, as SIGHUP does.
func (m *manager) Reload(msg dbus.Message) *dbus.Error {
	_, err := m.command(msg, fsm.Command{Verb: Reload}, actionConfigure)
	return err
}

// command hands a command over once polkit lets its caller.
func (m *manager) command(msg dbus.Message, c fsm.Command, actions ...string) (string, *dbus.Error) {
	by, done, err := m.permitted(msg, actions...)
	if err != nil {
		return "", err
	}
	defer done()
	c.ID, c.By = newID(), by
	daemon, _ := m.c.behind()
	if daemon == nil {
		return "", failed(fmt.Errorf("the daemon has not started yet"))
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	if err := daemon.Do(ctx, c); err != nil {
		return "", failed(err)
	}
	return c.ID, nil
}

// Hold keeps this host in its mode until Release, until the caller's connection or
// process ends, or until the moment given, in µs since 1970, if that is not 0.
func (m *manager) Hold(msg dbus.Message, why string, until uint64) (string, *dbus.Error) {
	h := fsm.Hold{ID: newID(), Why: clean(why), Since: time.Now()}
	if why == "" || len(why) > mostWhy {
		return "", badArgs("a hold needs a reason, of at most %d bytes", mostWhy)
	}
	if until != 0 {
		if h.Until = time.UnixMicro(int64(until)); until > 1<<62 || !h.Until.After(h.Since) {
			return "", badArgs("%d is not a moment to come, in microseconds since 1970", until)
		}
	}
	by, done, err := m.permitted(msg, actionHold)
	if err != nil {
		return "", err
	}
	defer done()
	h.By, h.Client = by, sentBy(msg)
	if err := m.c.hold(h); err != nil {
		return "", failed(err)
	}
	return h.ID, nil
}

// Release ends a hold that was made by the same user; root may end any.
func (m *manager) Release(msg dbus.Message, id string) *dbus.Error {
	who, err := m.c.caller(sentBy(msg))
	if err != nil {
		return failed(err)
	}
	return m.c.release(id, who.UID)
}

// DryRun tells what a request would do, as modewatch dry-run --json.
func (m *manager) DryRun(mode string) (string, *dbus.Error) { return m.document("dry-run", mode) }

// Explain tells what a mode means here, as modewatch explain --json.
func (m *manager) Explain(mode string) (string, *dbus.Error) { return m.document("explain", mode) }

// Observe looks at the host afresh, as modewatch observe --json.
func (m *manager) Observe() (string, *dbus.Error) { return m.ask("observe") }

// Guards judges the guards of a request for a mode, now.
func (m *manager) Guards(mode string) ([]judged, *dbus.Error) {
	text, err := m.document("dry-run", mode)
	if err != nil {
		return nil, err
	}
	all, bad := verdictsIn(text)
	if bad != nil {
		return nil, failed(bad)
	}
	return verdictsOf(all), nil
}

func (m *manager) document(verb, mode string) (string, *dbus.Error) {
	if _, ok := fsm.ParseMode(mode); !ok {
		return "", badArgs("%.64q is no mode; there are desktop, studio-local and compute", mode)
	}
	return m.ask(verb, mode)
}

func (m *manager) ask(verb string, args ...string) (string, *dbus.Error) {
	daemon, _ := m.c.behind()
	if daemon == nil {
		return "", failed(fmt.Errorf("the daemon has not started yet"))
	}
	text, err := m.c.answers.get(daemon, verb, args...)
	if err != nil {
		return "", failed(err)
	}
	return clean(string(text)), nil
}

// flags reads the options of a command.
func flags(opts options) (force bool, err *dbus.Error) {
	if len(opts) > mostOptions {
		return false, badArgs("%d options are too many", len(opts))
	}
	for name, v := range opts {
		yes, ok := v.Value().(bool)
		if name != "force" || !ok {
			return false, badArgs("there is no option %.64q of type %.64s; there is force, of type b", name, v.Signature())
		}
		force = yes
	}
	return force, nil
}

// told are the mode that is wished for, and the one that a cancelled attempt leads
// back to.
func (s *Service) told() (wish, back fsm.Mode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wish = fsm.Mode(s.values["DesiredMode"].(string))
	back = fsm.Mode(s.values["Mode"].(string))
	if from, ok := s.values["Attempt"].(dict)["From"].Value().(string); ok {
		back = fsm.Mode(from)
	}
	return wish, back
}
