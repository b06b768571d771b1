package notify

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Beat says when Alive is to be called, from now on until ctx ends; nil, which never
// says it, if systemd has no watchdog for this process. Beats that nobody takes
// become one.
//
// It is a timer of the kernel's. A process that rests in epoll is woken from a
// long sleep a little late, and the runtime, whose own timer would then be due,
// looks for somebody to blame: fifty context switches a beat, where five do.
func Beat(ctx context.Context) (<-chan struct{}, error) {
	d := Interval()
	if d == 0 {
		return nil, nil
	}
	return beats(ctx, d)
}

func beats(ctx context.Context, every time.Duration) (<-chan struct{}, error) {
	timer, err := periodic(every)
	if err != nil {
		return nil, fmt.Errorf("cannot keep the time for the watchdog: %w", err)
	}
	due := make(chan struct{}, 1)
	go func() {
		defer timer.Close()
		defer context.AfterFunc(ctx, func() { _ = timer.Close() })() // wakes the read
		expired := make([]byte, 8)
		forward(func() error { _, err := timer.Read(expired); return err }, due)
	}()
	return due, nil
}

// forward sends a beat each time that wait returns, until it fails: at the end or,
// which cannot be, before it, and systemd would then miss the ping.
func forward(wait func() error, due chan<- struct{}) {
	for wait() == nil {
		select {
		case due <- struct{}{}:
		default:
		}
	}
}

// periodic is a timer that can be read each time that it has expired.
func periodic(every time.Duration) (*os.File, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	span := unix.NsecToTimespec(int64(every))
	if err := unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Interval: span, Value: span}, nil); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "timerfd"), nil
}
