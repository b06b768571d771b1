// Package desired owns the wish on disk: the file desired, which anybody in the
// group may write, wish.json, which remembers whose wish it was and which
// content was already handled, the spool of requests, and
// the holds (D4, D18, D19).
//
// What a look at desired finds, and what follows:
//
//	missing                         restored after the hold time
//	symlink, fifo, device, folder   refused, told once
//	the key handled last            nothing: seen before, or written by ourselves
//	empty                           nothing: a writer is between truncate and write
//	wrong owner, writable by all    refused, told once
//	one of the three words          a wish
//	anything else                   held back for the hold time, then refused, told once
//
// A key is inode, time of modification, size and content, so the same word
// written twice is two wishes and one write that is announced twice is one.
package desired

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// GroupName is the group whose members may wish any mode (D19).
const GroupName = "modewatch"

const (
	wordFile  = "desired"
	wishFile  = "wish.json"
	spoolName = "requests"

	wordMode  = 0o664
	wishMode  = 0o644
	dirMode   = 0o755
	spoolMode = 0o770 // and sticky: nobody renames what another put there
)

// Events is told what was found, always from Watch's goroutine and in order.
type Events struct {
	Wish    func(fsm.Wish)    // somebody else wrote a word into desired
	Command func(fsm.Command) // a request came through the spool
	Bad     func(fsm.Note)    // something was refused, or cannot be watched
}

// Store is the wish on disk. Use New.
type Store struct {
	Dir   string // the run directory
	Owner int    // uid that must own what is trusted; 0 but in tests
	Group int    // gid of GroupName
	// Who describes a live process. With it a request's claim of its process is
	// verified; without it, or if it fails, only the uid of the caller is kept.
	Who func(pid int) (fsm.Caller, error)

	asked chan fsm.Command // by Deliver, for Watch's goroutine

	mu      sync.Mutex
	loaded  bool
	now     mark    // the wish that stands and the key handled last
	healed  uint64  // inode of desired whose owner and mode were put right
	told    string  // the refusal told last, so that it is told once
	pending pending // an unfinished face of desired
	strays  []stray // replaced files into which somebody may still write
}

// New returns the store of the run directory dir; group is the gid of
// GroupName, or 0 where there is no such group.
func New(dir string, group int) *Store {
	return &Store{Dir: filepath.Clean(dir), Group: group, asked: make(chan fsm.Command)}
}

// Deliver has Watch tell of a command in its turn, as if it had come through the
// spool: what is wished for is one order for all. It returns once Watch has taken it,
// or when ctx ends.
func (s *Store) Deliver(ctx context.Context, c fsm.Command) error {
	if err := check(c); err != nil {
		return err
	}
	select {
	case s.asked <- c:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the daemon takes no commands now: %w", ctx.Err())
	}
}

// NewID returns an id for a wish or a request.
func NewID() string { return rand.Text()[:16] }

func (s *Store) path(name string) string { return filepath.Join(s.Dir, name) }

// Submit writes w into desired and wish.json and remembers it, so that Watch
// does not find it. If it fails, as on a full or read-only disk, both files are
// as they were. The caller hands w to the loop (D4).
func (s *Store) Submit(w fsm.Wish) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	// A wish.json that cannot be read is about to be replaced by a good one.
	_ = s.load()
	if err := s.submit(w); err != nil {
		return fmt.Errorf("cannot keep the wish for %s: %w", w.Mode, err)
	}
	return nil
}

// Standing returns the wish that stands on disk, nil if none was ever made. A
// word written while nobody watched is not in it: Watch will tell.
func (s *Store) Standing() (*fsm.Wish, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(); err != nil {
		return nil, err
	}
	return s.now.Wish, nil
}

// Word returns what desired says, "" while it is empty (section 20.1, desired).
func (s *Store) Word() (fsm.Mode, error) {
	c := readWord(s.path(wordFile), s.Owner)
	defer c.close()
	switch {
	case c.missing:
		return "", fmt.Errorf("cannot read %s: it does not exist", s.path(wordFile))
	case c.fault != "":
		return "", fmt.Errorf("cannot read %s: %s", s.path(wordFile), c.fault)
	case c.key.Size == 0:
		return "", nil
	}
	if m, _, ok := parse(c.key); ok {
		return m, nil
	}
	return "", fmt.Errorf("cannot read %s: %s", s.path(wordFile), describe(c.key))
}

// fileWish is the wish of a word found in desired: nobody knows whose it is.
func fileWish(m fsm.Mode) fsm.Wish {
	return fsm.Wish{ID: NewID(), Mode: m, Reason: fsm.ByFile, By: fsm.NoCaller, At: time.Now()}
}
