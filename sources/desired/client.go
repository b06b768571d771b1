package desired

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sources/procs"
)

// HoldFor keeps this host in its mode for the process of h.By, which has asked by the
// connection h.Client: until it ends, until h.Until if that is set, or until Unhold. It
// outlives this daemon: whoever looks at the file asks for that process.
func (s *Store) HoldFor(h fsm.Hold) error {
	doc := holdFile{Schema: fsm.Schema, Why: h.Why, PID: h.By.PID, Since: h.Since, Client: h.Client, UID: h.By.UID}
	if started, err := procs.Started(h.By.PID); err == nil {
		doc.Started = started
	}
	if !h.Until.IsZero() {
		doc.End = bootTime() + int64(time.Until(h.Until))
	}
	held, err := s.place(h.ID, doc, func(*os.File) error { return nil })
	if err != nil {
		return fmt.Errorf("cannot hold this host: %w", err)
	}
	return held.file.Close()
}

// ClientHolds are the holds that were made by connections to the bus, each with the
// process that the bus named, whether it lives or not.
func (s *Store) ClientHolds() ([]fsm.Hold, error) {
	entries, err := os.ReadDir(s.path(holdsName))
	if err != nil {
		return nil, fmt.Errorf("cannot list the holds: %w", err)
	}
	var out []fsm.Hold
	for _, e := range entries {
		if draft(e.Name()) {
			continue
		}
		h, hold, err := s.parseHold(e.Name())
		if err == nil && h.Client != "" {
			hold.By.PID = h.PID
			out = append(out, hold)
		}
	}
	return out, nil
}

// lives tells whether the process that asked is still there. One that cannot be looked
// at counts as there: a hold ends by what is known. (Where /proc hides the processes
// of others, they can still be signalled, or not.)
func (h holdFile) lives() bool {
	if h.PID <= 0 {
		return true
	}
	started, err := procs.Started(h.PID)
	if errors.Is(err, fs.ErrNotExist) {
		return h.hidden()
	}
	return err != nil || h.Started == 0 || started == h.Started
}

// hidden tells whether the process is one that /proc does not show to us.
func (h holdFile) hidden() bool {
	_, err := os.Stat("/proc/" + strconv.Itoa(h.PID))
	return err != nil && errors.Is(unix.Kill(h.PID, 0), unix.EPERM)
}
