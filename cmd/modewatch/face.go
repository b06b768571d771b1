package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sinks/bus"
	"github.com/modewatch/modewatch/sources/child"
	"github.com/modewatch/modewatch/sources/desired"
)

// face is what stands behind the service on the bus (sinks/bus).
type face struct {
	store *desired.Store
	flags []string // those that the daemon was started with
}

func (e env) face(c *owner) face {
	flags := []string{"--json", "--config", e.configFile}
	if e.runDir != "" {
		flags = append(flags, "--run-dir", e.runDir)
	}
	if e.libDir != "" {
		flags = append(flags, "--lib-dir", e.libDir)
	}
	return face{c.store, flags}
}

// Do puts a command in its turn among those that come by file.
func (f face) Do(ctx context.Context, c fsm.Command) error {
	if c.Verb == bus.Reload {
		return syscall.Kill(os.Getpid(), syscall.SIGHUP)
	}
	return f.store.Deliver(ctx, c)
}

// mostAnswer bounds a document, in bytes.
const mostAnswer = 1 << 20

// Ask has a process of its own answer: a look may hang, and takes memory that the
// daemon at rest does not have.
func (f face) Ask(ctx context.Context, verb string, args ...string) ([]byte, error) {
	cmd := child.Command{File: "/proc/self/exe", Args: append(append([]string{verb}, args...), f.flags...)}
	r, err := cmd.Run(ctx, mostAnswer)
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot tell: %w", err)
	case len(r.Stdout) == 0:
		return nil, fmt.Errorf("cannot tell: %s", child.Line(r.Stderr))
	case len(r.Stdout) == mostAnswer:
		return nil, errors.New("cannot tell: the answer is too long")
	}
	return r.Stdout, nil // with an exit code, which is in the document
}

// Who describes a live process.
func (f face) Who(pid int) (fsm.Caller, error) { return f.store.Who(pid) }

// Hold keeps this host in its mode for a connection.
func (f face) Hold(h fsm.Hold) error { return f.store.HoldFor(h) }

// Release ends a hold.
func (f face) Release(id string) error { return f.store.Unhold(id) }

// Clients lists those of connections.
func (f face) Clients() ([]fsm.Hold, error) { return f.store.ClientHolds() }
