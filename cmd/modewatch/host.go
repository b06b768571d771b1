package main

import (
	"context"
	"errors"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/config"
	"github.com/modewatch/modewatch/internal/engine"
	"github.com/modewatch/modewatch/sinks/act"
	"github.com/modewatch/modewatch/sources"
	"github.com/modewatch/modewatch/sources/audio"
	"github.com/modewatch/modewatch/sources/bus"
	"github.com/modewatch/modewatch/sources/desired"
	"github.com/modewatch/modewatch/sources/gpu"
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
	gpu   *gpu.Source
	// cards is told the GPUs whenever they were looked at; nil for nobody.
	cards func([]fsm.Card)
	// leavers hints at the end of those that an attempt waits for.
	leavers leavers
	// listening is to what is told only while somebody waits for it.
	listening listening
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
	h.leavers.hint = func() { e.hint(fsm.AboutGPU | fsm.AboutWorkers) }
	h.units = units.New(h.bus, p.Units.Watched(), p.Units.Switch, e.hint)
	l := logind.New(h.bus, p, e.hint, e.down)
	proc := procs.New("/proc", func() fsm.Policy { return p })
	h.gpu = newGPU(cfg, proc)
	wishes := desired.New(cfg.RunDir, operators())
	wishes.Who = proc.Caller
	h.input = idle.New(idle.Options{Deny: p.Idle.Deny, Log: e.log, Hint: func() { e.hint(fsm.AboutIdle) }})
	l.Woke = func() {
		h.input.Restart("the host woke")
		e.hint(fsm.Core)
	}
	h.Observer = &sources.Observer{
		Within: p.Deadlines.Observe,
		Host:   h.units.Host, Units: h.units.Units, StopSets: h.units.StopSets, Budgets: h.units.Budgets,
		Logins: l.Logins, Inhibitors: l.Inhibitors,
		Procs: proc.Look, GPU: h.gpu.Look,
		Load: load.New("/proc").Load, Memory: load.New("/proc").Memory,
		Inference: func(ctx context.Context, up map[string]fsm.Unit, ready bool) ([]fsm.Inference, error) {
			return inference.Probe(ctx, inference.Running(p, up), ready)
		},
		Placement: func(ctx context.Context) (fsm.Placement, error) { return placement.Read(ctx, cfg.PlacementFile) },
		Holds:     wishes.Holds,
		Idle:      h.idle(p),
		Site:      siteguards.New(cfg.GuardsDir, cfg.GuardTimeout).Run,
	}
	var sound *audio.Source
	if p.Audio.Program != "" {
		sound = audio.New(func() fsm.Policy { return p })
		h.Graphs = func(ctx context.Context) (g fsm.AudioGraphs, err error) {
			if g.Servers, err = proc.Servers(ctx); err == nil {
				g.Users, err = sound.Users(ctx, g.Servers)
			}
			return g, err
		}
	}
	h.listening = listening{ways: waysOf(p, proc, sound, e.hint), log: e.log}
	return h
}

// idle is the probe of who touched the machine last.
func (h *host) idle(p fsm.Policy) func(context.Context) (fsm.Idle, error) {
	if p.WatchesInput() {
		return func(ctx context.Context) (fsm.Idle, error) {
			i, err := h.input.Idle(ctx)
			if err == nil {
				i.Terminals, err = idle.Terminals("/dev/pts")
			}
			return i, err
		}
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

// Observe looks at this machine, has its GPUs told to who keeps them, and the end of
// those that an attempt waits for hinted at.
func (h *host) Observe(ctx context.Context, q fsm.Query) fsm.Facts {
	f := h.Observer.Observe(ctx, q)
	if h.cards != nil && f.GPU.OK {
		h.cards(f.GPU.Value.Cards)
	}
	h.leavers.saw(q, f)
	return f
}

// Do does one operation.
func (h *host) Do(ctx context.Context, op fsm.Op) error {
	if op.Verb == fsm.Countdown {
		h.input.Keen(true) // until the attempt ends
	}
	err := h.actor.Do(ctx, op)
	if errors.Is(err, act.ErrNotFound) {
		return notThere{err}
	}
	return err
}

// Attend has the ends of all jobs and of those in the way hinted at, and the
// collector on, while an attempt runs.
func (h *host) Attend(busy bool) {
	h.actor.Attend(busy)
	h.leavers.attend(busy)
	if busy {
		collector.work()
	} else {
		h.input.Keen(false)
		collector.rest()
	}
}

func (h *host) close() {
	h.listening.close()
	h.leavers.attend(false)
	h.bus.Close()
	_ = h.actor.Close() // nothing of it is under way any more
}

// notThere tells the engine that an operation's unit does not exist.
type notThere struct{ error }

func (notThere) NotFound() bool  { return true }
func (n notThere) Unwrap() error { return n.error }
