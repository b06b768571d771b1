package bus

import (
	"context"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/fsm"
)

// The actions of polkit, as dist/polkit has them.
const (
	actionRequest   = Name + ".request-"
	actionForce     = Name + ".force"
	actionHold      = Name + ".hold"
	actionConfigure = Name + ".configure"
)

// requestAction is the right to a mode. Where the mode is not known, as after an
// observation that failed, it is that of the mode that costs most to reach.
func requestAction(m fsm.Mode) string {
	if _, ok := fsm.ParseMode(string(m)); !ok {
		m = fsm.Compute
	}
	if m == fsm.StudioLocal {
		return actionRequest + "studio"
	}
	return actionRequest + string(m)
}

// askedWithin bounds the wait for a person who is asked for a password.
const askedWithin = 2 * time.Minute

// permitted tells who calls, if polkit lets them do all of actions; done must be
// called when the command is handed over. Root is not asked about. Who cannot be told
// and what polkit does not answer is refused.
func (m *manager) permitted(msg dbus.Message, actions ...string) (by fsm.Caller, done func(), refused *dbus.Error) {
	sender := sentBy(msg)
	by, err := m.c.caller(sender)
	if err != nil {
		return by, nil, failed(err)
	}
	done = m.c.turns.take(by.UID)
	if done == nil {
		return by, nil, refusal("org.freedesktop.DBus.Error.LimitsExceeded", "too many commands of uid %d wait to be allowed", by.UID)
	}
	for _, action := range actions {
		if by.UID == m.c.root {
			break
		}
		if refused := m.c.authorise(sender, action, msg.Flags&dbus.FlagAllowInteractiveAuthorization != 0); refused != nil {
			done()
			return by, nil, refused
		}
	}
	return by, done, nil
}

// subject and answer are polkit's (sa{sv}) and (bba{ss}).
type subject struct {
	Kind    string
	Details dict
}

type answer struct {
	Authorized, Challenge bool
	Details               map[string]string
}

// authorise asks polkit. interactive lets it ask a person.
func (c *client) authorise(sender, action string, interactive bool) *dbus.Error {
	flags, within := uint32(0), callTimeout
	if interactive {
		flags, within = 1, askedWithin
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	var a answer
	err := c.conn.Object("org.freedesktop.PolicyKit1", "/org/freedesktop/PolicyKit1/Authority").CallWithContext(ctx,
		"org.freedesktop.PolicyKit1.Authority.CheckAuthorization", 0,
		subject{"system-bus-name", dict{"name": dbus.MakeVariant(sender)}}, action, map[string]string{}, flags, "").Store(&a)
	switch {
	case err != nil:
		return refusal("org.freedesktop.DBus.Error.AccessDenied", "polkit cannot tell whether you may (%s): %v; root may, and by file the group modewatch", action, err)
	case a.Authorized:
		return nil
	case a.Challenge && !interactive:
		return refusal("org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", "%s needs a password: call with interactive authorization allowed", action)
	}
	return refusal("org.freedesktop.DBus.Error.AccessDenied", "polkit does not let you (%s)", action)
}
