package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/pflag"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/config"
	"github.com/modewatch/modewatch/sources/desired"
)

func requestVerb(f *pflag.FlagSet) runner {
	detach := waitFlags(f)
	return func(e env, args []string) (int, error) {
		m, err := parseMode(args[0])
		if err != nil {
			return 0, err
		}
		return e.ask(fsm.Command{Verb: fsm.VerbRequest, Mode: m}, detach())
	}
}

func reconcileVerb(f *pflag.FlagSet) runner {
	detach := waitFlags(f)
	return func(e env, _ []string) (int, error) {
		return e.ask(fsm.Command{Verb: fsm.VerbReconcile}, detach())
	}
}

// waitFlags declares --wait and --detach. To wait is the default.
func waitFlags(f *pflag.FlagSet) (detached func() bool) {
	wait := f.Bool("wait", true, "wait for the end and exit as it ended")
	detach := f.Bool("detach", false, "ask, and return at once")
	return func() bool { return *detach || !*wait }
}

// ask has a wish followed: by the daemon where one runs, else in the process
// itself where that is mode-controller@, else by starting mode-controller@
// (D18). It returns the exit code of the attempt.
func (e env) ask(c fsm.Command, detach bool) (int, error) {
	cfg, err := e.load()
	if err != nil {
		return 0, err
	}
	controller := e.getenv("MODEWATCH_CONTROLLER") == "1"
	if controller && e.getenv("JOURNAL_STREAM") != "" {
		e.quiet = true // the journal has the whole story already
	}
	f := filesOf(cfg)
	switch v, live := f.live(); {
	case live && v.Once:
		return 0, locked(e, v)
	case live:
		return e.askDaemon(f, c, detach)
	}
	if c.Verb == fsm.VerbReconcile {
		if c.Mode, err = e.standing(f); err != nil {
			return 0, err
		}
	}
	if controller {
		return e.attemptHere(f, c)
	}
	if c.Verb == fsm.VerbForce {
		return 0, noForce("systemctl start modewatch.service", "force needs the daemon, which is not running")
	}
	return e.startController(f, c.Mode, detach)
}

// locked is the fault of a wish while an attempt without daemon is under way
// (exit 43).
func locked(e env, v view) error {
	what := "another attempt is under way"
	if r := v.Snapshot.Attempt; r != nil {
		what += ", " + course(*r)
	}
	return fault{code: fsm.ExitLocked, text: fmt.Sprintf("%s, by PID %d", what, v.Snapshot.PID),
		hint: fmt.Sprintf("%s status shows it, %s cancel takes it back", e.prog, e.prog)}
}

// standing is the mode that reconcile works for.
func (e env) standing(f files) (fsm.Mode, error) {
	want, err := f.desired()
	if err == nil && want == "" {
		err = misuse(e.prog+" request MODE wishes for one", "no mode is wished for, so that there is nothing to reconcile")
	}
	return want, err
}

// askDaemon puts the command into the spool and follows what becomes of it.
func (e env) askDaemon(f files, c fsm.Command, detach bool) (int, error) {
	c.ID, c.By = desired.NewID(), self()
	w := e.follower(f) // before the request: what ends from now on may be its
	w.wish, w.ours = c.ID, func(a fsm.Attempt) bool { return a.Serves(c.ID) }
	w.known = func(s fsm.Snapshot) bool {
		return s.Wish != nil && s.Wish.ID == c.ID || s.Attempt != nil && s.Attempt.Wish.ID == c.ID
	}
	id, err := e.deliver(f, c)
	if err != nil {
		return 0, askFault(err)
	}
	c.ID, w.wish = id, id
	if detach {
		e.say("Asked for. `%s status` shows how it gets on.", e.prog)
		return 0, nil
	}
	a, err := e.follow(w)
	return e.result(a, err)
}

func askFault(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return notAllowed(fmt.Sprintf("use sudo, or have root add you to group %s (usermod -aG %s USER) and log in again", desired.GroupName, desired.GroupName),
			"you may not ask the daemon for anything: you are not in group %s", desired.GroupName)
	}
	return err
}

// attemptHere makes the attempt in this process.
func (e env) attemptHere(f files, c fsm.Command) (int, error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, termination)
	defer stop()
	w := fsm.Wish{ID: desired.NewID(), Mode: c.Mode, Reason: fsm.ByRequest, By: self(), At: e.now(), Force: c.Verb == fsm.VerbForce}
	code := e.once(ctx, e, w)
	last, err := f.last()
	if err != nil || last == nil || !last.Serves(w.ID) {
		return code, err // it has told why there is no record
	}
	return code, e.tellEnd(*last)
}

// startController has systemd run mode-controller@MODE.service and follows it.
func (e env) startController(f files, m fsm.Mode, detach bool) (int, error) {
	began, unit := e.now(), controllerUnit(m)
	j, err := e.start(context.Background(), unit)
	if err != nil {
		return 0, err
	}
	defer j.close()
	if detach {
		e.say("Started %s. `%s status` shows how it gets on.", unit, e.prog)
		return 0, nil
	}
	w := e.follower(f)
	w.over, w.ours = j.over(), func(a fsm.Attempt) bool { return a.To == m && a.Begun.After(began) }
	a, err := e.follow(w)
	if w.job == "" {
		return e.result(a, err)
	}
	code, exitErr := j.exit(context.Background(), w.job)
	switch {
	case exitErr != nil && err == nil:
		return e.result(a, nil) // the unit was stopped, as cancel does, but its record stands
	case exitErr != nil:
		return 0, exitErr
	case err != nil:
		return 0, fault{code: cmp.Or(code, exitError), text: fmt.Sprintf("%s ended with exit code %d: %v", unit, code, err),
			hint: "journalctl -u " + unit + " tells more"}
	}
	return code, e.tellEnd(a)
}

// follow waits, and lets Ctrl-C end the wait alone.
func (e env) follow(w *follower) (fsm.Attempt, error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	return w.wait(ctx)
}

// result tells the end of an attempt and returns its exit code.
func (e env) result(a fsm.Attempt, err error) (int, error) {
	if errors.As(err, &errDetached{}) {
		fmt.Fprintf(e.stderr, "%s: detached; the attempt goes on. %s status shows it, %s cancel takes it back.\n", e.prog, e.prog, e.prog)
		return exitDetached, nil
	}
	if err != nil {
		return 0, err
	}
	return a.Exit, e.tellEnd(a)
}

// tellEnd prints how an attempt ended, why, and what to do about it.
func (e env) tellEnd(a fsm.Attempt) error {
	if e.asJSON {
		return e.printJSON(a)
	}
	p := e.page(0)
	p.end(a)
	return e.show(p)
}

func (p *page) end(a fsm.Attempt) {
	p.line(p.paintOutcome(a.Outcome, ended(a)))
	bad := refusals(a)
	p.reasons(bad)
	if len(bad) == 0 && a.Cause != "" {
		p.hang("  ", a.Cause)
	}
	if len(a.Bypassed) > 0 {
		p.hang("  ", p.warn("forced")+", past "+strings.Join(a.Bypassed, ", "))
	}
	for _, s := range a.Steps {
		if s.Undo && s.Result != "done" {
			p.hang("  ", fmt.Sprintf("not taken back: %s: %s", names{}.doing(s.Op), s.Cause))
		}
	}
	if a.Outcome == fsm.Blocked {
		return // nothing has changed, so what deviates did so before
	}
	for _, d := range a.Degraded {
		p.hang("  "+p.warn("degraded")+"  ", d.What+": "+d.Evidence)
	}
}

// filesOf names the files of a configuration.
func filesOf(cfg config.Config) files {
	return files{run: cfg.RunDir, lib: cfg.LibDir}
}
