package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/integration/lab"
)

// witness is what was so before an event.
type witness struct {
	at       time.Time
	recorded int               // attempts in the history
	login    string            // the process that has logged alice in; "0" for none
	alive    map[string]string // the processes of what has to survive, by unit
}

// survivors are the services that no transition ends.
var survivors = []string{"ssh.service", "dbus.service", "systemd-logind.service", "k3s.service"}

func (s *stage) witness() witness {
	s.t.Helper()
	w := witness{s.now(), len(s.recorded("")), s.pid("lab-dm.service"), map[string]string{}}
	for _, unit := range survivors {
		w.alive[unit] = s.pid(unit)
	}
	return w
}

// agrees compares what is told after an event with the host itself, and what was
// done with what might be.
func (s *stage) agrees(c cell, w witness, ahead int) {
	s.t.Helper()
	s.observes()
	since := s.recorded("")[w.recorded:]
	s.toldOnce(c, w, since)
	s.onlyOnRecord(c, ahead, since[0])
	for _, unit := range survivors {
		now := s.pid(unit)
		if now == "0" || now != w.alive[unit] && !c.boots && !c.bus {
			s.t.Errorf("%s was process %s, it is %s", unit, w.alive[unit], now)
		}
	}
	if now := s.pid("lab-dm.service"); w.login != "0" && now != w.login && !c.boots && !mayEndSessions(c, since) {
		s.t.Errorf("alice's login was process %s, it is %s, and nothing that was to end it had begun", w.login, now)
	}
	if s.t.Failed() {
		s.t.Fatalf("%s", s.story())
	}
}

// observes wants what is told of the mode to be so, by a look of our own.
func (s *stage) observes() {
	s.t.Helper()
	var told fsm.Snapshot
	out := s.want(0, "state", "--json").Stdout
	if err := json.Unmarshal([]byte(out), &told); err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
	is := s.observed()
	m, resting := told.State.Mode()
	if seen := s.snapshot().Observation.Mode; seen != is || resting && m != is || !resting && !s.halfDone(told.State) {
		s.t.Errorf("it tells %s and %s, the host is in %s", told.State, seen, is)
	}
	holders, err := s.Holders(s.t.Context(), lab.Card)
	if s.must(err); is == fsm.Compute && len(holders) > 0 {
		s.t.Errorf("in compute the display GPU is held by %v", holders)
	}
}

// halfDone tells whether a state that was told is that of a host which the last attempt
// left in no clean mode: until an observation in order, or the next wish (D6).
func (s *stage) halfDone(told fsm.State) bool {
	last := s.snapshot().Last
	return told == fsm.FailedTransition && last != nil && (last.Outcome == fsm.Degraded || last.Outcome == fsm.Failed)
}

// settles waits until a daemon is there that has no attempt under way, and knows the
// mode. Nothing of what it had written ahead is left then.
func (s *stage) settles(after string) {
	s.t.Helper()
	s.eventually("rest after "+after, func() bool {
		now := s.snapshot()
		_, resting := now.State.Mode()
		return (resting || s.halfDone(now.State)) && now.Attempt == nil && now.Observation.Mode != fsm.Unknown && fmt.Sprint(now.PID) == s.pid("modewatch.service")
	})
	s.eventually("the end of the write-ahead record after "+after, func() bool { _, err := s.ReadFile(intent); return err != nil })
	if note := s.trouble(); note != "" {
		s.t.Errorf("after %s the table was refused: %s", after, note)
	}
}

// records counts the write-ahead records that are put in place from now on, until the
// returned function is called, which tells how many.
func (s *stage) records() func() int {
	s.t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	s.must(err)
	_, err = unix.InotifyAddWatch(fd, fmt.Sprintf("/proc/%d/root%s", s.LeaderPID(), libDir), unix.IN_MOVED_FROM|unix.IN_MOVED_TO) // both: the kernel tells equals in a row as one
	s.must(err)
	told := os.NewFile(uintptr(fd), "records")
	s.t.Cleanup(func() { _ = told.Close() })
	return func() (n int) {
		all := make([]byte, 1<<20)
		got, err := unix.Read(fd, all)
		if err != nil && err != unix.EAGAIN {
			s.t.Fatal(err)
		}
		return bytes.Count(all[:max(got, 0)], []byte("\x00"+filepath.Base(intent)+"\x00"))
	}
}

// toldOnce wants each attempt that has begun to have one end: in the history, in the
// journal, and, for the last, in the file of the last attempt.
func (s *stage) toldOnce(c cell, w witness, since []fsm.Attempt) {
	s.t.Helper()
	seen := map[string]bool{}
	for _, a := range since {
		if seen[a.ID] {
			s.t.Errorf("attempt %s is in the history twice", a.ID)
		}
		seen[a.ID] = true
	}
	for id, n := range s.endsSince(w.at) {
		if n != 1 || !seen[id] {
			s.t.Errorf("the journal tells %d ends of attempt %s, the history those of %s", n, id, ids(since))
		}
	}
	if !slices.ContainsFunc(since, func(a fsm.Attempt) bool { return a.To == c.to }) {
		s.t.Fatalf("the attempt has no end in the history, which tells %s\n%s", ids(since), s.story())
	}
	end := since[len(since)-1]
	if last := s.last(); last.ID != end.ID && !(c.boots && last.ID == "") || last.ID == end.ID && (last.Outcome != end.Outcome || last.Exit != end.Exit || last.Final != end.Final) {
		s.t.Errorf("last-transition.json tells %s, the history %s", ids([]fsm.Attempt{last}), ids(since))
	}
	if last := s.snapshot().Last; last != nil && last.ID != end.ID {
		s.t.Errorf("state.json tells %s, the history %s", ids([]fsm.Attempt{*last}), ids(since))
	}
	if success := end.Outcome == fsm.Reached || end.Outcome == fsm.Noop; success != (end.Exit == 0) || success && end.Final != end.To {
		s.t.Errorf("attempt %s ended %s with %d in %s", end.ID, end.Outcome, end.Exit, end.Final)
	}
}

// onlyOnRecord wants each step that ran, but for those that only wait, to have been
// written ahead, and what kept the next from being so to be named.
func (s *stage) onlyOnRecord(c cell, ahead int, a fsm.Attempt) {
	s.t.Helper()
	ran := 0
	for _, r := range a.Steps {
		if !r.Op.Waits() && r.Result != "refused" {
			ran++
		}
	}
	if ran > ahead {
		s.t.Errorf("%d steps ran, and %d were written ahead: %+v", ran, ahead, a.Steps)
	}
	if c.disk == libDir && !a.Success && !strings.Contains(a.Cause, "no space left on device") && !strings.Contains(a.Cause, "read-only file system") {
		s.t.Errorf("it ended %s: %s", a.Outcome, a.Cause)
	}
}

// mayEndSessions tells whether a step was begun that cannot be taken back.
func mayEndSessions(c cell, since []fsm.Attempt) bool {
	if c.past {
		return true
	}
	return slices.ContainsFunc(since, func(a fsm.Attempt) bool {
		return slices.ContainsFunc(a.Steps, func(r fsm.StepResult) bool {
			return slices.ContainsFunc(c.plan.Steps, func(p fsm.Step) bool { return p.Final && p.Op == r.Op && !r.Undo })
		})
	})
}
