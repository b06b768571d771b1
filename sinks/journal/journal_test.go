package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sdjournal "github.com/coreos/go-systemd/v22/journal"
	"github.com/rs/zerolog"
	"github.com/rs/zerolog/journald"

	"github.com/modewatch/modewatch/fsm"
)

// tape is a sink that keeps the texts; hold makes it hang, fail makes it fail.
type tape struct {
	mu   sync.Mutex
	said []string
	hold chan struct{}
	fail error
}

func (t *tape) put(e Entry) error {
	if t.hold != nil {
		<-t.hold
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fail != nil {
		return t.fail
	}
	t.said = append(t.said, e.Text)
	return nil
}

func (t *tape) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.said, "\n")
}

func (t *tape) failing(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fail = err
}

func note(n int) fsm.Note { return fsm.Note{What: fsm.NoteConfig, Text: fmt.Sprintf("note %d", n)} }

// run runs the journal and returns what ends it.
func run(j *Journal) (end func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- j.Run(ctx) }()
	return func() error { cancel(); return <-done }
}

func TestRecordsAreWrittenInOrderAndToTheEnd(t *testing.T) {
	out := &tape{}
	j := New(out.put, zerolog.InfoLevel)
	var want []string
	for n := range queueLength {
		j.Record(note(n))
		want = append(want, fmt.Sprintf("note %d", n))
	}
	if err := run(j)(); err != nil {
		t.Fatal(err)
	}
	if got := out.text(); got != strings.Join(want, "\n") {
		t.Errorf("written:\n%s", got)
	}
}

func TestLevel(t *testing.T) {
	out := &tape{}
	j := New(out.put, zerolog.WarnLevel)
	for _, r := range story {
		j.Record(r)
	}
	if err := run(j)(); err != nil {
		t.Fatal(err)
	}
	if got := out.text(); strings.Contains(got, "reached in") || !strings.Contains(got, "blocked: check_audio_idle (10)") {
		t.Errorf("written at level warn:\n%s", got)
	}
	for _, word := range []string{"debug", "info", "warn", "error"} {
		if l, err := ParseLevel(word); err != nil || l.String() != word {
			t.Errorf("%s: %v, %v", word, l, err)
		}
	}
	if _, err := ParseLevel("loud"); err == nil {
		t.Error("loud is a level")
	}
}

func TestFullQueueNeverBlocksAndIsTold(t *testing.T) {
	out := &tape{hold: make(chan struct{})}
	j := New(out.put, zerolog.InfoLevel)
	end := run(j)
	const all = queueLength + 40
	for n := range all {
		j.Record(note(n)) // would hang the test if it blocked
	}
	close(out.hold)
	if err := end(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.text(), "\n")
	lost := all - (len(lines) - 1)
	want := fmt.Sprintf("cannot tell everything: %d records were lost, the journal did not take them in time", lost)
	if lost < 39 || lines[len(lines)-1] != want {
		t.Errorf("%d written, the last is %q, want %q", len(lines), lines[len(lines)-1], want)
	}
}

func TestFailedWritesAreToldWhenTheJournalIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &tape{fail: errors.New("no such file")}
		j := New(out.put, zerolog.InfoLevel)
		end := run(j)
		j.Record(note(1))
		j.Record(note(2))
		synctest.Wait()
		out.failing(nil)
		j.Record(note(3))
		synctest.Wait()
		if got, want := out.text(), "note 3\ncannot tell everything: 2 records were lost: no such file"; got != want {
			t.Errorf("written:\n%s\nwant:\n%s", got, want)
		}
		if err := end(); err != nil {
			t.Error(err)
		}
	})
}

func TestHungJournalIsAbandonedAfterASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &tape{hold: make(chan struct{})}
		j := New(out.put, zerolog.InfoLevel)
		end := run(j)
		j.Record(note(1))
		j.Record(note(2))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := j.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("flush: %v", err)
		}
		before := time.Now()
		err := end()
		if took := time.Since(before); err == nil || took != drainTime {
			t.Errorf("ended after %v: %v", took, err)
		}
		close(out.hold)
	})
}

func TestFlushWaitsForWhatCameBefore(t *testing.T) {
	out := &tape{}
	j := New(out.put, zerolog.InfoLevel)
	end := run(j)
	for n := range 100 {
		j.Record(note(n))
		if err := j.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := out.text(); !strings.HasSuffix(got, fmt.Sprintf("note %d", n)) {
			t.Fatalf("after flush %d: %s", n, got)
		}
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

// What zerolog's journald writer is given and makes of it: all fields in upper
// case, PRIORITY by level, and the field JSON that repeats the entry.
func TestFieldsReachJournald(t *testing.T) {
	var text string
	var prio sdjournal.Priority
	var vars map[string]string
	journald.SendFunc = func(m string, p sdjournal.Priority, v map[string]string) error {
		text, prio, vars = m, p, v
		return nil
	}
	t.Cleanup(func() { journald.SendFunc = nil })
	sink := Journald(journald.NewJournalDWriter())
	priorities := map[zerolog.Level]sdjournal.Priority{zerolog.InfoLevel: sdjournal.PriInfo, zerolog.WarnLevel: sdjournal.PriWarning, zerolog.ErrorLevel: sdjournal.PriErr}
	for _, r := range story {
		e := Describe(r)
		if err := sink(e); err != nil {
			t.Fatal(err)
		}
		if text != e.Text || prio != priorities[e.Level] {
			t.Errorf("sent %q with priority %d", text, prio)
		}
		want := map[string]string{"SYSLOG_IDENTIFIER": "modewatch", "MESSAGE_ID": string(e.ID), "JSON": vars["JSON"]}
		for _, f := range e.Fields {
			want["MODEWATCH_"+f.Name] = f.Value
		}
		if fmt.Sprint(vars) != fmt.Sprint(want) {
			t.Errorf("fields %v\nwant %v", vars, want)
		}
		var repeated map[string]string
		if err := json.Unmarshal([]byte(vars["JSON"]), &repeated); err != nil || repeated["MESSAGE_ID"] != string(e.ID) || repeated["message"] != e.Text {
			t.Errorf("JSON is %s: %v", vars["JSON"], err)
		}
	}
}

func TestJournaldThatFailsIsTold(t *testing.T) {
	journald.SendFunc = func(string, sdjournal.Priority, map[string]string) error { return errors.New("gone") }
	t.Cleanup(func() { journald.SendFunc = nil })
	sink := Journald(journald.NewJournalDWriter())
	if err := sink(Describe(note(1))); err == nil || err.Error() != "cannot write to the journal: gone" {
		t.Errorf("%v", err)
	}
	journald.SendFunc = func(string, sdjournal.Priority, map[string]string) error { return nil }
	if err := sink(Describe(note(1))); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestConsole(t *testing.T) {
	var b bytes.Buffer
	sink := Console(&b, false)
	e := Describe(end(fsm.Reached, fsm.Compute, ""))
	if err := sink(e); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), e.At.Local().Format(time.TimeOnly)+" INF compute reached in 4.2 s\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func BenchmarkDescribe(b *testing.B) {
	sink := Journald(discard{})
	for b.Loop() {
		if err := sink(Describe(story[13])); err != nil {
			b.Fatal(err)
		}
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
