package bus

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// mostMessage bounds a message to us, in bytes. The bus itself lets 32 MiB through,
// which would become hundreds here before anybody looked at them.
const mostMessage = 64 << 10

// mostHeader is the bound of the header's fields in what is answered at all.
const mostHeader = 4 << 10

// systemBus is where the bus listens, unless the environment says otherwise.
const systemBus = "unix:path=/var/run/dbus/system_bus_socket"

// system connects to the system bus, by a connection that takes no large messages.
func system(ctx context.Context) (*dbus.Conn, error) {
	address := os.Getenv("DBUS_SYSTEM_BUS_ADDRESS")
	if address == "" {
		address = systemBus
	}
	return dial(ctx, address)
}

// dial connects to a bus of the kind unix:path=FILE. The connection ends with ctx,
// whatever is waited for on it.
func dial(ctx context.Context, address string) (*dbus.Conn, error) {
	file, ok := strings.CutPrefix(address, "unix:path=")
	if !ok {
		return nil, fmt.Errorf("cannot connect to the bus at %q: only unix:path=FILE is known", address)
	}
	if i := strings.IndexAny(file, ",;"); i >= 0 {
		file = file[:i]
	}
	raw, err := net.DialTimeout("unix", file, callTimeout)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to the bus: %w", err)
	}
	s := &sieve{Conn: raw, in: bufio.NewReader(raw), most: mostMessage}
	conn, err := dbus.NewConn(s, dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
	if err != nil {
		raw.Close()
		return nil, err
	}
	s.refuse = func(m *dbus.Message) { conn.Send(m, nil) }
	context.AfterFunc(ctx, func() { raw.Close() })
	slow := time.AfterFunc(callTimeout, func() { raw.Close() })
	err = conn.Auth(nil)
	if err == nil {
		err = conn.Hello()
	}
	if !slow.Stop() || err != nil {
		conn.Close()
		return nil, fmt.Errorf("cannot talk to the bus: %w", err)
	}
	return conn, nil
}

// sieve reads the bus's side of a connection one message at a time, and answers those
// that are too large itself, without having them in memory. Before the messages come
// the lines of the handshake.
type sieve struct {
	net.Conn
	in     *bufio.Reader
	most   int64        // bytes of a message
	unit   bytes.Reader // what is left of a line or message
	refuse func(*dbus.Message)
}

func (s *sieve) Read(p []byte) (int, error) {
	for s.unit.Len() == 0 {
		if err := s.next(); err != nil {
			return 0, err
		}
	}
	return s.unit.Read(p)
}

// next reads a line or a message. A line of the handshake is of capital letters, and
// begins with none of the two that a message can begin with.
func (s *sieve) next() error {
	first, err := s.in.Peek(1)
	if err != nil {
		return err
	}
	if first[0] != 'l' && first[0] != 'B' {
		line, err := s.in.ReadBytes('\n')
		s.unit.Reset(line)
		return err
	}
	head, err := s.in.Peek(16)
	if err != nil {
		return err
	}
	order := order(first[0])
	body, fields := int64(order.Uint32(head[4:])), int64(order.Uint32(head[12:]))
	size := 16 + (fields+7)/8*8 + body
	if size > s.most {
		return s.discard(order, fields, size)
	}
	message := make([]byte, size)
	_, err = io.ReadFull(s.in, message)
	s.unit.Reset(message)
	return err
}

func order(mark byte) binary.ByteOrder {
	if mark == 'B' {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// discard reads a large message without keeping it, and refuses it if it is a call.
func (s *sieve) discard(order binary.ByteOrder, fields, size int64) error {
	head := make([]byte, 16+min(fields, mostHeader))
	if _, err := io.ReadFull(s.in, head); err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, s.in, size-int64(len(head))); err != nil {
		return err
	}
	if dbus.Type(head[1]) == dbus.TypeMethodCall {
		if from := sender(head[16:], order); from != "" {
			s.refuse(tooLarge(from, order.Uint32(head[8:])))
		}
	}
	return nil
}

// tooLarge answers the call with that number.
func tooLarge(to string, serial uint32) *dbus.Message {
	text := fmt.Sprintf("the message is larger than %d bytes", mostMessage)
	return &dbus.Message{Type: dbus.TypeError, Body: []any{text}, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldDestination: dbus.MakeVariant(to), dbus.FieldReplySerial: dbus.MakeVariant(serial),
		dbus.FieldErrorName: dbus.MakeVariant("org.freedesktop.DBus.Error.LimitsExceeded"),
		dbus.FieldSignature: dbus.MakeVariant(dbus.SignatureOf(text)),
	}}
}

// sender finds who sent a message in the fields of its header, "" if that cannot be
// told. The bus has checked them; a field of another type ends the search.
func sender(fields []byte, order binary.ByteOrder) string {
	for at := 0; at+4 <= len(fields); at = (at + 7) / 8 * 8 {
		code, kind := fields[at], ""
		if fields[at+1] == 1 {
			kind = string(fields[at+2])
		}
		at += 4 // code, length of the signature, signature, 0: the value is aligned
		switch kind {
		case "s", "o":
			text, after := field(fields, at, 4, order)
			if dbus.HeaderField(code) == dbus.FieldSender {
				return text
			}
			at = after
		case "g":
			_, at = field(fields, at, 1, order)
		case "u":
			at += 4
		default:
			return ""
		}
	}
	return ""
}

// field reads a text with a length of one or four bytes before it and a 0 after it,
// and tells where it ends; beyond all fields if it is not whole.
func field(fields []byte, at, width int, order binary.ByteOrder) (string, int) {
	const beyond = 1 << 30
	if at+width > len(fields) {
		return "", beyond
	}
	n := int64(fields[at])
	if width == 4 {
		n = int64(order.Uint32(fields[at:]))
	}
	from := at + width
	if int64(from)+n+1 > int64(len(fields)) {
		return "", beyond
	}
	return string(fields[from : from+int(n)]), from + int(n) + 1
}
