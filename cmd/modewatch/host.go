package main

import (
	"context"
	"errors"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/config"
	"github.com/modewatch/modewatch/internal/engine"
	"github.com/modewatch/modewatch/sinks/act"
	"github.com/modewatch/modewatch/sources"
	"github.com/modewatch/modewatch/sources/bus"
	"github.com/modewatch/modewatch/sources/desired"
	"github.com/modewatch/modewatch/sources/idle"
	"github.com/modewatch/modewatch/sources/inference"
	"github.com/modewatch/modewatch/sources/load"
	"github.com/modewatch/modewatch/sources/logind"
	"github.com/modewatch/modewatch/sources/placement"
	"github.com/modewatch/modewatch/sources/procs"
	"github.com/modewatch/modewatch/sources/siteguards"
	"github.com/modewatch/modewatch/sources/units"
)

// host is this machine: the probes of all sources, and the actor.
type host struct {
	*sources.Observer
	bus   *bus.Bus
	units *units.Systemd
	actor *act.Actor
	input *idle.Watcher // tells something while the daemon runs it
}

// ears is what the sources tell by themselves.
type ears struct {
	hint func(fsm.Subject)
	down func(bool)   // the host goes down, or does not after all
	log  func(string) // what an action had to resort to
}

// deaf is for commands that only look.
var deaf = ears{hint: func(fsm.Subject) {}, down: func(bool) {}, log: func(string) {}}

// newHost wires the sources and the actor of this machine.
func newHost(cfg config.Config, e ears) *host {
	p := cfg.Policy
	h := &host{bus: &bus.Bus{}, actor: act.New(p, act.WithLog(e.log), act.WithJobs(func() { e.hint(fsm.AboutHost | fsm.AboutUnits) }))}
	h.units = units.New(h.bus, p.Units.Watched(), p.Units.Switch, e.hint)
	l := logind.New(h.bus, p, e.hint, e.down)
	proc := procs.New("/proc", func() fsm.Policy { return p })
	wishes := desired.New(cfg.RunDir, operators())
	wishes.Who = proc.Caller
	h.input = idle.New(idle.Options{Deny: p.Idle.Deny, Log: e.log})
	h.Observer = &sources.Observer{
		Within: p.Deadlines.Observe,
		Host:   h.units.Host, Units: h.units.Units, StopSets: h.units.StopSets, Budgets: h.units.Budgets,
		Logins: l.Logins, Inhibitors: l.Inhibitors,
		Procs: proc.Look,
		Load:  load.New("/proc").Load, Memory: load.New("/proc").Memory,
		Inference: func(ctx context.Context, up map[string]fsm.Unit, ready bool) ([]fsm.Inference, error) {
			return inference.Probe(ctx, inference.Running(p, up), ready)
		},
		Placement: func(ctx context.Context) (fsm.Placement, error) { return placement.Read(ctx, cfg.PlacementFile) },
		Holds:     wishes.Holds,
		Idle:      h.idle(p),
		Site:      siteguards.New(cfg.GuardsDir, cfg.GuardTimeout).Run,
	}
	return h
}

// idle is the probe of who touched the machine last.
func (h *host) idle(p fsm.Policy) func(context.Context) (fsm.Idle, error) {
	if p.WatchesInput() {
		return h.input.Idle
	}
	return func(context.Context) (fsm.Idle, error) { return fsm.Idle{}, errGateShut }
}

var errGateShut = errors.New("the input devices are not watched: triggers.idle.watch and triggers.background are false")

// watchInput watches the input devices until ctx ends, if that is configured.
func (h *host) watchInput(ctx context.Context, p fsm.Policy) error {
	if !p.WatchesInput() {
		return nil
	}
	return h.input.Run(ctx)
}

// liveHost gives access to this machine for one command.
func liveHost(cfg config.Config) (engine.Host, func()) {
	h := newHost(cfg, deaf)
	return h, h.close
}

// Do does one operation.
func (h *host) Do(ctx context.Context, op fsm.Op) error {
	err := h.actor.Do(ctx, op)
	if errors.Is(err, act.ErrNotFound) {
		return notThere{err}
	}
	return err
}

// Attend has the ends of all jobs hinted at, and the collector on, while an
// attempt runs.
func (h *host) Attend(busy bool) {
	h.actor.Attend(busy)
	if busy {
		collector.work()
	} else {
		collector.rest()
	}
}

func (h *host) close() {
	h.bus.Close()
	_ = h.actor.Close() // nothing of it is under way any more
}

// notThere tells the engine that an operation's unit does not exist.
type notThere struct{ error }

func (notThere) NotFound() bool  { return true }
func (n notThere) Unwrap() error { return n.error }
