package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/guards"
	"github.com/modewatch/modewatch/internal/config"
	"github.com/modewatch/modewatch/internal/engine"
)

// overview is all that status tells, and its JSON document.
type overview struct {
	Schema     int             `json:"schema"`
	At         time.Time       `json:"at"`
	State      fsm.State       `json:"state"`
	Since      *time.Time      `json:"since,omitempty"` // of the state; a daemon alone knows it
	Current    fsm.State       `json:"current"`         // the observed word of section 23.2
	Mode       fsm.Mode        `json:"mode"`
	Evidence   []string        `json:"evidence"`
	Degraded   []fsm.Deviation `json:"degraded"`
	Desired    fsm.Mode        `json:"desired,omitempty"`
	Wish       *fsm.Wish       `json:"wish,omitempty"`
	Reconcile  bool            `json:"reconcile_needed"`
	Attempt    *fsm.Running    `json:"attempt,omitempty"`
	Last       *fsm.Attempt    `json:"last,omitempty"`
	Waits      string          `json:"waits,omitempty"` // what happens by itself, once what may
	Blocking   []fsm.Verdict   `json:"blocking"`
	Holds      []fsm.Hold      `json:"holds"`
	Notes      []fsm.Note      `json:"notes,omitempty"`
	Controller controller      `json:"controller"`
}

// controller tells who keeps the state.
type controller struct {
	Alive  bool `json:"alive"`
	PID    int  `json:"pid,omitempty"`
	Daemon bool `json:"daemon"` // false: one attempt of mode-controller@
}

func runStatus(e env, _ []string) (int, error) {
	cfg, err := e.load()
	if err != nil {
		return 0, err
	}
	v, err := e.see(cfg)
	if err != nil {
		return 0, err
	}
	o := overviewOf(v, e.now())
	if o.Holds, err = filesOf(cfg).holds(); err != nil {
		o.Notes = append(o.Notes, fsm.Note{What: fsm.NoteSource, Text: err.Error(), At: o.At})
	}
	o.Holds = list(o.Holds)
	if o.Reconcile && o.Attempt == nil && o.Wish != nil {
		o.Blocking = e.blockingNow(cfg, *o.Wish)
	}
	if e.asJSON {
		return 0, e.printJSON(o)
	}
	p := e.page(12)
	p.overview(o, e.now())
	p.asRoot(o.Blocking, os.Geteuid())
	return 0, e.show(p)
}

// overviewOf puts together what is known without judging anything.
func overviewOf(v view, now time.Time) overview {
	s := v.Snapshot
	o := overview{Schema: fsm.Schema, At: now, State: v.state(), Current: v.current(), Mode: s.Observation.Mode,
		Evidence: s.Observation.Evidence, Degraded: s.Observation.Degraded, Desired: v.Desired, Wish: s.Wish,
		Attempt: s.Attempt, Last: s.Last, Waits: s.Waits, Notes: s.Notes, Blocking: []fsm.Verdict{},
		Controller: controller{Alive: v.Live, Daemon: v.Live && !v.Once}}
	o.Holds = []fsm.Hold{}
	o.Degraded, o.Evidence = list(o.Degraded), list(o.Evidence)
	if v.Live {
		o.Since, o.Controller.PID = &s.Since, s.PID
	}
	if want := v.wanted(); want != "" {
		o.Reconcile = want != s.Observation.Mode || len(fsm.Unmet(s.Observation)) > 0
	}
	return o
}

// blockingNow judges afresh what keeps the wish from being followed.
func (e env) blockingNow(cfg config.Config, w fsm.Wish) []fsm.Verdict {
	host, done := e.host(cfg)
	defer done()
	bad := guards.Blocking(engine.Look(context.Background(), host, cfg.Policy, w).Verdicts)
	return list(bad)
}

func (p *page) overview(o overview, now time.Time) {
	state := p.strong(string(o.State))
	if o.Since != nil {
		state += ", " + since(*o.Since, now)
	}
	p.row("state", state)
	p.observed("observed", fsm.Observation{Mode: o.Mode, Evidence: o.Evidence, Degraded: o.Degraded})
	p.wish(o, now)
	p.attempt(o.Attempt, now)
	p.lastAttempt(o.Last, now)
	if o.Last != nil && len(o.Blocking) == 0 { // else those of now say more
		p.causes(*o.Last)
	}
	p.blocking(o)
	for _, line := range holdLines(o.Holds, now) {
		p.row("held", p.warn(line))
	}
	for _, n := range o.Notes {
		p.row("note", fmt.Sprintf("%s at %s", n.Text, clock(n.At, now)))
	}
	p.row("controller", p.controller(o.Controller))
}

// blocking tells what keeps the wish from being followed now.
func (p *page) blocking(o overview) {
	for _, v := range o.Blocking {
		p.row("blocking", fmt.Sprintf("%s: %s", p.bad(guardCode(v)), v.Reason))
		p.row("", p.dim("→ "+advice(v)))
	}
	if o.Reconcile && o.Attempt == nil && o.Wish != nil && len(o.Blocking) == 0 {
		p.row("blocking", p.good("nothing")+" is in the way now")
	}
}

// observed tells the mode, the evidence line by line, and what deviates.
func (p *page) observed(label string, o fsm.Observation) {
	word := p.strong(string(o.Mode))
	if o.Mode == fsm.Unknown {
		word = p.bad(string(o.Mode))
	}
	p.row(label, word)
	for _, line := range o.Evidence {
		p.row("", p.dim(line))
	}
	for _, d := range o.Degraded {
		p.row("degraded", p.warn(d.What)+": "+d.Evidence)
	}
}

func (p *page) wish(o overview, now time.Time) {
	switch {
	case o.Wish != nil:
		p.row("wish", fmt.Sprintf("%s, %s at %s", p.strong(string(o.Wish.Mode)), asked(*o.Wish), clock(o.Wish.At, now)))
	case o.Desired != "":
		p.row("wish", p.strong(string(o.Desired)))
	default:
		p.row("wish", "none")
		return
	}
	switch {
	case !o.Reconcile:
		p.row("", p.good("met"))
	case o.Attempt != nil:
		p.row("", "being followed")
	case o.Waits != "":
		p.row("", p.warn("not met yet"))
	default:
		p.row("", p.warn("not met")+": `modewatch reconcile` tries again")
	}
	if o.Waits != "" {
		p.row("waits for", o.Waits)
		p.row("", "`modewatch cancel` gives it up")
	}
}

func (p *page) attempt(r *fsm.Running, now time.Time) {
	if r == nil {
		return
	}
	p.row("under way", fmt.Sprintf("%s, begun %s ago", course(*r), span(now.Sub(r.Begun))))
	p.row("", progress(*r, now))
	if r.Phase == fsm.Before {
		p.row("", "`modewatch cancel` takes it back")
	}
}

func (p *page) lastAttempt(a *fsm.Attempt, now time.Time) {
	if a == nil {
		return
	}
	p.row("last", p.paintOutcome(a.Outcome, ended(*a)))
	p.row("", fmt.Sprintf("at %s after %s, %s", clock(a.Ended, now), took(a.Ended.Sub(a.Begun)), asked(a.Wish)))
	for _, s := range a.Steps {
		p.step(s)
	}
}

// step tells a step that was made: how long it took, what was done, and what of that
// did not go well.
func (p *page) step(s fsm.StepResult) {
	span := took(s.Ended.Sub(s.Began))
	text := pad(span, 8) + span + "  "
	if s.Undo {
		text += "taken back: "
	}
	text += names{}.doing(s.Op)
	if s.Result != "done" {
		text += ": " + p.bad(s.Result)
	}
	p.row("", text)
}

// causes tells why an attempt did not reach its mode: each guard that refused,
// or the step that failed.
func (p *page) causes(a fsm.Attempt) {
	bad := refusals(a)
	for _, v := range bad {
		p.row("", fmt.Sprintf("%s: %s", p.warn(guardCode(v)), v.Reason))
	}
	if len(bad) == 0 && a.Cause != "" {
		p.row("", a.Cause)
	}
}

func (p *page) controller(c controller) string {
	switch {
	case !c.Alive:
		return p.warn("not running") + "; what stands here was observed just now"
	case c.Daemon:
		return fmt.Sprintf("running, PID %d", c.PID)
	}
	return fmt.Sprintf("no daemon; PID %d makes this one attempt", c.PID)
}
