package journal

import (
	"fmt"
	"io"
	"os"
	"time"

	sdjournal "github.com/coreos/go-systemd/v22/journal"
	"github.com/rs/zerolog"
	"github.com/rs/zerolog/journald"
)

// Identifier is SYSLOG_IDENTIFIER of every entry: "journalctl -t modewatch".
const Identifier = "modewatch"

// Sink writes one entry; it may hang. Only Run's writer calls it.
type Sink func(Entry) error

// Default returns the sink of this process: journald where standard error is
// connected to it, as systemd does for its services, else text on standard
// error.
func Default(stderr *os.File) Sink {
	if native, err := sdjournal.StderrIsJournalStream(); err == nil && native {
		return Journald(journald.NewJournalDWriter())
	}
	return Console(stderr, isTerminal(stderr))
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Journald returns a sink that writes with all fields to w, which is zerolog's
// journald writer but in tests. That writer takes PRIORITY from the level and
// adds a field JSON that repeats the entry.
func Journald(w io.Writer) Sink {
	keep := &keeper{w: w}
	log := zerolog.New(keep)
	return func(e Entry) error {
		ev := log.WithLevel(e.Level).Str("SYSLOG_IDENTIFIER", Identifier)
		if e.ID != "" {
			ev = ev.Str("MESSAGE_ID", string(e.ID))
		}
		for _, f := range e.Fields {
			ev = ev.Str("MODEWATCH_"+f.Name, f.Value)
		}
		ev.Msg(e.Text)
		return keep.result("the journal")
	}
}

// Console returns a sink that writes time, level and text to w, a line each.
func Console(w io.Writer, colour bool) Sink {
	keep := &keeper{w: w}
	log := zerolog.New(zerolog.ConsoleWriter{Out: keep, NoColor: !colour, TimeFormat: time.TimeOnly, TimeLocation: time.Local})
	return func(e Entry) error {
		log.WithLevel(e.Level).Time(zerolog.TimestampFieldName, e.At).Msg(e.Text)
		return keep.result("standard error")
	}
}

// keeper keeps the error of a write, which zerolog would only print.
type keeper struct {
	w   io.Writer
	err error
}

func (k *keeper) Write(p []byte) (int, error) {
	_, k.err = k.w.Write(p)
	return len(p), nil
}

func (k *keeper) result(where string) error {
	if k.err == nil {
		return nil
	}
	return fmt.Errorf("cannot write to %s: %w", where, k.err)
}
