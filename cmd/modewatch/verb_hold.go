package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/modewatch/modewatch/sources/desired"
)

// exitNoCommand is the exit code of a command that cannot be run, as a shell's.
const exitNoCommand = 127

// holdOptions are the flags of hold.
type holdOptions struct {
	why     string
	span    time.Duration
	release string
}

func holdVerb(f *pflag.FlagSet) runner {
	var o holdOptions
	f.StringVar(&o.why, "why", "", "what for, shown to whoever is refused")
	f.DurationVar(&o.span, "for", 0, "hold for so long, as 2h or 90m, instead of as long as a command")
	f.Lookup("for").DefValue = "" // not to be shown as (0s)
	f.StringVar(&o.release, "release", "", "end the hold `ID`")
	return func(e env, args []string) (int, error) { return runHold(e, o, args) }
}

// runHold keeps this host in its mode while a command runs, and exits as it does
// (D6), or for a time.
func runHold(e env, o holdOptions, command []string) (int, error) {
	if err := o.check(e, command); err != nil {
		return 0, err
	}
	cfg, err := e.load()
	if err != nil {
		return 0, err
	}
	store := filesOf(cfg).store()
	if o.release != "" {
		return 0, e.releaseHold(store, o.release)
	}
	if o.why == "" {
		o.why = strings.Join(command, " ")
	}
	id := desired.NewID()
	held, err := e.hold(store, id, o.why, o.span)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, broken("systemctl start modewatch.service", "%s: no controller has run since the host came up", err)
	case err != nil:
		return 0, askFault(err)
	case o.span > 0:
		e.say("Held until %s. `%s hold --release %s` ends it.", clock(e.now().Add(o.span), e.now()), e.prog, id)
		return 0, nil
	}
	code, err := runHeld(command)
	if end := held.Release(); !errors.Is(end, fs.ErrNotExist) { // else somebody ended it before
		err = errors.Join(err, end)
	}
	return code, err
}

func (o holdOptions) check(e env, command []string) error {
	hint := e.prog + " hold --why rendering -- COMMAND, or " + e.prog + " hold --why rendering --for 2h"
	switch {
	case o.release != "":
		if len(command) > 0 || o.span != 0 || o.why != "" {
			return misuse(e.prog+" hold --release ID", "to end a hold needs nothing but its id")
		}
	case o.span < 0:
		return misuse(hint, "--for %s is not a time to come", o.span)
	case o.span > 0 && len(command) > 0:
		return misuse(hint, "a hold lasts as long as a command or for a time, not both")
	case o.span == 0 && len(command) == 0:
		return misuse(hint, "hold needs a command, or --for")
	case o.span > 0 && o.why == "":
		return misuse(hint, "say --why, for those who will be refused")
	}
	return nil
}

func (e env) releaseHold(s *desired.Store, id string) error {
	err := s.Unhold(id)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return broken(e.prog+" status lists the holds", "there is no hold %q", id)
	case errors.Is(err, fs.ErrPermission):
		return notAllowed("use sudo, or ask who made it", "the hold %s is not yours", id)
	}
	return err
}

// runHeld runs a command in our place: what the terminal sends reaches it as well,
// and what is sent to us alone is passed on.
func runHeld(command []string) (int, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	sent := make(chan os.Signal, 4)
	signal.Notify(sent, os.Interrupt, termination, syscall.SIGHUP)
	defer signal.Stop(sent)
	if err := cmd.Start(); err != nil {
		return 0, fault{code: exitNoCommand, text: "cannot run the command: " + err.Error(), hint: "this host is not held any more"}
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-sent:
			if s != os.Interrupt { // the terminal sends that one to both
				_ = cmd.Process.Signal(s)
			}
		case err := <-ended:
			return exitOf(err)
		}
	}
}

// exitOf is the exit code of a command that ended, as a shell tells it.
func exitOf(err error) (int, error) {
	var end *exec.ExitError
	if !errors.As(err, &end) {
		return 0, err
	}
	if status, ok := end.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return end.ExitCode(), nil
}
