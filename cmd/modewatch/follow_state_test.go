package main

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/config"
	"github.com/modewatch/modewatch/internal/sim"
)

// following is a command that goes on, and its lines.
type following struct {
	t     *testing.T
	lines chan string
	code  chan int
}

func (r *rig) follow(args ...string) following {
	r.t.Helper()
	in, out := io.Pipe()
	f := following{r.t, make(chan string, 64), make(chan int, 1)}
	e := r.env
	e.stdout = out
	all := append([]string{"--run-dir", r.cfg.RunDir, "--lib-dir", r.cfg.LibDir, "--config", r.config()}, args...)
	go func() { f.code <- e.command("modewatch", all); out.Close() }()
	go func() {
		defer close(f.lines)
		for s := bufio.NewScanner(in); s.Scan(); {
			f.lines <- s.Text()
		}
	}()
	return f
}

func (f following) next() string {
	f.t.Helper()
	select {
	case line := <-f.lines:
		return line
	case <-time.After(20 * time.Second):
		f.t.Fatal("no line came")
	}
	return ""
}

// stop ends it as Ctrl-C does.
func (f following) stop() (code int) {
	f.t.Helper()
	if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
		f.t.Fatal(err)
	}
	select {
	case code = <-f.code:
	case <-time.After(20 * time.Second):
		f.t.Fatal("it does not end")
	}
	for line := range f.lines {
		f.t.Errorf("one line too many: %s", line)
	}
	return code
}

func TestStateIsFollowedLineByLine(t *testing.T) {
	r := newRig(t, nil)
	lock := r.alive("modewatch.service", resting(atDesk))
	defer lock.Release()
	f := r.follow("state", "--follow")
	clock := regexp.MustCompile(`^\d\d:\d\d:\d\d `)
	line := f.next()
	if !clock.MatchString(line) || line[9:] != "desktop" {
		t.Errorf("first came %q", line)
	}
	again := resting(atDesk)
	again.At = noon.Add(time.Minute)
	r.publish(again) // nothing has changed
	r.publish(moving(resting(atDesk), stopping()))
	if got := f.next()[9:]; !strings.HasPrefix(got, "transitioning: desktop → compute, step 3/8") {
		t.Errorf("then came %q", got)
	}
	worse := inCompute
	worse.Degraded = []fsm.Deviation{{What: "vllm-inactive", Evidence: "x"}}
	r.publish(resting(worse))
	if got := f.next()[9:]; got != "compute (vllm-inactive)" {
		t.Errorf("at last came %q", got)
	}
	if code := f.stop(); code != exitDetached {
		t.Errorf("Ctrl-C: exit %d", code)
	}
}

// What somebody writes into desired that is no mode is told by the daemon; whoever
// follows the state goes on.
func TestStateIsFollowedThoughDesiredIsJunk(t *testing.T) {
	r := newRig(t, nil)
	lock := r.alive("modewatch.service", resting(atDesk))
	defer lock.Release()
	r.wish("gaming")
	f := r.follow("state", "--follow")
	f.next()
	r.publish(resting(inCompute))
	if got := f.next()[9:]; got != "compute" {
		t.Errorf("then came %q", got)
	}
	f.stop()
}

func TestStateIsFollowedAsDocuments(t *testing.T) {
	r := newRig(t, nil)
	lock := r.alive("modewatch.service", resting(atDesk))
	defer lock.Release()
	f := r.follow("state", "--follow", "--json")
	var o overview
	if err := json.Unmarshal([]byte(f.next()), &o); err != nil || o.State != fsm.AtDesktop || !o.Controller.Alive {
		t.Errorf("first came %+v, %v", o, err)
	}
	f.stop()
}

func TestStateForABar(t *testing.T) {
	r := newRig(t, nil)
	lock := r.alive("modewatch.service", moving(wanting(resting(atDesk)), stopping()))
	defer lock.Release()
	f := r.follow("state", "--follow", "--format", "waybar")
	var b bar
	if err := json.Unmarshal([]byte(f.next()), &b); err != nil || b.Text != "→ compute 3/8" || b.Alt != "transitioning" || b.Percentage != 37 {
		t.Errorf("first came %+v, %v", b, err)
	}
	f.stop()
	if code, out, _ := r.run("state", "--format", "waybar"); code != 0 || strings.Count(out, "\n") != 1 || !json.Valid([]byte(out)) {
		t.Errorf("once: exit %d\n%s", code, out)
	}
	if code, _, said := r.run("state", "--format", "polybar"); code != fsm.ExitMisuse || !strings.Contains(said, "waybar") {
		t.Errorf("another format: exit %d\n%s", code, said)
	}
}

func TestABarTellsWhatDeviates(t *testing.T) {
	bad := atDesk
	bad.Degraded = []fsm.Deviation{{What: "audio-stack-absent", Evidence: "<b>&"}}
	s := after(wanting(resting(bad)), attempted(fsm.Blocked, fsm.Desktop, ""))
	s.Waits = "quiet"
	o := overviewOf(view{Snapshot: s, Live: true}, noon)
	o.Holds = []fsm.Hold{{ID: "h", Why: "guests", By: alice, Since: noon}}
	b := barOf(o, noon)
	if got := strings.Join(b.Class, " "); got != "desktop degraded held unmet" {
		t.Errorf("the classes are %s", got)
	}
	for _, want := range []string{"observed: desktop", "wish: compute", "waits for quiet", "audio-stack-absent: &lt;b&gt;&amp;", "held: ", "last: "} {
		if !strings.Contains(b.Tooltip, want) {
			t.Errorf("the tooltip lacks %q:\n%s", want, b.Tooltip)
		}
	}
	if b := barOf(overviewOf(view{Snapshot: s}, noon), noon); !strings.Contains(b.Tooltip, "no controller") {
		t.Errorf("without a controller: %+v", b)
	}
}

func TestWaitForAMode(t *testing.T) {
	r := newRig(t, nil)
	lock := r.alive("modewatch.service", resting(atDesk))
	defer lock.Release()
	if code, out, _ := r.run("wait-for", "desktop"); code != 0 || out != "desktop\n" {
		t.Errorf("where it is: exit %d, %q", code, out)
	}
	if code, _, said := r.run("wait-for", "compute", "--timeout", "20ms"); code != fsm.ExitTimeout || !strings.Contains(said, "desktop is observed") || !strings.Contains(said, "why compute") {
		t.Errorf("too long: exit %d\n%s", code, said)
	}
	f := r.follow("wait-for", "compute", "--timeout", "1m")
	r.publish(moving(resting(inCompute), stopping())) // not before it rests there
	r.publish(resting(inCompute))
	if got := f.next(); got != "compute" {
		t.Errorf("it says %q", got)
	}
	if code := <-f.code; code != 0 {
		t.Errorf("it ends with %d", code)
	}
	if code, _, _ := r.run("wait-for", "desktop", "--timeout", "-1s"); code != fsm.ExitMisuse {
		t.Errorf("a time gone by: exit %d", code)
	}
}

// A controller that ends makes no event of its files.
func TestTheEndOfTheControllerIsFollowed(t *testing.T) {
	r := newRig(t, sim.Desk(config.Default().Policy))
	lock := r.alive("modewatch.service", resting(inCompute))
	f := r.follow("state", "--follow")
	f.next()
	lock.Release()
	r.must(os.WriteFile(r.cfg.RunDir+"/reconcile.pid", nil, 0o644)) // as its end does by unlinking
	if got := f.next(); !strings.Contains(got, "no controller runs") {
		t.Errorf("after its end came %q", got)
	}
	f.stop()
}

func TestTheDocumentedBarIsValid(t *testing.T) {
	text, err := os.ReadFile("../../docs/desktop.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(text, -1)
	if len(blocks) == 0 {
		t.Fatal("there is no module")
	}
	for _, b := range blocks {
		if !json.Valid(b[1]) {
			t.Errorf("not JSON:\n%s", b[1])
		}
	}
	for _, command := range regexp.MustCompile(`modewatch [a-z-]+[^"\n`+"`"+`,&]*`).FindAllString(string(text), -1) {
		args := strings.Fields(command)[1:]
		if _, err := (env{prog: "modewatch"}).parse(args); err != nil {
			t.Errorf("%q: %v", command, err)
		}
	}
}
