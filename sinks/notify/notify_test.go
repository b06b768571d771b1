package notify

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/modewatch/modewatch/fsm"
)

// listen plays systemd and returns what reads the next message.
func listen(t *testing.T) func() string {
	t.Helper()
	dir, err := os.MkdirTemp("", "n") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	sock, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sock.Close(); _ = os.RemoveAll(dir) })
	t.Setenv("NOTIFY_SOCKET", path)
	return func() string {
		t.Helper()
		buf := make([]byte, 4096)
		_ = sock.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, err := sock.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.Local)

func ping() error { Alive(); return nil }

func TestMessages(t *testing.T) {
	next := listen(t)
	var before unix.Timespec
	said := func(call func() error) string {
		t.Helper()
		if err := call(); err != nil {
			t.Fatal(err)
		}
		return next()
	}
	for want, call := range map[string]func() error{"READY=1": Ready, "STOPPING=1": Stopping, "WATCHDOG=1": ping} {
		if got := said(call); got != want {
			t.Errorf("said %q, want %q", got, want)
		}
	}
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &before); err != nil {
		t.Fatal(err)
	}
	got := regexp.MustCompile(`^RELOADING=1\nMONOTONIC_USEC=(\d+)\n$`).FindStringSubmatch(said(Reloading))
	if got == nil {
		t.Fatal("RELOADING has not its form")
	}
	usec, _ := strconv.ParseInt(got[1], 10, 64)
	if since := time.Duration(usec)*time.Microsecond - time.Duration(before.Nano()); since < -time.Millisecond || since > 5*time.Second {
		t.Errorf("MONOTONIC_USEC is %v away from the clock", since)
	}
}

func TestStatusIsSentWhenItChanges(t *testing.T) {
	next := listen(t)
	for _, state := range []fsm.State{"one", "one", "two", "two", "one"} {
		if err := Status(fsm.Snapshot{State: state, Since: noon, At: noon, Observation: fsm.Observation{Mode: fsm.Desktop}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"STATUS=one since 12:00, desktop is observed", "STATUS=two since 12:00, desktop is observed", "STATUS=one since 12:00, desktop is observed"} {
		if got := next(); got != want {
			t.Errorf("said %q, want %q", got, want)
		}
	}
}

func TestOutsideSystemdNothingIsSaid(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	for _, call := range []func() error{Ready, Reloading, Stopping, ping, func() error { return Status(fsm.Snapshot{State: "outside"}) }} {
		if err := call(); err != nil {
			t.Error(err)
		}
	}
}

func TestSocketThatIsGone(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "none"))
	if err := Ready(); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("%v", err)
	}
	for range 2 {
		if err := Status(fsm.Snapshot{State: "gone"}); err == nil {
			t.Error("a status that was not taken counts as said")
		}
	}
}

// A manager that hangs costs a caller a tenth of a second a message, not more, and
// the watchdog's ping nothing; it comes when the manager is back.
func TestHungManager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release, pings := make(chan struct{}), 0
		n := newNotifier(func(what string) error {
			<-release
			if what == "WATCHDOG=1" {
				pings++
			}
			return nil
		})
		for range 3 {
			before := time.Now()
			if err := n.tell("STATUS=x"); !errors.Is(err, errBusy) || time.Since(before) != patience {
				t.Errorf("%v after %v", err, time.Since(before))
			}
			before = time.Now()
			if n.post("WATCHDOG=1"); time.Since(before) != 0 {
				t.Errorf("a ping took %v", time.Since(before))
			}
		}
		close(release)
		synctest.Wait()
		if err := n.tell("STATUS=x"); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		if pings != 3 {
			t.Errorf("%d of 3 pings came", pings)
		}
	})
}

func TestInterval(t *testing.T) {
	me := strconv.Itoa(os.Getpid())
	for _, c := range []struct {
		usec, pid string
		want      time.Duration
	}{
		{"360000000", me, 3 * time.Minute},
		{"360000000", "", 3 * time.Minute},
		{"360000000", "1", 0}, // meant for another process
		{"", "", 0},
		{"0", me, 0},
		{"soon", me, 0},
	} {
		t.Setenv("WATCHDOG_USEC", c.usec)
		t.Setenv("WATCHDOG_PID", c.pid)
		if got := Interval(); got != c.want {
			t.Errorf("%q for %q: %v", c.usec, c.pid, got)
		}
	}
}

func TestText(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 10, 0, 0, time.Local)
	wish := &fsm.Wish{Mode: fsm.Compute}
	run := func(doing string, op fsm.Op, since time.Duration) *fsm.Running {
		return &fsm.Running{From: fsm.Desktop, To: fsm.Compute, Doing: doing, Step: 3, Steps: 7, Op: op, Since: now.Add(-since)}
	}
	session := fsm.Op{Verb: fsm.EndSession, Arg: "2"}
	in := func(s fsm.State, m fsm.Mode) fsm.Snapshot {
		return fsm.Snapshot{At: now, State: s, Since: now.Add(-7 * time.Minute), Observation: fsm.Observation{Mode: m}, Wish: wish}
	}
	for _, c := range []struct {
		want   string
		s      fsm.Snapshot
		change func(*fsm.Snapshot)
	}{
		{"compute since 12:03; wish compute", in(fsm.AtCompute, fsm.Compute), nil},
		{"compute since 12:03", in(fsm.AtCompute, fsm.Compute), func(s *fsm.Snapshot) { s.Wish = nil }},
		{"compute since 2026-11-20 12:10; wish compute", in(fsm.AtCompute, fsm.Compute), func(s *fsm.Snapshot) { s.Since = now.AddDate(0, 0, -2) }},
		{"desktop since 12:03 (vllm-foreign, x); wish compute", in(fsm.AtDesktop, fsm.Desktop),
			func(s *fsm.Snapshot) { s.Observation.Degraded = []fsm.Deviation{{What: "vllm-foreign"}, {What: "x"}} }},
		{"boot since 12:03, unknown is observed; wish compute", in(fsm.Boot, fsm.Unknown), nil},
		{"failed-transition since 12:03, desktop is observed; wish compute; PID 5 MAINPID=1", in(fsm.FailedTransition, fsm.Desktop),
			func(s *fsm.Snapshot) { s.Last = &fsm.Attempt{Cause: "PID 5\nMAINPID=1"} }},
		{"→ compute: step 3/7 end-session 2, 12 s", in(fsm.Transitioning, fsm.Desktop),
			func(s *fsm.Snapshot) { s.Attempt = run("step", session, 12900*time.Millisecond) }},
		{"→ compute: step 3/7 end-session 2", in(fsm.Transitioning, fsm.Desktop),
			func(s *fsm.Snapshot) { s.Attempt = run("step", session, 900*time.Millisecond) }},
		{"← desktop: taking back: end-session 2, 2 min 5 s", in(fsm.Transitioning, fsm.Desktop),
			func(s *fsm.Snapshot) { s.Attempt = run("undo", session, 125*time.Second) }},
		{"→ compute: observing", in(fsm.Transitioning, fsm.Desktop), func(s *fsm.Snapshot) { s.Attempt = run("observing", fsm.Op{}, 0) }},
	} {
		if c.change != nil {
			c.change(&c.s)
		}
		if got := Text(c.s); got != c.want || strings.Contains(got, "\n") {
			t.Errorf("%q\nwant %q", got, c.want)
		}
	}
}
