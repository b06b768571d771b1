package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/engine"
	"github.com/modewatch/modewatch/sinks/runfiles"
)

// runOnce makes one attempt in this process, for mode-controller@MODE.service
// where no daemon runs (D18), and returns the exit code of its outcome. A ctx
// that ends cancels the attempt, which is then walked back.
func runOnce(ctx context.Context, e env, w fsm.Wish) int {
	cfg, err := e.load()
	if err != nil {
		return e.fail(err)
	}
	boot, err := runfiles.BootID("")
	if err != nil {
		return e.fail(err)
	}
	lock, err := dirsOf(cfg).Lock(controllerName(w.Mode), boot, time.Now())
	if err != nil {
		return e.lockFault(err)
	}
	defer lock.Release()
	c, err := newOwner(cfg, boot)
	if err != nil {
		return e.fail(err)
	}
	if err := c.store.Submit(w); err != nil {
		return e.fail(err)
	}
	c.options.Wish = &w
	signal.Ignore(syscall.SIGHUP) // there is nothing to reload
	running, stop := context.WithCancel(context.Background())
	defer stop()
	var mine *fsm.Attempt
	c.options.Ended = func(a fsm.Attempt) {
		if a.Serves(w.ID) {
			mine = &a
			go c.engine.Load().Finish() // the loop, which calls this, takes it; a repair may follow
		}
	}
	_, err = c.run(running, e, nil, func(_ context.Context, eng *engine.Engine) {
		eng.Submit(w)
		context.AfterFunc(ctx, func() { c.leave(eng, stop) })
	})
	switch {
	case err != nil && mine == nil:
		return e.fail(err)
	case mine == nil:
		return e.fail(fmt.Errorf("cannot tell how the attempt to %s ended: it was stopped before", w.Mode))
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
	}
	return mine.Exit
}

// leave takes the attempt back, or leaves it as it is where the host goes down.
func (c *owner) leave(eng *engine.Engine, stop func()) {
	if c.going.Load() {
		stop()
		return
	}
	eng.Cancel(self())
}

func controllerName(m fsm.Mode) string { return "mode-controller@" + string(m) + ".service" }
