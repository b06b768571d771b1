package procs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/modewatch/modewatch/sources/poll"
)

// mostExits bounds how many processes are waited for, each of which takes an open
// file.
const mostExits = 256

// exits waits for the end of processes by their pidfds, with no thread and no
// goroutine for each. An end is told once all threads have ended and the open
// files are closed; whoever gets the number afterwards is not taken for it.
type exits struct {
	set  *poll.Set
	fds  map[int]int // pidfd by pid
	pids map[int]int // pid by pidfd
}

func newExits(set *poll.Set) *exits { return &exits{set, map[int]int{}, map[int]int{}} }

// errCrowded says that no more processes are waited for.
var errCrowded = fmt.Errorf("cannot wait for the end of more than %d processes", mostExits)

// add waits for a process too. false tells that it has ended already.
func (e *exits) add(pid int) (bool, error) {
	if _, ok := e.fds[pid]; ok {
		return true, nil
	}
	if len(e.fds) >= mostExits {
		return true, errCrowded
	}
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return false, nil
	}
	if err == nil {
		if err = e.set.Add(fd); err != nil {
			unix.Close(fd)
		}
	}
	if err != nil {
		return true, fmt.Errorf("cannot wait for the end of process %d: %w", pid, err)
	}
	e.fds[pid], e.pids[fd] = fd, pid
	return true, nil
}

// drop waits for a process no more.
func (e *exits) drop(pid int) {
	if fd, ok := e.fds[pid]; ok {
		_ = e.set.Remove(fd) // closing it does so too
		unix.Close(fd)
		delete(e.fds, pid)
		delete(e.pids, fd)
	}
}

// ended tells which process a ready file stands for, and forgets it; false for a
// file that is none of these.
func (e *exits) ended(fd int) (int, bool) {
	pid, ok := e.pids[fd]
	e.drop(pid)
	return pid, ok
}

func (e *exits) close() {
	for pid := range e.fds {
		e.drop(pid)
	}
}

// Exits waits until all of pids have ended, and tells ended of each, in its own
// goroutine. It returns nil then, or when ctx ends; an error says which process
// it cannot wait for, without having waited for the others. Its bound is 256.
func Exits(ctx context.Context, pids []int, ended func(pid int)) error {
	set, err := poll.New()
	if err != nil {
		return err
	}
	defer set.Close()
	e := newExits(set)
	defer e.close()
	for _, pid := range pids {
		there, err := e.add(pid)
		if err != nil {
			return err
		}
		if !there {
			ended(pid)
		}
	}
	for len(e.fds) > 0 {
		ready, err := set.Wait(ctx, time.Time{})
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		for _, fd := range ready {
			if pid, ok := e.ended(fd); ok {
				ended(pid)
			}
		}
	}
	return nil
}

// relook is how long what cannot be waited for is taken not to have ended.
const relook = 30 * time.Second

// FirstEnd returns a channel that is closed when one of pids has ended, or when ctx
// ends; where they cannot be waited for, after half a minute, so that whoever waits
// looks again. Nothing is left behind once it is closed.
func FirstEnd(ctx context.Context, pids []int) <-chan struct{} {
	over := make(chan struct{})
	go func() {
		defer close(over)
		if len(pids) == 0 {
			<-ctx.Done()
			return
		}
		first, stop := context.WithCancel(ctx)
		defer stop()
		if Exits(first, pids, func(int) { stop() }) == nil {
			return
		}
		late := time.NewTimer(relook)
		defer late.Stop()
		select {
		case <-late.C:
		case <-ctx.Done():
		}
	}()
	return over
}
