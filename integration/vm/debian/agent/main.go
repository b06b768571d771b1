// Command agent runs in the virtual machine and does there what the test on the other
// end of a serial port asks for (package wire).
package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/modewatch/modewatch/integration/vm/debian/wire"
)

func main() {
	p, err := open(os.Args[1])
	if err != nil {
		log.Fatalf("agent: cannot open the port: %v", err)
	}
	serve(p)
}

// port is the serial port, which is at its end while nobody listens.
type port struct {
	file *os.File
	mu   sync.Mutex
	turn chan os.Signal // told when the other end is opened or closed
}

func open(path string) (*port, error) {
	// Without the poller: reads wait, as there is nothing else to wait for.
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	p := &port{file: os.NewFile(uintptr(fd), path), turn: make(chan os.Signal, 1)}
	signal.Notify(p.turn, unix.SIGIO)
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETOWN, os.Getpid()); err != nil {
		return nil, err
	}
	_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFL, unix.O_RDWR|unix.O_ASYNC)
	return p, err
}

func (p *port) Read(b []byte) (int, error) {
	for {
		n, err := p.file.Read(b)
		if n > 0 || err != nil && err != io.EOF {
			return n, err
		}
		<-p.turn
	}
}

func (p *port) answer(a wire.Answer, body []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := wire.Write(p.file, a, body); err != nil {
		log.Fatalf("agent: cannot answer: %v", err)
	}
}

// serve does what is asked, several things at once if so asked, for ever.
func serve(p *port) {
	for {
		var q wire.Request
		body, err := wire.Read(p, &q)
		if err != nil {
			log.Fatalf("agent: cannot read: %v", err)
		}
		go func() {
			a, body := do(q, body)
			a.ID = q.ID
			p.answer(a, body)
		}()
	}
}

func do(q wire.Request, body []byte) (wire.Answer, []byte) {
	var err error
	switch q.Op {
	case wire.Run:
		return run(q)
	case wire.Put:
		err = put(q, body)
	case wire.Clock:
		now := unix.NsecToTimeval(q.Now.UnixNano())
		err = unix.Settimeofday(&now)
	default:
		err = errors.New("no such thing: " + string(q.Op))
	}
	if err != nil {
		return wire.Answer{Error: err.Error()}, nil
	}
	return wire.Answer{}, nil
}

// put writes a file whole or not at all.
func put(q wire.Request, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(q.Path), 0o755); err != nil {
		return err
	}
	temp := q.Path + ".lab"
	if err := os.WriteFile(temp, data, 0o600); err != nil {
		return err
	}
	if err := os.Chmod(temp, os.FileMode(q.Mode)); err != nil {
		return err
	}
	return os.Rename(temp, q.Path)
}

// run runs a command to its end or the limit.
func run(q wire.Request) (wire.Answer, []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), q.Limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, q.Argv[0], q.Argv[1:]...)
	cmd.Dir = "/root"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err := cmd.Run()
	a := wire.Answer{Out: out.Len()}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		a.Error = "it did not end in " + q.Limit.String()
	case err != nil && !errors.As(err, &exit):
		a.Error = err.Error()
	default:
		a.Code = code(cmd.ProcessState)
	}
	return a, append(out.Bytes(), complaints.Bytes()...)
}

// code is 128 + the signal's number for a command that a signal ended.
func code(s *os.ProcessState) int {
	if status, ok := s.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return s.ExitCode()
}
