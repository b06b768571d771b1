package logind

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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
	audio := l.policy.Units.Audio
	names := append([]string{l.policy.Units.Graphical}, audio...)
	var rows []row
	err := ask(ctx, filepath.Join(l.users, strconv.Itoa(u.UID), "systemd", "private"), &rows, "ListUnitsByNames", names)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	if err != nil {
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

// ask makes one call of a service manager on its private socket, where there is
// no bus, and stores the answer. All is sent at once, so that it takes the
// manager one turn where the usual handshake takes five: this is asked often.
func ask(ctx context.Context, socket string, into any, method string, args ...any) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return fmt.Errorf("cannot connect to %s: %w", socket, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	out, err := question(method, args)
	if err == nil {
		_, err = conn.Write(out)
	}
	if err == nil {
		err = answer(conn, into)
	}
	if err != nil {
		return fmt.Errorf("cannot ask %s: %w", socket, cmp.Or(ctx.Err(), err))
	}
	return nil
}

// serial is that of the only call of a connection.
const serial = 1

// question is the authentication and the call, and pings that want no answer:
// systemd 257 takes in up to 256 bytes while it authenticates, and does not look
// at a call that came along whole until more arrives.
func question(method string, args []any) ([]byte, error) {
	var out bytes.Buffer
	fmt.Fprintf(&out, "\x00AUTH EXTERNAL %x\r\nBEGIN\r\n", strconv.Itoa(os.Getuid()))
	call := dbus.Message{Type: dbus.TypeMethodCall, Headers: to("org.freedesktop.systemd1.Manager", method), Body: args}
	call.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(args...))
	ping := dbus.Message{Type: dbus.TypeMethodCall, Flags: dbus.FlagNoReplyExpected, Headers: to("org.freedesktop.DBus.Peer", "Ping")}
	err := write(&out, call, serial)
	for n := uint32(serial + 1); err == nil && out.Len() <= 2*256; n++ {
		err = write(&out, ping, n)
	}
	return out.Bytes(), err
}

func to(face, method string) map[dbus.HeaderField]dbus.Variant {
	return map[dbus.HeaderField]dbus.Variant{
		dbus.FieldPath:      dbus.MakeVariant(dbus.ObjectPath("/org/freedesktop/systemd1")),
		dbus.FieldInterface: dbus.MakeVariant(face),
		dbus.FieldMember:    dbus.MakeVariant(method),
	}
}

// write appends a message with a number, which the package gives only to the
// messages of its own connections.
func write(out *bytes.Buffer, m dbus.Message, number uint32) error {
	const at = 8 // bytes before the number
	begin := out.Len()
	if err := m.EncodeTo(out, binary.LittleEndian); err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(out.Bytes()[begin+at:], number)
	return nil
}

// most is how much of what a manager sends is read: anybody may run one.
const most = 1 << 20

// answer reads up to the answer of the call, over the signals that a manager
// sends to everybody on its private socket.
func answer(from io.Reader, into any) error {
	in := bufio.NewReader(io.LimitReader(from, most))
	line, err := in.ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(line, "OK ") {
		return fmt.Errorf("it does not let us in: %q", line)
	}
	for {
		m, err := dbus.DecodeMessage(in)
		if err != nil {
			return err
		}
		if to, _ := m.Headers[dbus.FieldReplySerial].Value().(uint32); to != serial {
			continue
		}
		if m.Type == dbus.TypeError {
			name, _ := m.Headers[dbus.FieldErrorName].Value().(string)
			return dbus.Error{Name: name, Body: m.Body}
		}
		return dbus.Store(m.Body, into)
	}
}
