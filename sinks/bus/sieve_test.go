package bus

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/fsm"
)

// What is too large is refused by name, and what comes after it is answered.
func TestAMessageThatIsTooLarge(t *testing.T) {
	r := serve(t, trusted)
	conn := r.bus.Stranger()
	large := strings.Repeat("x", mostMessage)
	if name, err := call(conn, "Request", nil, large, none); name != "org.freedesktop.DBus.Error.LimitsExceeded" {
		t.Errorf("a large text: %v", err)
	}
	if name, err := call(conn, "Request", nil, "compute", dict{"force": dbus.MakeVariant(strings.Repeat("x", 20<<20))}); name != "org.freedesktop.DBus.Error.LimitsExceeded" {
		t.Errorf("20 MiB: %v", err)
	}
	if name, _ := call(conn, "Request", nil, "sleep", none); name != invalid {
		t.Errorf("afterwards: %s", name)
	}
	r.bus.Must(conn.Emit("/a", "a.b.C", large)) // no call, and not for us
	if got := r.all(conn)["State"].Value(); got != "boot" {
		t.Errorf("the state is %v", got)
	}
}

// seed is a call as the bus delivers it.
func seed(order func(*dbus.Message) []byte, body ...any) []byte {
	m := &dbus.Message{Type: dbus.TypeMethodCall, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldPath: dbus.MakeVariant(Path), dbus.FieldMember: dbus.MakeVariant("Request"), dbus.FieldInterface: dbus.MakeVariant(Face),
		dbus.FieldSender: dbus.MakeVariant(":1.42"), dbus.FieldDestination: dbus.MakeVariant(Name)}, Body: body}
	if len(body) > 0 {
		m.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(body...))
	}
	return order(m)
}

func little(m *dbus.Message) []byte {
	var b bytes.Buffer
	if err := m.EncodeTo(&b, order('l')); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func big(m *dbus.Message) []byte {
	var b bytes.Buffer
	if err := m.EncodeTo(&b, order('B')); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// Whatever the other side says, what passes the sieve is what it said without the
// large messages, and it ends where that ends.
func FuzzSieve(f *testing.F) {
	const most = 400
	for _, order := range []func(*dbus.Message) []byte{little, big} {
		small, large := seed(order, "compute", none), seed(order, strings.Repeat("x", most))
		f.Add(append(append([]byte("OK 0123\r\n"), small...), append(large, small...)...))
	}
	f.Add([]byte("REJECTED EXTERNAL\r\nl"))
	f.Fuzz(func(t *testing.T, said []byte) {
		refused := 0
		s := &sieve{in: bufio.NewReader(bytes.NewReader(said)), most: most, refuse: func(m *dbus.Message) {
			refused++
			if m.Headers[dbus.FieldDestination].Value() == "" {
				t.Error("refused nobody")
			}
		}}
		passed, _ := io.ReadAll(s)
		if len(passed) > len(said) || refused > len(said)/most || refused == 0 && len(said) < most && !bytes.HasPrefix(said, passed) {
			t.Errorf("of %d bytes %d passed, %d refused", len(said), len(passed), refused)
		}
	})
}

func TestTheSenderOfALargeMessageIsFound(t *testing.T) {
	for mark, call := range map[byte][]byte{'l': seed(little, strings.Repeat("x", mostMessage)), 'B': seed(big, strings.Repeat("x", mostMessage))} {
		var to string
		s := &sieve{Conn: (*net.UnixConn)(nil), in: bufio.NewReader(bytes.NewReader(append(call, "OK\r\n"...))), most: mostMessage,
			refuse: func(m *dbus.Message) { to, _ = m.Headers[dbus.FieldDestination].Value().(string) }}
		rest, err := io.ReadAll(s)
		if to != ":1.42" || string(rest) != "OK\r\n" || err != nil {
			t.Errorf("%c: refused %q, then %q, %v", mark, to, rest, err)
		}
	}
}

// node is the description as tools read it.
type node struct {
	Interfaces []struct {
		Name    string `xml:"name,attr"`
		Methods []struct {
			Name string `xml:"name,attr"`
			Args []struct {
				Type      string `xml:"type,attr"`
				Direction string `xml:"direction,attr"`
			} `xml:"arg"`
		} `xml:"method"`
		Properties []struct {
			Name string `xml:"name,attr"`
			Type string `xml:"type,attr"`
		} `xml:"property"`
	} `xml:"interface"`
}

// The description names every method and property there is, with its types.
func TestTheDescriptionIsTrue(t *testing.T) {
	var n node
	if err := xml.Unmarshal([]byte(interfaceXML), &n); err != nil {
		t.Fatal(err)
	}
	face := n.Interfaces[0]
	methods := reflect.TypeFor[*manager]()
	if face.Name != Face || len(face.Methods) != methods.NumMethod() {
		t.Errorf("%s has %d methods, there are %d", face.Name, len(face.Methods), methods.NumMethod())
	}
	for _, m := range face.Methods {
		got, ok := methods.MethodByName(m.Name)
		if !ok {
			t.Errorf("there is no %s", m.Name)
			continue
		}
		var in, out, wantIn, wantOut string
		for i := 1; i < got.Type.NumIn(); i++ {
			if a := got.Type.In(i); a != reflect.TypeFor[dbus.Message]() {
				in += dbus.SignatureOfType(a).String()
			}
		}
		for i := range got.Type.NumOut() - 1 {
			out += dbus.SignatureOfType(got.Type.Out(i)).String()
		}
		for _, a := range m.Args {
			if a.Direction == "in" {
				wantIn += a.Type
			} else {
				wantOut += a.Type
			}
		}
		if in != wantIn || out != wantOut {
			t.Errorf("%s is %s -> %s, described as %s -> %s", m.Name, in, out, wantIn, wantOut)
		}
	}
	values := New("").values
	if len(face.Properties) != len(values) {
		t.Errorf("%d properties are described, there are %d", len(face.Properties), len(values))
	}
	for _, p := range face.Properties {
		if got := dbus.SignatureOf(values[p.Name]).String(); got != p.Type {
			t.Errorf("%s is %s, described as %s", p.Name, got, p.Type)
		}
	}
}

// Whatever a call says, it is answered, and only what makes sense is done.
func FuzzCall(f *testing.F) {
	f.Add("compute", "force", true, uint64(0), "why")
	f.Add("\xff", "", false, uint64(1)<<63, strings.Repeat("y", 2000))
	f.Fuzz(func(t *testing.T, mode, option string, force bool, until uint64, why string) {
		s := New("")
		s.Behind(&behind{holds: map[string]fsm.Hold{}}, nil, nil)
		m := &manager{&client{Service: s}}
		opts := options{option: dbus.MakeVariant(force)}
		if _, err := flags(opts); err == nil && option != "force" {
			t.Errorf("the option %q passed", option)
		}
		if _, err := m.DryRun(mode); err == nil && mode != "desktop" && mode != "studio-local" && mode != "compute" {
			t.Errorf("the mode %q passed", mode)
		}
		if clean(why) != clean(clean(why)) {
			t.Errorf("%q cannot be cleaned", why)
		}
	})
}
