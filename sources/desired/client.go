package desired

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/modewatch/modewatch/fsm"
)

// ClientHold is a hold that the daemon keeps for a connection to the bus.
type ClientHold struct {
	ID, Client string
	By         fsm.Caller
}

// HoldFor keeps this host in its mode for the process of h.By, which has asked by the
// connection client: until it ends, until h.Until if that is set, or until Unhold. It
// outlives this daemon: whoever looks at the file asks for that process.
func (s *Store) HoldFor(h fsm.Hold, client string) error {
	doc := holdFile{Schema: fsm.Schema, Why: h.Why, PID: h.By.PID, Since: h.Since, Client: client, UID: h.By.UID}
	if started, err := startOf(h.By.PID); err == nil {
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

// ClientHolds are the holds in force that were made by connections to the bus.
func (s *Store) ClientHolds() ([]ClientHold, error) {
	entries, err := os.ReadDir(s.path(holdsName))
	if err != nil {
		return nil, fmt.Errorf("cannot list the holds: %w", err)
	}
	var out []ClientHold
	for _, e := range entries {
		if draft(e.Name()) {
			continue
		}
		h, hold, err := s.parseHold(e.Name())
		if err == nil && h.Client != "" {
			out = append(out, ClientHold{ID: strings.TrimSuffix(e.Name(), suffix), Client: h.Client,
				By: fsm.Caller{UID: hold.By.UID, PID: h.PID}})
		}
	}
	return out, nil
}

// lives tells whether the process that asked is still there. One that cannot be looked
// at counts as there: a hold ends by what is known.
func (h holdFile) lives() bool {
	if h.PID <= 0 {
		return true
	}
	if errors.Is(unix.Kill(h.PID, 0), unix.ESRCH) {
		return false
	}
	started, err := startOf(h.PID)
	return err != nil || h.Started == 0 || started == h.Started
}

// startOf is when a process was started, in clock ticks since the boot
// (proc_pid_stat(5), field 22).
func startOf(pid int) (uint64, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < 20 {
		return 0, fmt.Errorf("its stat has %d fields", len(fields))
	}
	return strconv.ParseUint(string(fields[19]), 10, 64)
}
