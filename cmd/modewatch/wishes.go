package main

import (
	"os/user"
	"strconv"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/engine"
	"github.com/modewatch/modewatch/sources/desired"
)

// events hands what the store finds to the engine.
func (c *owner) events(eng *engine.Engine) desired.Events {
	return desired.Events{Wish: eng.Submit, Bad: eng.Note, Command: func(cmd fsm.Command) { c.command(eng, cmd) }}
}

// command turns a request of the spool into a wish, and keeps that wish on disk
// before it acts (D4).
func (c *owner) command(eng *engine.Engine, cmd fsm.Command) {
	w := fsm.Wish{ID: cmd.ID, Mode: cmd.Mode, Reason: fsm.ByRequest, By: cmd.By, At: time.Now(), Force: cmd.Verb == fsm.VerbForce}
	switch cmd.Verb {
	case fsm.VerbCancel:
		eng.Cancel(cmd.By)
		return
	case fsm.VerbReconcile:
		standing, err := c.store.Standing()
		if err != nil || standing == nil {
			w.Mode = eng.Snapshot().Observation.Mode
			eng.Reject(w, "there is no wish to reconcile with")
			return
		}
		w.Mode = standing.Mode
	}
	if err := c.store.Submit(w); err != nil {
		eng.Reject(w, err.Error())
		return
	}
	eng.Submit(w)
}

// keepBootWish stores the wish of a boot, unless somebody wrote a word before
// the daemon ever ran: that one is about to be found, and counts.
func (c *owner) keepBootWish(w fsm.Wish) {
	if word, err := c.store.Word(); err != nil || word == "" {
		c.report(c.store.Submit(w))
	}
}

// keep stores a wish that nobody made, in place of another only if that still stands.
func (c *owner) keep(w fsm.Wish, instead string) {
	if instead != "" {
		standing, err := c.store.Standing()
		if err != nil || standing == nil || standing.ID != instead {
			return
		}
		if word, err := c.store.Word(); err != nil || word != standing.Mode {
			return // somebody has written it, which is about to be found
		}
	}
	c.report(c.store.Submit(w))
}

// operators is the gid of the group whose members may wish by file; 0, which is
// root's, where there is no such group.
func operators() int {
	g, err := user.LookupGroup(desired.GroupName)
	if err != nil {
		return 0
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return 0
	}
	return gid
}
