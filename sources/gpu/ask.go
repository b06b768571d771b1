package gpu

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/modewatch/modewatch/sources/child"
	"github.com/modewatch/modewatch/sources/gpu/report"
)

const (
	// most is how much the program may print, in bytes: thousands of processes.
	most = 1 << 20
	// mostErrors is how much is read of what it complains.
	mostErrors = 4 << 10
	// reap is how long a killed program may take to end. One that does not hangs
	// in the driver where no signal reaches it.
	reap = 300 * time.Millisecond
	// linger is how long what it started may hold its output open.
	linger = 100 * time.Millisecond
)

// stuck is a program that was killed and has not ended.
type stuck struct {
	pid   int
	since time.Time
}

// ask runs the program once and returns what it printed.
func (s *Source) ask(ctx context.Context) (report.Document, error) {
	if left := s.left(); left != nil {
		return report.Document{}, fmt.Errorf("cannot ask NVML: PID %d, which asked it at %s, hangs in the driver and cannot be killed: a reboot is needed",
			left.pid, left.since.Format(time.TimeOnly))
	}
	ctx, cancel := context.WithTimeout(ctx, s.Within)
	defer cancel()
	c := s.run()
	began := time.Now()
	if err := c.start(); err != nil {
		return report.Document{}, s.notStarted(err)
	}
	select {
	case err := <-c.ended:
		c.kill() // what it left running
		return c.answer(err)
	case <-ctx.Done():
	}
	c.kill()
	took := time.Since(began).Round(time.Millisecond)
	late := time.NewTimer(reap)
	defer late.Stop()
	select {
	case <-c.ended:
		return report.Document{}, fmt.Errorf("cannot ask NVML: it gave no answer in %v: the driver is busy or hangs (see dmesg), or gpus.nvml_timeout is too short", took)
	case <-late.C:
		s.leave(c, began)
		return report.Document{}, fmt.Errorf("cannot ask NVML: it gave no answer in %v, and PID %d hangs in the driver and cannot be killed: a reboot is needed", took, c.pid)
	}
}

func (s *Source) left() *stuck {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stuck
}

// leave remembers a program that cannot be killed until it ends after all. No
// other is started beside it.
func (s *Source) leave(c *run, began time.Time) {
	it := &stuck{c.pid, began}
	s.mu.Lock()
	s.stuck = it
	s.mu.Unlock()
	go func() {
		<-c.ended
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.stuck == it {
			s.stuck = nil
		}
	}()
}

func (s *Source) notStarted(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot ask NVML: there is no %s: install modewatch anew, or set gpus.nvml = \"off\"", s.Program)
	}
	return fmt.Errorf("cannot ask NVML: cannot start %s: %w", s.Program, err)
}

// run is one run of the program.
type run struct {
	cmd       *exec.Cmd
	out, errs bounded
	pid       int
	ended     chan error // how it ended, once
}

func (s *Source) run() *run {
	c := &run{out: bounded{most: most}, errs: bounded{most: mostErrors, cut: true}, ended: make(chan error, 1)}
	c.cmd = exec.Command(s.Program)
	if s.Library != "" {
		c.cmd.Args = append(c.cmd.Args, "--library", s.Library)
	}
	c.cmd.Dir, c.cmd.Env = "/", []string{"PATH=" + child.Path, "LANG=C"}
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.errs
	c.cmd.WaitDelay = linger
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return c
}

// start starts it in a goroutine of its own, which stays on its thread until the
// end: the signal of the parent's death is sent when that thread ends.
func (c *run) start() error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.cmd.Start()
		if err == nil {
			c.pid = c.cmd.Process.Pid
		}
		started <- err
		if err == nil {
			c.ended <- c.cmd.Wait()
		}
	}()
	return <-started
}

// kill ends it and whatever it started.
func (c *run) kill() { _ = syscall.Kill(-c.pid, syscall.SIGKILL) }

// answer reads what a run that has ended printed.
func (c *run) answer(err error) (report.Document, error) {
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it has ended; what it left running held its output
	}
	if c.out.over {
		return report.Document{}, fmt.Errorf("cannot ask NVML: %s printed more than %d bytes", c.cmd.Path, most)
	}
	doc, bad := report.Decode(c.out.text)
	var exit *exec.ExitError
	switch {
	case bad == nil && doc.Error != nil:
		return report.Document{}, explain(*doc.Error)
	case bad == nil && err == nil:
		return doc, nil
	case err == nil:
		return report.Document{}, fmt.Errorf("cannot ask NVML: %s is not of this modewatch: %w", c.cmd.Path, bad)
	case errors.As(err, &exit):
		return report.Document{}, fmt.Errorf("cannot ask NVML: %s ended by %s%s", c.cmd.Path, exit, c.complaint())
	}
	return report.Document{}, fmt.Errorf("cannot ask NVML: %w", err)
}

// complaint is the first line of what it printed on standard error.
func (c *run) complaint() string {
	line, _, _ := bytes.Cut(bytes.TrimSpace(c.errs.text), []byte("\n"))
	if len(line) == 0 {
		return ""
	}
	return ": " + strings.ToValidUTF8(string(line[:min(len(line), 200)]), "?")
}

var errTooMuch = errors.New("too much was printed")

// bounded keeps the first bytes that are written to it. What is more is dropped
// if cut, and refused otherwise.
type bounded struct {
	text []byte
	most int
	cut  bool
	over bool
}

func (b *bounded) Write(p []byte) (int, error) {
	room := min(len(p), b.most-len(b.text))
	b.text = append(b.text, p[:room]...)
	if room < len(p) && !b.cut {
		b.over = true
		return room, errTooMuch
	}
	return len(p), nil
}
