package desired

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/modewatch/modewatch/fsm"
)

const (
	holdsName = "holds"
	holdsMode = 0o775 // and sticky; everybody may see why this host stays as it is
	holdMode  = 0o644
)

// holdFile is a fsm.Hold as a file. Of its owner it names the process alone, as a
// request does. One without an end is locked for as long as its process lives; an
// end is on the clock that no setting of the time moves.
type holdFile struct {
	Schema int       `json:"schema"`
	Why    string    `json:"why"`
	PID    int       `json:"pid"`
	Since  time.Time `json:"since"`
	End    int64     `json:"end_boottime_ns,omitempty"`
	// Of one that the daemon keeps for a connection to the bus: the connection's name,
	// and when its process was started, in clock ticks since the boot.
	// Its user is who the daemon says, which owns the file.
	Client  string `json:"client,omitempty"`
	Started uint64 `json:"started,omitempty"`
	UID     int    `json:"uid,omitempty"`
}

// Held is a hold of this process.
type Held struct {
	path string
	file *os.File // locked; nil for one with an end
}

// Release ends the hold.
func (h *Held) Release() error {
	err := os.Remove(h.path)
	if h.file != nil {
		err = errors.Join(err, h.file.Close())
	}
	return err
}

// Hold keeps this host in its mode until the returned hold is released or this
// process ends or, if d is given, for as long as that. An error that is
// fs.ErrPermission says that the caller may not.
func (s *Store) Hold(id, why string, d time.Duration) (*Held, error) {
	h, err := s.hold(id, why, d)
	if err != nil {
		return nil, fmt.Errorf("cannot hold this host: %w", err)
	}
	return h, nil
}

func (s *Store) hold(id, why string, d time.Duration) (*Held, error) {
	h := holdFile{Schema: fsm.Schema, Why: why, PID: os.Getpid(), Since: time.Now()}
	if d > 0 {
		h.End = bootTime() + int64(d)
	}
	held, err := s.place(id, h, func(f *os.File) error {
		if d > 0 {
			return nil
		}
		return unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
	})
	if err == nil && d > 0 {
		err = held.file.Close()
		held.file = nil
	}
	return held, err
}

// place readies a file and writes a hold into it, under a name that is not looked at,
// then renames.
func (s *Store) place(id string, h holdFile, ready func(*os.File) error) (_ *Held, err error) {
	data, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	if len(data) >= maxRequest || !validID(id) {
		return nil, fmt.Errorf("its reason is longer than %d bytes", maxRequest-256)
	}
	draft := s.path(holdsName + "/." + id)
	f, err := os.OpenFile(draft, os.O_RDWR|os.O_CREATE|os.O_EXCL, holdMode)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			os.Remove(draft)
			f.Close()
		}
	}()
	if err = ready(f); err == nil {
		_, err = f.Write(append(data, '\n'))
	}
	if err = errors.Join(err, f.Chmod(holdMode)); err != nil {
		return nil, err
	}
	held := &Held{path: s.path(holdsName + "/" + id + suffix), file: f}
	return held, os.Rename(draft, held.path)
}

// Unhold ends the hold with an id, whoever made it. An error that is
// fs.ErrNotExist says that there is none.
func (s *Store) Unhold(id string) error {
	if !validID(id) {
		return fmt.Errorf("cannot end the hold %.64q: %w", id, fs.ErrNotExist)
	}
	if err := os.Remove(s.path(holdsName + "/" + id + suffix)); err != nil {
		return fmt.Errorf("cannot end the hold %s: %w", id, err)
	}
	return nil
}

// Holds returns the holds in force, oldest first. One that cannot be read is an
// error: nobody knows what it keeps safe. What is left of those that ended is
// cleared away by who may.
func (s *Store) Holds(ctx context.Context) ([]fsm.Hold, error) {
	entries, err := os.ReadDir(s.path(holdsName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // nobody could hold
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list the holds: %w", err)
	}
	var out []fsm.Hold
	for _, e := range entries {
		if draft(e.Name()) || ctx.Err() != nil {
			s.clearDraft(holdsName, e)
			continue
		}
		h, err := s.readHold(e.Name())
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, fmt.Errorf("the hold %.80q in %s: %w", e.Name(), s.path(holdsName), err)
		case h == nil:
			_ = os.Remove(s.path(holdsName + "/" + e.Name()))
		default:
			out = append(out, *h)
		}
	}
	slices.SortStableFunc(out, func(a, b fsm.Hold) int { return a.Since.Compare(b.Since) })
	return out, ctx.Err()
}

// readHold returns one hold, nil if it has ended.
func (s *Store) readHold(name string) (*fsm.Hold, error) {
	h, out, err := s.parseHold(name)
	if err != nil {
		return nil, err
	}
	if h.End > 0 {
		left := time.Duration(h.End - bootTime())
		out.Until = time.Now().Add(left).Round(time.Second)
		if left <= 0 {
			return nil, nil
		}
	}
	switch {
	case h.Client != "":
		return alive(&out, h.lives()), nil
	case h.End > 0:
		return &out, nil
	}
	locked, err := isLocked(s.path(holdsName + "/" + name))
	return alive(&out, locked), err
}

// parseHold reads the file of a hold, and who made it.
func (s *Store) parseHold(name string) (h holdFile, out fsm.Hold, err error) {
	data, uid, err := readRequest(s.path(holdsName + "/" + name))
	if err != nil {
		return h, out, err
	}
	if err := json.Unmarshal(data, &h); err != nil {
		return h, out, fmt.Errorf("it is no JSON hold of uid %d: %w", uid, err)
	}
	if h.Schema != fsm.Schema {
		return h, out, fmt.Errorf("schema %d is not known", h.Schema)
	}
	switch {
	case uid != s.Owner:
		h.Client = "" // only the daemon keeps holds for others
	case h.Client != "":
		uid = h.UID
	}
	return h, fsm.Hold{ID: strings.TrimSuffix(name, suffix), Why: h.Why, By: s.caller(uid, h.PID), Since: h.Since, Client: h.Client}, nil
}

func alive(h *fsm.Hold, yes bool) *fsm.Hold {
	if !yes {
		return nil
	}
	return h
}

// isLocked tells whether the process that holds still lives. Only who may write
// the file can lock it so.
func isLocked(path string) (bool, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return false, err
	}
	defer f.Close()
	lock := unix.Flock_t{Type: unix.F_RDLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &lock); err != nil {
		return false, fmt.Errorf("cannot tell whether its process lives: %w", err)
	}
	return lock.Type != unix.F_UNLCK, nil
}

// bootTime is the time since the boot, sleep counted, in nanoseconds.
func bootTime() int64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) // this clock is always there
	return t.Nano()
}
