package logind

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// serve answers one connection with the lines of its authentication and then
// with messages, once it has read the call; it returns the call.
func serve(t *testing.T, auth string, answers ...dbus.Message) (socket string, called <-chan *dbus.Message) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "private")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	got := make(chan *dbus.Message, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		in := bufio.NewReader(conn)
		for _, want := range []string{"\x00AUTH EXTERNAL ", "BEGIN\r\n"} {
			line, err := in.ReadString('\n')
			if errors.Is(err, io.EOF) {
				return // the caller gave up before we came to it
			}
			if err != nil || !strings.HasPrefix(line, want) {
				t.Errorf("authentication: %q, want %q (%v)", line, want, err)
			}
		}
		call, err := dbus.DecodeMessage(in)
		if err != nil {
			t.Errorf("no call: %v", err)
		}
		got <- call
		_, _ = conn.Write([]byte(auth))
		for _, m := range answers {
			var out bytes.Buffer
			if err := write(&out, m, 7); err != nil {
				t.Error(err)
			}
			_, _ = conn.Write(out.Bytes())
		}
		<-t.Context().Done()
	}()
	return socket, got
}

const welcome = "OK 0123456789abcdef0123456789abcdef\r\n"

func reply(to uint32, body ...any) dbus.Message {
	return dbus.Message{Type: dbus.TypeMethodReply, Body: body, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldReplySerial: dbus.MakeVariant(to), dbus.FieldSignature: dbus.MakeVariant(dbus.SignatureOf(body...))}}
}

func TestAsk(t *testing.T) {
	noise := dbus.Message{Type: dbus.TypeSignal, Headers: to("org.freedesktop.systemd1.Manager", "UnitNew")}
	socket, called := serve(t, welcome, noise, reply(2, "no"), reply(1, "yes"))
	var got string
	if err := ask(t.Context(), socket, &got, "Say", []string{"a.service"}); err != nil || got != "yes" {
		t.Fatalf("the answer is %q (%v)", got, err)
	}
	call := <-called
	if call.Serial() != 1 || call.Headers[dbus.FieldMember].Value() != "Say" {
		t.Errorf("the call is %s", call)
	}
}

func TestAskRefused(t *testing.T) {
	no := dbus.Message{Type: dbus.TypeError, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldReplySerial: dbus.MakeVariant(uint32(1)), dbus.FieldErrorName: dbus.MakeVariant("a.b.No")}}
	socket, _ := serve(t, welcome, no)
	var refused dbus.Error
	if err := ask(t.Context(), socket, new(string), "Say"); !errors.As(err, &refused) || refused.Name != "a.b.No" {
		t.Errorf("the error is %v", err)
	}
	socket, _ = serve(t, "REJECTED\r\n")
	if err := ask(t.Context(), socket, new(string), "Say"); err == nil || !strings.Contains(err.Error(), "REJECTED") {
		t.Errorf("the error is %v", err)
	}
}

// endless is a manager that never ends its first line.
type endless struct{ sent int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'O'
	}
	e.sent += len(p)
	return len(p), nil
}

func TestAnswerIsBounded(t *testing.T) {
	var rows []row
	from := &endless{}
	if err := answer(from, &rows); err == nil || from.sent > 2*most {
		t.Errorf("%v after %d bytes", err, from.sent)
	}
}

func TestAskNobody(t *testing.T) {
	gone := filepath.Join(t.TempDir(), "private")
	if err := ask(t.Context(), gone, new(string), "Say"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no socket: %v", err)
	}
	socket, _ := serve(t, welcome) // and then silence
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := ask(ctx, socket, new(string), "Say"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("silence: %v", err)
	}
}

func TestQuestionIsLongEnough(t *testing.T) {
	out, err := question("GetUnit", []any{"x"})
	if err != nil || len(out) <= 2*256 {
		t.Fatalf("%d bytes (%v)", len(out), err)
	}
	in := bytes.NewReader(out[bytes.Index(out, []byte("BEGIN\r\n"))+len("BEGIN\r\n"):])
	for n := uint32(1); in.Len() > 0; n++ {
		m, err := dbus.DecodeMessage(in)
		if err != nil || m.Serial() != n {
			t.Fatalf("message %d is %v (%v)", n, m, err)
		}
	}
}
