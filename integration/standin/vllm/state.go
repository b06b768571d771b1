package main

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
)

// state is what the server pretends. It is set by lines of "KEY=VALUE".
type state struct {
	mu  sync.Mutex
	now told
}

// told is what the server was told to pretend.
type told struct {
	running, waiting int
	ready, drain     time.Time
	broken, hang     bool
}

// view is what a state looks like at one moment.
type view struct {
	running, waiting    int
	ready, broken, hang bool
}

func (s *state) look(now time.Time) view {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.now
	v := view{running: t.running, waiting: t.waiting, ready: !now.Before(t.ready), broken: t.broken, hang: t.hang}
	if !t.drain.IsZero() && !now.Before(t.drain) {
		v.running, v.waiting = 0, 0
	}
	return v
}

// set reads lines and changes the state by all of them or, with an error, by none.
func (s *state) set(from io.Reader, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.now
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := next.set(line, now); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("cannot read the control: %w", err)
	}
	s.now = next
	return nil
}

func (t *told) set(line string, now time.Time) (err error) {
	key, value, _ := strings.Cut(line, "=")
	switch key {
	case "running":
		t.drain = time.Time{}
		t.running, err = strconv.Atoi(value)
	case "waiting":
		t.drain = time.Time{}
		t.waiting, err = strconv.Atoi(value)
	case "ready_after":
		t.ready, err = after(value, now)
	case "drain_after":
		t.drain, err = after(value, now)
	case "broken":
		t.broken, err = strconv.ParseBool(value)
	case "hang":
		t.hang, err = strconv.ParseBool(value)
	default:
		return fmt.Errorf("cannot set %q: no such key", key)
	}
	if err != nil {
		return fmt.Errorf("cannot set %s: %w", key, err)
	}
	return nil
}

// after is the moment a duration such as 1.5s from now.
func after(value string, now time.Time) (time.Time, error) {
	d, err := time.ParseDuration(value)
	return now.Add(d), err
}
