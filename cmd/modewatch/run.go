package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/config"
	"github.com/modewatch/modewatch/internal/engine"
	"github.com/modewatch/modewatch/sinks"
	"github.com/modewatch/modewatch/sinks/bus"
	"github.com/modewatch/modewatch/sinks/history"
	"github.com/modewatch/modewatch/sinks/notify"
	"github.com/modewatch/modewatch/sinks/runfiles"
	"github.com/modewatch/modewatch/sources/desired"
	"github.com/modewatch/modewatch/sources/procs"
)

// runDaemon owns the machine until it is told to stop. A reload ends one watch
// and begins the next with the new configuration, as a restart would, but
// without giving the lock up (D11).
func runDaemon(e env) int {
	cfg, err := e.load()
	if err != nil {
		return e.fail(err)
	}
	boot, err := runfiles.BootID("")
	if err != nil {
		return e.fail(err)
	}
	lock, err := dirsOf(cfg).Lock(daemonName, boot, time.Now())
	if err != nil {
		return e.lockFault(err)
	}
	defer lock.Release()
	var serving sync.WaitGroup
	defer serving.Wait()
	beats, still := context.WithCancel(context.Background()) // also while it ends
	defer still()
	beat, err := notify.Beat(beats)
	if err != nil {
		return e.fail(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, termination)
	defer stop()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	service := bus.New(version)
	serve := sync.OnceFunc(func() { serving.Go(func() { service.Run(beats) }) })
	if err := e.live(ctx, cfg, life{boot, hup, beat, service, serve}); err != nil {
		return e.fail(err)
	}
	return 0
}

// life is what outlives a reload: between two watches a signal and the watchdog's
// beat wait.
type life struct {
	boot    string
	hup     <-chan os.Signal
	beat    <-chan struct{}
	service *bus.Service // the name on the bus is kept
	serve   func()       // has it run, once there is something behind it
}

// live watches with one configuration after the other until ctx ends.
func (e env) live(ctx context.Context, cfg config.Config, l life) error {
	var before *engine.Engine
	for {
		next, eng, err := e.watch(ctx, cfg, l, before)
		if err != nil || next == nil {
			return err
		}
		cfg, before = *next, eng
	}
}

// daemonName is who the daemon says it is to whoever finds the lock held.
const daemonName = "modewatch.service"

func dirsOf(cfg config.Config) runfiles.Dirs { return runfiles.Dirs{Run: cfg.RunDir, Lib: cfg.LibDir} }

func (e env) lockFault(err error) int {
	var held runfiles.Held
	if errors.As(err, &held) {
		return e.fail(fault{code: fsm.ExitLocked, text: err.Error(), hint: e.prog + " status shows what it does"})
	}
	return e.fail(err)
}

// watch runs all parts of the daemon with one configuration. It returns the next
// configuration after a reload, nil when told to stop, and the engine that has
// ended; what came too late for the one before is handled first.
func (e env) watch(ctx context.Context, cfg config.Config, l life, before *engine.Engine) (*config.Config, *engine.Engine, error) {
	c, err := newOwner(cfg, l.boot)
	if err != nil {
		return nil, nil, err
	}
	behind := e.face(c)
	c.rec.Told = l.service.Tell
	l.service.Behind(behind, behind, c.log)
	l.serve()
	c.options.First = c.fresh && cfg.Normalise
	c.options.Ready = func() { c.shown(l.service); c.report(notify.Ready()); collector.rest() }
	c.options.Alive, c.options.Beat = notify.Alive, l.beat
	next, err := c.run(ctx, e, l.hup, func(ctx context.Context, eng *engine.Engine) {
		if before != nil {
			eng.Inherit(before)
		}
		var input sync.WaitGroup
		defer input.Wait()
		input.Go(func() { c.report(c.host.watchInput(ctx, cfg.Policy)) })
		input.Go(func() { c.store.WatchHolds(ctx, l.service.Held) })
		c.report(c.store.Watch(ctx, c.events(eng)))
	})
	return next, c.engine.Load(), err
}

// owner is what a daemon and a single attempt have in common: the engine
// on this host with its recorders.
type owner struct {
	cfg     config.Config
	host    *host
	rec     *sinks.Recorder
	store   *desired.Store
	options engine.Options
	engine  atomic.Pointer[engine.Engine]
	going   atomic.Bool
	fresh   bool // no start of this boot has come to rest yet
}

// newOwner reads what a predecessor left, and wires. All that the controller does
// is short and waits for others: one thread at a time saves a third of the CPU
// time that waking more of them would take.
func newOwner(cfg config.Config, boot string) (*owner, error) {
	runtime.GOMAXPROCS(1)
	c := &owner{cfg: cfg, store: desired.New(cfg.RunDir, operators())}
	dirs := dirsOf(cfg)
	var err error
	if c.rec, err = sinks.NewRecorder(dirs, cfg.History.Max, cfg.LogLevel); err != nil {
		return nil, err
	}
	c.host = newHost(cfg, ears{hint: c.hint, down: c.down, log: c.log})
	c.host.cards = (&topology{dirs: dirs, policy: cfg.Policy, report: c.report}).seen
	c.store.Who = procs.New("/proc", func() fsm.Policy { return cfg.Policy }).Caller
	intent, err := dirs.ReadIntent()
	c.report(err)
	wish, err := c.store.Standing()
	c.report(err)
	before, err := dirs.ReadState()
	if !errors.Is(err, fs.ErrNotExist) {
		c.report(err)
	}
	last, err := dirs.ReadTransition()
	c.report(err)
	c.fresh = before.Boot != boot || before.State == fsm.Boot
	c.options = engine.Options{Policy: cfg.Policy, Host: c.host, Recorder: c.rec, Boot: boot, PID: os.Getpid(),
		NewID: desired.NewID, Wish: wish, Intent: intent, Last: last, Past: c.past(dirs), Going: c.going.Load, CPU: cpuTime,
		BootWish: c.keepBootWish, Keep: c.keep, Listen: c.host.listening.to}
	return c, nil
}

// past looks a finished attempt up in the history.
func (c *owner) past(dirs runfiles.Dirs) func(string) *fsm.Attempt {
	return func(id string) *fsm.Attempt {
		all, _, err := history.New(dirs.Lib, 0).Read(history.Filter{})
		c.report(err)
		for _, a := range slices.Backward(all) {
			if a.ID == id {
				return &a
			}
		}
		return nil
	}
}

// cpuTime is the CPU time that this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // the figure is then of no use; nothing depends on it
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// run runs the engine beside the sources and recorders until ctx ends, hup
// brings a new configuration, or the engine ends. beside runs along.
func (c *owner) run(ctx context.Context, e env, hup <-chan os.Signal, beside func(context.Context, *engine.Engine)) (*config.Config, error) {
	eng := engine.New(c.options)
	c.engine.Store(eng)
	parts, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { c.report(c.host.bus.Run(parts)) })
	wg.Go(func() { beside(parts, eng) })
	wg.Go(c.gpus)
	recorded := make(chan error, 1)
	recording, endRecording := context.WithCancel(context.Background())
	go func() { recorded <- c.rec.Run(recording) }()

	var next *config.Config
	wg.Go(func() { next = c.reloads(parts, e, hup, eng) })

	defer context.AfterFunc(ctx, func() { c.report(notify.Stopping()) })()
	err := eng.Run(ctx)
	stop()
	wg.Wait()
	if next == nil {
		eng.Dismiss()
	}
	c.host.close()
	endRecording()
	return next, errors.Join(err, <-recorded)
}

// reloads waits for hup. A configuration with a fault is refused whole; a good
// one ends the engine between attempts. Of several the last one counts.
func (c *owner) reloads(ctx context.Context, e env, hup <-chan os.Signal, eng *engine.Engine) *config.Config {
	var next *config.Config
	for {
		select {
		case <-ctx.Done():
			return next
		case <-hup:
		}
		c.report(notify.Reloading())
		cfg, err := e.load()
		if err == nil {
			c.note(fsm.NoteConfig, "the configuration was read again; it applies now, or after the running attempt")
			eng.Finish()
			next = &cfg
			continue
		}
		c.note(fsm.NoteConfig, "the configuration stays as it was: "+err.Error())
		c.report(notify.Ready())
	}
}

// shownWithin bounds the wait for the first state.json and for the bus.
const shownWithin = 500 * time.Millisecond

// shown waits until state.json and the service are there: whoever waits for READY
// reads them next. A disk, journal or bus that does not take it is told of elsewhere,
// and keeps nobody.
func (c *owner) shown(s *bus.Service) {
	ctx, cancel := context.WithTimeout(context.Background(), shownWithin)
	defer cancel()
	_ = c.rec.Flush(ctx)
	s.Served(ctx)
}

func (c *owner) hint(about fsm.Subject) {
	if eng := c.engine.Load(); eng != nil {
		eng.Hint(about)
	}
}

func (c *owner) down(going bool) {
	c.going.Store(going)
	switch eng := c.engine.Load(); {
	case eng == nil:
	case going:
		eng.GoingDown()
	default:
		eng.Hint(fsm.Core) // it stays up after all
	}
}

func (c *owner) log(text string) { c.note(fsm.NoteSource, text) }

func (c *owner) note(what, text string) {
	c.rec.Record(fsm.Note{What: what, Text: text, At: time.Now()})
}

// report tells an error that does not end the controller.
func (c *owner) report(err error) {
	if err != nil {
		c.note(fsm.NoteSource, err.Error())
	}
}
