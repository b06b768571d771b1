package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/cmd/modewatch/early"
	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/config"
	"github.com/modewatch/modewatch/internal/engine"
	"github.com/modewatch/modewatch/sinks/runfiles"
)

// FuzzArguments reads command lines, a word a line. One that is not understood is
// a misuse with a hint; one that is has done nothing yet.
func FuzzArguments(f *testing.F) {
	f.Fuzz(func(t *testing.T, line string) {
		never := func(what string) { t.Errorf("%q: %s", line, what) }
		var said strings.Builder
		e := env{prog: "modewatch", stdout: &said, stderr: &said, getenv: func(string) string { return "" },
			host:  func(config.Config) (engine.Host, func()) { never("the host was asked for"); return nil, nil },
			start: func(context.Context, string) (job, error) { never("a unit was started"); return nil, io.EOF },
			stop:  func(context.Context, string) error { never("a unit was stopped"); return io.EOF },
			once:  func(context.Context, env, fsm.Wish) int { never("an attempt was made"); return 1 }}
		run, err := e.parse(strings.Split(line, "\n"))
		var bad fault
		switch {
		case said.Len() > 0:
			never("something was printed: " + said.String())
		case (run == nil) != (err != nil):
			never("it is both understood and not, or neither")
		case err != nil && (!errors.As(err, &bad) || bad.code != fsm.ExitMisuse || bad.hint == "" || bad.text == ""):
			t.Errorf("%q: %#v", line, err)
		}
		if text := tame(line, false); strings.ContainsAny(text, "\x1b\n\r\a\x00\u009b\u202e") {
			t.Errorf("%q is still wild", text)
		}
	})
}

// FuzzMoment reads times. What is understood as a span lies in the past, and a time
// of day is of today.
func FuzzMoment(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		now := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
		at, err := moment(text, now)
		var bad fault
		switch _, tod := time.Parse("15:04", text); {
		case err != nil && (!errors.As(err, &bad) || bad.code != fsm.ExitMisuse || !at.IsZero()):
			t.Errorf("%q: %v, %#v", text, at, err)
		case err == nil && strings.Trim(text, "0123456789.dhmsnuµμ+") == "" && text != "0" && !strings.Contains(text, ":") && at.After(now):
			t.Errorf("%q is %v, after now", text, at)
		case err == nil && tod == nil && at.Format("2006-01-02") != "2026-03-14":
			t.Errorf("%q is %v, not today", text, at)
		}
	})
}

// FuzzLive reads the files of a controller that has the lock. Whatever they hold, a
// controller is believed to live only if it is the one that has it, and lives; and
// the short way of "modewatch state" then says what the long one does.
func FuzzLive(f *testing.F) {
	f.Fuzz(func(t *testing.T, holder, snapshot []byte, state string) {
		if text, err := json.Marshal(state); err != nil || string(text) != `"`+state+`"` {
			state = "desktop" // words of the table need no escapes
		}
		d := runfiles.Dirs{Run: t.TempDir(), Lib: t.TempDir()}
		lock, err := d.Lock("modewatch.service", "boot", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		defer lock.Release()
		files := files{run: d.Run, lib: d.Lib}
		put := func(name string, data []byte) {
			if err := os.WriteFile(filepath.Join(d.Run, name), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.WriteState(fsm.Snapshot{PID: os.Getpid(), State: fsm.State(state)}); err != nil {
			t.Fatal(err)
		}
		v, ok := files.live()
		if word, short := early.State(d.Run); !ok || short && word != string(v.Snapshot.State) {
			t.Errorf("the state is %q (%v), and %q (%v) the short way", v.Snapshot.State, ok, word, short)
		}
		put("reconcile.pid", holder)
		put("state.json", snapshot)
		h, held := files.holder()
		if held && (h.Schema != fsm.Schema || !early.Exists(h.PID)) {
			t.Errorf("%q holds the lock", holder)
		}
		if v, ok := files.live(); ok && (!held || v.Snapshot.PID != h.PID || v.Snapshot.Schema != fsm.Schema) {
			t.Errorf("%q with %q is alive", holder, snapshot)
		}
	})
}
