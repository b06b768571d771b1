// Package poll waits for files that the runtime's own poller watches too eagerly:
// it wakes a thread for every event of a file, however many come while nobody
// reads. Here a file is watched once: after it is told nothing of it wakes anybody
// until Again.
//
// A Set is an epoll instance inside of the runtime's: waiting takes no thread. It
// is of no use for files that forget what happened when they are asked, such as
// the kernel's pressure triggers: the outer instance asks too.
package poll

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Set is a number of open files to wait for. It is for one goroutine.
type Set struct {
	file  *os.File
	raw   syscall.RawConn
	fd    int
	ready []unix.EpollEvent
}

// most is how many files one Wait tells; the others are told by the next.
const most = 64

// New returns an empty set, for Close.
func New() (*Set, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot make an epoll instance: %w", err)
	}
	err = unix.SetNonblock(fd, true) // the runtime's sign that it may watch a file
	s := &Set{file: os.NewFile(uintptr(fd), "epoll"), fd: fd, ready: make([]unix.EpollEvent, most)}
	if err == nil {
		s.raw, err = s.file.SyscallConn()
	}
	if err == nil {
		err = s.file.SetReadDeadline(time.Time{}) // refused for what it does not watch
	}
	if err != nil {
		s.file.Close()
		return nil, fmt.Errorf("cannot wait for an epoll instance: %w", err)
	}
	return s, nil
}

// Close ends the set. The files in it stay open; they are their owners'.
func (s *Set) Close() { s.file.Close() }

// Add watches an open file until there is something to read, once.
func (s *Set) Add(fd int) error { return s.control(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN) }

// Again watches a file that Wait has told.
func (s *Set) Again(fd int) error { return s.control(unix.EPOLL_CTL_MOD, fd, unix.EPOLLIN) }

// Remove takes a file out of the set, before it is closed.
func (s *Set) Remove(fd int) error { return s.control(unix.EPOLL_CTL_DEL, fd, 0) }

func (s *Set) control(op, fd int, events uint32) error {
	if err := unix.EpollCtl(s.fd, op, fd, &unix.EpollEvent{Events: events | unix.EPOLLONESHOT, Fd: int32(fd)}); err != nil {
		return fmt.Errorf("cannot watch a file: %w", err)
	}
	return nil
}

// past is a deadline that is over.
var past = time.Unix(1, 0)

// Wait returns the files that something happened to: at once if it has already,
// none if nothing did by the time until, which may be the zero time for never. Its
// error is that of ctx, or says that the kernel does not let it wait. All waits of
// a set are to be under the same ctx.
func (s *Set) Wait(ctx context.Context, until time.Time) ([]int, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if out, err := s.look(); len(out) > 0 || err != nil {
		return out, err
	}
	if err := s.file.SetReadDeadline(until); err != nil {
		return nil, fmt.Errorf("cannot bound a wait: %w", err)
	}
	defer context.AfterFunc(ctx, func() { _ = s.file.SetReadDeadline(past) })()
	var out []int
	var failed error
	err := s.raw.Read(func(uintptr) bool {
		out, failed = s.look()
		return len(out) > 0 || failed != nil
	})
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("cannot wait: %w", err)
	}
	return out, failed
}

// look tells which files are ready now.
func (s *Set) look() ([]int, error) {
	for {
		n, err := unix.EpollWait(s.fd, s.ready, 0)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, fmt.Errorf("cannot wait: %w", err)
		}
		out := make([]int, n)
		for i := range out {
			out[i] = int(s.ready[i].Fd)
		}
		return out, nil
	}
}
