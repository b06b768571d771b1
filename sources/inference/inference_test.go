package inference

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// server answers /health and /metrics with the given handlers.
func server(t *testing.T, health, metrics http.HandlerFunc) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/health", health)
	mux.HandleFunc("/metrics", metrics)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func text(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, s) }
}

func sample(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("testdata/vllm.prom")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func probe(t *testing.T, base string) fsm.Inference {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	got, err := Probe(ctx, map[string]string{"vllm.service": base}, false)
	if err != nil || len(got) != 1 || got[0].Unit != "vllm.service" {
		t.Fatalf("%+v, %v", got, err)
	}
	return got[0]
}

// Who only wants to know whether a server is ready does not ask for more, and is
// not told that nothing runs there.
func TestProbeForReadiness(t *testing.T) {
	for code, ready := range map[int]bool{200: true, 503: false} {
		base := server(t, status(code), func(http.ResponseWriter, *http.Request) { t.Error("the metrics were asked for") })
		got, err := Probe(t.Context(), map[string]string{"vllm.service": base}, true)
		if err != nil || len(got) != 1 || got[0].Ready != ready || got[0].Known || got[0].Cause == "" {
			t.Errorf("%d: %+v, %v", code, got, err)
		}
	}
}

func TestProbe(t *testing.T) {
	chunked := func(w http.ResponseWriter, r *http.Request) {
		for line := range strings.Lines(sample(t)) {
			io.WriteString(w, line)
			w.(http.Flusher).Flush()
		}
	}
	busy := fsm.Inference{Unit: "vllm.service", Ready: true, Running: 5, Waiting: 12, Known: true}
	loading := busy
	loading.Ready = false
	for name, c := range map[string]struct {
		health, metrics http.HandlerFunc
		want            fsm.Inference
	}{
		"by length":     {status(200), text(sample(t)), busy},
		"in chunks":     {status(200), chunked, busy},
		"still loading": {status(503), text(sample(t)), loading},
		"redirected health": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/metrics", http.StatusFound) },
			text(sample(t)), loading},
		"idle": {status(200), text(gaugeRunning + " 0\n" + gaugeWaiting + " 0\n"), fsm.Inference{Unit: "vllm.service", Ready: true, Known: true}},
	} {
		if got := probe(t, server(t, c.health, c.metrics)); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// What cannot be read is told, never taken for idle; readiness stands for itself.
func TestCannotTell(t *testing.T) {
	for name, c := range map[string]struct {
		metrics http.HandlerFunc
		says    string
	}{
		"not found":      {status(404), "status 404"},
		"redirect":       {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/health", http.StatusFound) }, "status 302"},
		"empty":          {text(""), "there is no metric " + gaugeRunning},
		"half":           {text(gaugeRunning + " 1\n"), "there is no metric " + gaugeWaiting},
		"longer name":    {text(gaugeRunning + "_total 1\n" + gaugeWaiting + " 1\n"), "there is no metric " + gaugeRunning},
		"not a number":   {text(gaugeRunning + " NaN\n" + gaugeWaiting + " 0\n"), `"NaN" is no count`},
		"infinite":       {text(gaugeRunning + " +Inf\n" + gaugeWaiting + " 0\n"), `"+Inf" is no count`},
		"negative":       {text(gaugeRunning + " -1\n" + gaugeWaiting + " 0\n"), `"-1" is no count`},
		"word":           {text(gaugeRunning + " many\n" + gaugeWaiting + " 0\n"), `"many" is no count`},
		"no value":       {text(gaugeRunning + "{a=\"b\"}\n" + gaugeWaiting + " 0\n"), "no value"},
		"open labels":    {text(gaugeRunning + "{a=\"b} 3\n" + gaugeWaiting + " 0\n"), "labels do not end"},
		"endless":        {func(w http.ResponseWriter, r *http.Request) { endless(w) }, "longer than"},
		"huge by length": {func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Length", "9000000000") }, "bytes long"},
		"cut short": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "500")
			io.WriteString(w, gaugeRunning+" 0\n"+gaugeWaiting+" 0\n")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, "ends early"},
	} {
		got := probe(t, server(t, status(200), c.metrics))
		if got.Known || !got.Ready || !strings.Contains(got.Cause, c.says) {
			t.Errorf("%s: %+v, want %q", name, got, c.says)
		}
	}
}

func endless(w io.Writer) {
	for line := "# " + strings.Repeat("x", 8000) + "\n"; ; {
		if _, err := io.WriteString(w, line); err != nil {
			return
		}
	}
}

// A raw server that says whatever it likes.
func raw(t *testing.T, speak func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer conn.Close(); speak(conn) }()
		}
	}()
	return "http://" + l.Addr().String()
}

func TestOddServers(t *testing.T) {
	body := gaugeRunning + " 1\n" + gaugeWaiting + " 2\n"
	reply := func(s string) func(net.Conn) {
		return func(c net.Conn) {
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				io.WriteString(c, s)
			}
		}
	}
	for name, s := range map[string]string{
		"until the end":    "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n" + body,
		"no reason phrase": "HTTP/1.1 200\r\n\r\n" + body,
		"chunk extension":  fmt.Sprintf("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n%x;a=b\r\n%s\r\n0\r\n\r\n", len(body), body),
	} {
		if got := probe(t, raw(t, reply(s))); !got.Known || got.Running != 1 || got.Waiting != 2 || !got.Ready {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for name, c := range map[string]struct{ reply, says string }{
		"not HTTP":      {"SSH-2.0-OpenSSH_9.9\r\n", "does not speak HTTP"},
		"bad status":    {"HTTP/1.1 2000 OK\r\n\r\n" + body, "does not speak HTTP"},
		"closes":        {"", "EOF"},
		"no header end": {"HTTP/1.1 200 OK\r\nX: y", "cannot read the header"},
		"gzip":          {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "sent as"},
		"bad chunk":     {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "a chunk is"},
		"minus chunk":   {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", "a chunk is"},
		"long chunk":    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcdef\r\n0\r\n\r\n", "longer than it says"},
		"cut chunk":     {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\nabc", "ends early"},
		"missing chunk": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", "ends early"},
		"bad length":    {"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n" + body, "bytes long"},
	} {
		if got := probe(t, raw(t, reply(c.reply))); got.Known || !strings.Contains(got.Cause, c.says) {
			t.Errorf("%s: %+v, want %q", name, got, c.says)
		}
	}
}

// A server that hangs holds nobody up beyond the deadline, in any phase.
func TestHangingServer(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	slow := raw(t, func(c net.Conn) { <-stop })
	trickle := raw(t, func(c net.Conn) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				if _, err := io.WriteString(c, "1\r\n#\r\n"); err != nil {
					return
				}
			}
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	began := time.Now()
	got, err := Probe(ctx, map[string]string{"a": slow, "b": trickle, "c": server(t, status(200), text(sample(t)))}, false)
	if err != nil || len(got) != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	for _, i := range got[:2] {
		if i.Known || i.Ready || !strings.Contains(i.Cause, "deadline exceeded") {
			t.Errorf("%+v, want a deadline", i)
		}
	}
	if !got[2].Known || !got[2].Ready {
		t.Errorf("the good one: %+v", got[2])
	}
	if _, err := Probe(ctx, map[string]string{"a": slow}, false); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("after the end of the context: %v", err)
	}
}

func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + l.Addr().String()
	l.Close()
	// The unit has no process here that listens, so that nobody can have asked.
	if got := probe(t, base); !got.Known || got.Ready || got.Running+got.Waiting != 0 {
		t.Errorf("%+v", got)
	}
	if got := probe(t, ""); got.Known || !strings.Contains(got.Cause, "no address") {
		t.Errorf("%+v", got)
	}
	if got, err := Probe(context.Background(), nil, false); err != nil || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAddresses(t *testing.T) {
	for in, want := range map[string]string{
		"http://127.0.0.1:8000":       "http://127.0.0.1:8000",
		"http://localhost:8000/":      "http://127.0.0.1:8000",
		"http://[::1]:9/v/":           "http://[::1]:9/v",
		"http://127.0.0.1":            "http://127.0.0.1:80",
		"http://192.168.1.2:8000":     "",
		"http://example.org":          "",
		"http://127.0.0.1.evil.org/":  "",
		"https://127.0.0.1:8000":      "",
		"http://user:pw@127.0.0.1":    "",
		"http://127.0.0.1/?a=b":       "",
		"http://127.0.0.1:8000/a b":   "http://127.0.0.1:8000/a%20b",
		"http://127.0.0.1:80/\r\nX:y": "",
		"127.0.0.1:8000":              "",
		"http://0.0.0.0:8000":         "",
		"":                            "",
	} {
		got, err := parseAddress(in)
		if (err == nil) != (want != "") || err == nil && got.String() != want {
			t.Errorf("parseAddress(%q) = %v, %v; want %q", in, got, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "pw") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
}

func TestRunning(t *testing.T) {
	p := fsm.Policy{Units: fsm.Units{AI: map[fsm.Mode][]string{fsm.Desktop: {"d.service"}, fsm.Compute: {"c.service", "n.service", "x.service", "l.service"}}},
		Inference: fsm.InferencePolicy{URL: map[string]string{"c.service": "http://127.0.0.1:1", "d.service": "http://127.0.0.1:2", "l.service": "http://127.0.0.1:3"}}}
	got := Running(p, map[string]fsm.Unit{"c.service": {Active: "active"}, "d.service": {Active: "inactive"}, "n.service": {Active: "deactivating"},
		"l.service": {Active: "activating"}})
	want := map[string]string{"c.service": "http://127.0.0.1:1", "n.service": "", "x.service": "", "l.service": "http://127.0.0.1:3"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestSum(t *testing.T) {
	for text, want := range map[string]float64{
		"m 1\n":                            1,
		"m 1":                              1,
		"m{a=\"b\"} 2.5e1\n":               25,
		"m{a=\"}\\\"} 9\"} 3\n":            3,
		"m {a=\"b\", } 4 1700000000000\n":  4,
		"# HELP m 9\n# TYPE m gauge\nm 1":  1,
		"m{e=\"0\"} 1\nm{e=\"1\"} 2\nmm 9": 3,
		"\tm\t7\r\n":                       7,
	} {
		got, err := sum(text, "m")
		if err != nil || got[0] != want {
			t.Errorf("sum(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
}

func FuzzParseResponse(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")
	f.Add("HTTP/1.0 503 No\r\nContent-Length: 2\r\n\r\nab")
	f.Fuzz(func(t *testing.T, s string) {
		ours, err := parseResponse(bufio.NewReader(strings.NewReader(s)))
		if err != nil {
			return
		}
		// What we accept and the standard library accepts too, means the same.
		theirs, err := http.ReadResponse(bufio.NewReader(strings.NewReader(s)), nil)
		if err != nil || theirs.StatusCode < 200 || theirs.StatusCode == 204 || theirs.StatusCode == 304 {
			return
		}
		body, err := io.ReadAll(theirs.Body)
		if err == nil && (theirs.StatusCode != ours.status || string(body) != string(ours.body)) {
			t.Errorf("%q: we read %d %q, net/http %d %q", s, ours.status, ours.body, theirs.StatusCode, body)
		}
	})
}

// A unit that listens, but not where the configuration says, is not taken for
// idle: this process stands for it.
func TestAWrongPortIsNotIdle(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	proc := t.TempDir()
	self := filepath.Join(proc, "4711")
	if err := os.Mkdir(self, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"fd", "net"} {
		if err := os.Symlink("/proc/self/"+dir, filepath.Join(self, dir)); err != nil {
			t.Fatal(err)
		}
	}
	for unit, want := range map[string]bool{"vllm@compute.service": true, "other.service": false} {
		if err := os.WriteFile(filepath.Join(self, "cgroup"), []byte("0::/ai.slice/vllm@compute.service\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := listens(proc, unit); err != nil || got != want {
			t.Errorf("%s listens: %v, %v", unit, got, err)
		}
	}
	l.Close()
	if got, err := listens(proc, "vllm@compute.service"); err != nil || got {
		t.Errorf("after the close: %v, %v", got, err)
	}
}
