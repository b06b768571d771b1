// Package child runs programs that may hang, print without end, or leave others
// running: each in a process group of its own that ends with its context, and with
// the daemon (D16: what can hang runs out of process, with a deadline).
package child

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"
)

// Path is where programs are looked for, whatever the daemon's own environment is.
const Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin"

// linger is how long what a program left running may hold its output open.
const linger = 200 * time.Millisecond

// Command is a program, its arguments and what its environment has besides PATH
// and LANG.
type Command struct {
	File string // a path, or a name that is looked for in Path
	Args []string
	Env  []string
}

// Result is what a program that ended by itself had to say.
type Result struct {
	Code           int
	Stdout, Stderr []byte // no more of each than was asked for
}

// Run waits for the program and returns how it ended, with the first limit bytes
// of either output. An error means that there is no result: it could not be
// started, was killed by a signal, or did not end before ctx did.
func (c Command) Run(ctx context.Context, limit int) (Result, error) {
	out, errs := head{limit: limit}, head{limit: limit}
	cmd, err := c.command(ctx)
	if err != nil {
		return Result{}, err
	}
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	sweep(cmd)
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it has ended; what it left running held its output
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.Exited():
		return Result{exit.ExitCode(), out.text, errs.text}, nil
	case err != nil && ctx.Err() != nil:
		return Result{}, fmt.Errorf("%s did not answer: %w", c.File, context.Cause(ctx))
	case err != nil:
		return Result{}, fmt.Errorf("%s failed: %w", c.File, err)
	}
	return Result{0, out.text, errs.text}, nil
}

// Collect is Run for a program that writes much, and line by line: what it says goes
// to memory, so that nobody is woken for each line. Its result has no stderr; an
// exit code other than 0 is an error with what was said there. A program that says
// more than limit bytes finds that it cannot write them.
func (c Command) Collect(ctx context.Context, limit int64) ([]byte, error) {
	out, err := memory(limit)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	errs := head{limit: 1 << 10}
	cmd, err := c.command(ctx)
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = out, &errs
	err = cmd.Run()
	sweep(cmd)
	switch said := Line(errs.text); {
	case err != nil && ctx.Err() != nil:
		return nil, fmt.Errorf("%s did not answer: %w", c.File, context.Cause(ctx))
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return nil, fmt.Errorf("%s failed: %w%s", c.File, err, before(": ", said))
	}
	return written(out)
}

// Follow hands the program's output to read, and ends the program when that
// returns, or with ctx. It returns the error of read; the end of the output is
// for read to tell. What the program says on stderr is added to an error.
func (c Command) Follow(ctx context.Context, read func(io.Reader) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd, err := c.command(ctx)
	if err != nil {
		return err
	}
	errs := head{limit: 1 << 10}
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("cannot read from %s: %w", c.File, err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot run %s: %w", c.File, err)
	}
	err = read(out)
	cancel()
	_ = cmd.Wait() // it was killed, or has ended by itself: read knows what it said
	sweep(cmd)
	if said := Line(errs.text); err != nil && said != "" {
		return fmt.Errorf("%w (%s)", err, said)
	}
	return err
}

// command is the program, found, in a process group that is killed with ctx.
func (c Command) command(ctx context.Context) (*exec.Cmd, error) {
	file, err := find(c.File)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, file, c.Args...)
	cmd.Dir = "/"
	cmd.Env = append([]string{"PATH=" + Path, "LANG=C"}, c.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = linger
	return cmd, nil
}

// sweep kills what the program left running of its group.
func sweep(cmd *exec.Cmd) {
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // there is nothing left, mostly
	}
}
