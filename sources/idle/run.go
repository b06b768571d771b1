package idle

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/holoplot/go-evdev"
	"golang.org/x/sys/unix"
)

const (
	never     = time.Duration(math.MaxInt64)
	firstWait = time.Second // until the next try while something is amiss
	mostWait  = 30 * time.Second
)

// Run watches until ctx ends; it then returns nil. What keeps it from watching is
// told to the log and by Last, and is tried again.
func (w *Watcher) Run(ctx context.Context) error {
	w.Restart("the watch began")
	defer w.amiss(errNotWatched, false)
	for wait := firstWait; ctx.Err() == nil; wait = min(2*wait, mostWait) {
		err := w.session(ctx)
		if err == nil {
			break
		}
		w.amiss(fmt.Errorf("cannot watch the input devices: %w", err), true)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	return nil
}

// session watches until ctx ends or the kernel refuses what every watch needs.
func (w *Watcher) session(ctx context.Context) error {
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("cannot make an eventfd: %w", err)
	}
	folder, err := newFolder()
	if err != nil {
		unix.Close(bell)
		return err
	}
	l := &loop{Watcher: w, bell: bell, folder: folder, known: map[string]*entry{}, looked: -never, events: make([]evdev.InputEvent, 64)}
	defer l.close()
	w.hang(bell)
	defer context.AfterFunc(ctx, w.ring)()
	for ctx.Err() == nil {
		if err := l.round(); err != nil {
			return err
		}
	}
	return nil
}

// hang makes the bell known to those who ring.
func (w *Watcher) hang(bell int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bell = bell
}

// amiss sets why nobody can tell, nil if it is in order, and says so if loud.
func (w *Watcher) amiss(err error, loud bool) {
	w.mu.Lock()
	before := w.trouble
	w.trouble = err
	w.mu.Unlock()
	switch {
	case !loud:
	case err == nil && before != nil && !errors.Is(before, errNotWatched):
		w.opt.Log("the input devices are watched again")
	case err != nil && (before == nil || before.Error() != err.Error()):
		w.opt.Log(err.Error())
	}
}

// loop is what the goroutine that watches has of its own.
type loop struct {
	*Watcher
	bell   int
	folder *folder
	known  map[string]*entry // by name of the node
	events []evdev.InputEvent

	fds  []unix.PollFd // the bell, the folder, then the devices of open
	open []*entry

	met     bool          // a look has succeeded: what comes now was plugged in
	changed bool          // the folder has told of a change since the last look
	looked  time.Duration // when the last look was
	lookAt  time.Duration // when the next one is due
	wait    time.Duration // the last wait for something that is amiss
	resting bool          // the devices are left alone
	rested  time.Duration // since when
}

func (l *loop) close() {
	l.hang(-1)
	for _, e := range l.known {
		e.close()
	}
	l.folder.close()
	unix.Close(l.bell)
}

// round looks if that is due, sleeps, and takes in what woke it.
func (l *loop) round() error {
	now := l.opt.Now()
	if now >= l.lookAt {
		l.look(now)
	}
	if l.resting && now >= l.rested+l.cycle() {
		l.rise(now)
	}
	l.lay()
	_, err := l.poll(l.fds, l.sleep(now))
	l.wakes.Add(1)
	if errors.Is(err, unix.EINTR) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot poll: %w", err)
	}
	now = l.opt.Now()
	if l.fds[0].Revents != 0 {
		empty(l.bell)
	}
	if l.fds[1].Revents != 0 { // a storm of changes is one look in a while
		l.changed, l.lookAt = true, min(l.lookAt, max(now, l.looked+calm))
	}
	l.take(now)
	return nil
}

// lay puts together what to sleep over: a descriptor below zero is left out.
func (l *loop) lay() {
	l.fds, l.open = append(l.fds[:0], pollable(l.bell), pollable(l.folder.fd)), l.open[:0]
	if l.changed {
		l.fds[1].Fd = -1
	}
	for _, e := range l.known {
		if e.dev != nil && !l.resting {
			l.fds, l.open = append(l.fds, pollable(e.dev.fd)), append(l.open, e)
		}
	}
}

func pollable(fd int) unix.PollFd { return unix.PollFd{Fd: int32(fd), Events: unix.POLLIN} }

// sleep returns how long at most; below zero there is no end.
func (l *loop) sleep(now time.Duration) time.Duration {
	until := l.lookAt
	if l.resting {
		until = min(until, l.rested+l.cycle())
	}
	if until == never {
		return -1
	}
	return max(0, until-now)
}

// take empties the queues of the devices that have something, and begins a rest.
func (l *loop) take(now time.Duration) {
	input, woken := false, false
	for i, e := range l.open {
		if l.fds[2+i].Revents == 0 {
			continue
		}
		woken = true
		at, touched, err := e.dev.drain(l.events, l.opt.Now)
		if touched {
			input = true
			l.touched(at, e.device)
		}
		if err != nil {
			l.lose(e, err, now)
		}
	}
	if woken {
		l.rest(now)
	}
	if input {
		l.opt.Hint()
	}
}

// rest leaves the devices alone for a cycle. Their axes are hushed meanwhile: a
// stick that jitters must not flood a button out of the queue.
func (l *loop) rest(now time.Duration) {
	l.resting, l.rested = true, now
	for _, e := range l.known {
		if e.dev != nil && !l.keen.Load() {
			e.dev.hush(true)
		}
	}
}

// rise ends a rest and compares where the axes stand with where they stood.
func (l *loop) rise(now time.Duration) {
	l.resting = false
	input := false
	for _, e := range l.known {
		if e.dev != nil && e.dev.hush(false) && e.dev.sample() {
			input = true
			l.touched(now, e.device)
		}
	}
	if input {
		l.opt.Hint()
	}
}
