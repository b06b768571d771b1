package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/rs/zerolog/journald"

	"github.com/modewatch/modewatch/fsm"
)

// The tests named TestLab write to the real journald and stop it for a moment:
// they are for root in a booted container that is thrown away afterwards, with
// the catalogue in its place. Build them by go test -c.
func needLab(t *testing.T) {
	t.Helper()
	if os.Getenv("MODEWATCH_IN_LAB") != "1" {
		t.Skip("SKIP-REASON: needs the lab (MODEWATCH_IN_LAB=1)")
	}
}

func output(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return out
}

// entries reads back what was written since mark, once all of it is there.
func entries(t *testing.T, mark string, want int) []map[string]string {
	t.Helper()
	output(t, "journalctl", "--sync")
	var out []map[string]string
	seen := false
	for _, line := range bytes.Split(output(t, "journalctl", "-o", "json", "-t", Identifier), []byte("\n")) {
		var e map[string]string
		if len(line) == 0 || json.Unmarshal(line, &e) != nil {
			continue
		}
		if seen {
			out = append(out, e)
		}
		seen = seen || e["MESSAGE"] == mark
	}
	if len(out) != want {
		t.Fatalf("%d entries since %q, want %d", len(out), mark, want)
	}
	return out
}

func mark(t *testing.T, sink Sink) string {
	t.Helper()
	text := fmt.Sprintf("%s begins at %d", t.Name(), time.Now().UnixNano())
	if err := sink(Describe(fsm.Note{What: fsm.NoteConfig, Text: text, At: at})); err != nil {
		t.Fatal(err)
	}
	return text
}

func TestLabFieldsAreInTheJournal(t *testing.T) {
	needLab(t)
	sink := Journald(journald.NewJournalDWriter())
	from := mark(t, sink)
	for _, r := range story {
		if err := sink(Describe(r)); err != nil {
			t.Fatal(err)
		}
	}
	priorities := map[zerolog.Level]string{zerolog.InfoLevel: "6", zerolog.WarnLevel: "4", zerolog.ErrorLevel: "3"}
	for i, got := range entries(t, from, len(story)) {
		e := Describe(story[i])
		want := map[string]string{"MESSAGE": e.Text, "MESSAGE_ID": string(e.ID), "PRIORITY": priorities[e.Level], "SYSLOG_IDENTIFIER": "modewatch"}
		for _, f := range e.Fields {
			want["MODEWATCH_"+f.Name] = f.Value
		}
		for name, value := range want {
			if got[name] != value {
				t.Errorf("%s: %s is %q, want %q", e.Text, name, got[name], value)
			}
		}
	}
}

// Every entry finds its explanation, with all its fields filled in.
func TestLabCatalogueExplains(t *testing.T) {
	needLab(t)
	output(t, "journalctl", "--update-catalog")
	sink := Journald(journald.NewJournalDWriter())
	mark(t, sink)
	for _, r := range story {
		e := Describe(r)
		e.Fields = append(e.Fields, Field{"LAB", t.Name()})
		if err := sink(e); err != nil {
			t.Fatal(err)
		}
	}
	output(t, "journalctl", "--sync")
	for _, kind := range kinds {
		for _, id := range kind.ids {
			text := string(output(t, "journalctl", "-x", "-n", "1", "-o", "short", "MESSAGE_ID="+string(id), "MODEWATCH_LAB="+t.Name()))
			if !strings.Contains(text, "Defined-By: modewatch") || strings.Contains(text, "@MODEWATCH_") || strings.Contains(text, "MODEWATCH_FROM") || strings.Contains(text, "MODEWATCH_CAUSE") {
				t.Errorf("%s %s is explained as:\n%s", kind.name, id, text)
			}
		}
	}
}

// A journald that is stopped keeps nobody waiting, and what it missed is told.
func TestLabHungJournald(t *testing.T) {
	needLab(t)
	sink := Journald(journald.NewJournalDWriter())
	from := mark(t, sink)
	pid := strings.TrimSpace(string(output(t, "systemctl", "show", "-P", "MainPID", "systemd-journald")))
	j := New(sink, zerolog.InfoLevel)
	end := run(j)
	output(t, "kill", "-STOP", pid)
	const all = 20000
	before := time.Now()
	for n := range all {
		j.Record(note(n))
	}
	slow := time.Since(before)
	output(t, "kill", "-CONT", pid)
	if slow > time.Second {
		t.Errorf("recording %d took %v beside a hung journald", all, slow)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := j.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	output(t, "journalctl", "--sync")
	text := string(output(t, "journalctl", "-o", "cat", "-t", Identifier))
	_, text, _ = strings.Cut(text, from)
	if !strings.Contains(text, "records were lost") {
		t.Errorf("the loss is not told; %d bytes since", len(text))
	}
}

// As a service of systemd the sink writes to journald with fields; with standard
// error elsewhere it writes text there.
func TestLabDefaultSink(t *testing.T) {
	needLab(t)
	if os.Getenv("MODEWATCH_LAB_CHILD") == "1" {
		if err := Default(os.Stderr)(Describe(story[1])); err != nil {
			t.Fatal(err)
		}
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := func(unit string, properties ...string) {
		args := append([]string{"--wait", "--quiet", "--unit", unit, "-E", "MODEWATCH_IN_LAB=1", "-E", "MODEWATCH_LAB_CHILD=1"}, properties...)
		output(t, "systemd-run", append(args, self, "-test.run", "^TestLabDefaultSink$")...)
	}
	child("lab-default-journal")
	file := t.TempDir() + "/stderr"
	child("lab-default-file", "-p", "StandardError=file:"+file)
	output(t, "journalctl", "--sync")
	native := output(t, "journalctl", "-o", "cat", "-u", "lab-default-journal", "MODEWATCH_EVENT=begin", "_TRANSPORT=journal")
	if got := strings.TrimSpace(string(native)); got != Text(story[1]) {
		t.Errorf("the journal has %q", got)
	}
	if got, err := os.ReadFile(file); err != nil || !strings.Contains(string(got), " INF "+Text(story[1])+"\n") || strings.Contains(string(got), "\x1b") {
		t.Errorf("standard error has %q, %v", got, err)
	}
}
