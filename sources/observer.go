// Package sources puts all probes together into one look at the host. A probe
// may fail, panic or hang: the look then says so for its subject, in time, and
// the other subjects are there all the same (house rule: cannot tell is never
// pass; nothing that can hang runs without a deadline).
package sources

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// Observer has one function for each probe. A probe that is nil is not built in
// or not configured: its subject cannot be told. Its zero value is not of use
// without Within.
type Observer struct {
	// Within bounds a whole look (fsm.Deadlines.Observe).
	Within time.Duration

	Host func(context.Context) (fsm.Host, error)
	// Units reads the watched units and extra ones; the memory of the latter only
	// where it is asked for.
	Units    func(ctx context.Context, extra []string, memory bool) (map[string]fsm.Unit, error)
	Logins   func(context.Context) (fsm.Logins, error)
	StopSets func(ctx context.Context, targets []string) (map[string]fsm.StopSet, error)
	// Procs answers for fsm.AboutGPU, AboutAudio and AboutJobs from one pass
	// over the processes, and fills what it is asked for.
	Procs  func(ctx context.Context, about fsm.Subject) fsm.Facts
	Load   func(context.Context) (fsm.Load, error)
	Memory func(context.Context) (fsm.Memory, error)
	// Inference asks the AI units that run, by the units' state of this look; for
	// nothing but whether they are ready if ready is set.
	Inference  func(ctx context.Context, units map[string]fsm.Unit, ready bool) ([]fsm.Inference, error)
	Placement  func(context.Context) (fsm.Placement, error)
	Inhibitors func(context.Context) ([]fsm.Inhibitor, error)
	Site       func(ctx context.Context, to fsm.Mode) ([]fsm.SiteVerdict, error)
	// Budgets reads the values in force of the properties it is given.
	Budgets func(context.Context, []fsm.Budget) ([]fsm.Budget, error)
	Holds   func(context.Context) ([]fsm.Hold, error)
	Idle    func(context.Context) (fsm.Idle, error)

	host, units, logins, stopSets, procs, load, memory, inference, placement, inhibitors, site, budgets, holds, idle slot
}

// processSubjects are answered by one pass.
const processSubjects = fsm.AboutGPU | fsm.AboutAudio | fsm.AboutJobs

// Observe looks at all that q asks for, side by side, and returns at the
// deadline at the latest. It may be called from several goroutines at once.
func (o *Observer) Observe(ctx context.Context, q fsm.Query) fsm.Facts {
	ctx, cancel := context.WithTimeout(ctx, o.Within)
	defer cancel()
	f := fsm.Facts{At: time.Now()}
	var wg sync.WaitGroup
	look := func(about fsm.Subject, read func()) {
		if q.About&about != 0 {
			wg.Go(read)
		}
	}
	look(fsm.AboutHost, func() { f.Host = ask(ctx, &o.host, "host", o.Host) })
	look(fsm.AboutUnits|fsm.AboutInference, func() { o.unitsAndInference(ctx, q, &f) })
	look(fsm.AboutSessions, func() { f.Logins = ask(ctx, &o.logins, "sessions", o.Logins) })
	look(fsm.AboutStopSets, func() { f.StopSets = ask(ctx, &o.stopSets, "stop-sets", bind(o.StopSets, q.Targets)) })
	look(processSubjects, func() { o.lookAtProcesses(ctx, q.About&processSubjects, &f) })
	look(fsm.AboutLoad, func() { f.Load = ask(ctx, &o.load, "load", o.Load) })
	look(fsm.AboutMemory, func() { f.Memory = ask(ctx, &o.memory, "memory", o.Memory) })
	look(fsm.AboutPlacement, func() { f.Placement = ask(ctx, &o.placement, "placement", o.Placement) })
	look(fsm.AboutInhibitors, func() { f.Inhibitors = ask(ctx, &o.inhibitors, "inhibitors", o.Inhibitors) })
	look(fsm.AboutSite, func() { f.Site = ask(ctx, &o.site, "site-guards", bind(o.Site, q.Wish)) })
	look(fsm.AboutBudgets, func() { f.Budgets = ask(ctx, &o.budgets, "budgets", bind(o.Budgets, q.Budgets)) })
	look(fsm.AboutHolds, func() { f.Holds = ask(ctx, &o.holds, "holds", o.Holds) })
	look(fsm.AboutIdle, func() { f.Idle = ask(ctx, &o.idle, "idle", o.Idle) })
	wg.Wait()
	return f
}

// unitsAndInference reads the units, and by them which servers to ask.
func (o *Observer) unitsAndInference(ctx context.Context, q fsm.Query, f *fsm.Facts) {
	var read func(context.Context) (map[string]fsm.Unit, error)
	if o.Units != nil {
		read = func(ctx context.Context) (map[string]fsm.Unit, error) {
			return o.Units(ctx, q.Units, q.About&fsm.AboutMemory != 0)
		}
	}
	units := ask(ctx, &o.units, "units", read)
	if q.About&fsm.AboutUnits != 0 {
		f.Units = units
	}
	if q.About&fsm.AboutInference == 0 {
		return
	}
	if !units.OK {
		f.Inference.Cause = "cannot tell which AI units run: " + units.Why()
		return
	}
	var asked func(context.Context) ([]fsm.Inference, error)
	if o.Inference != nil {
		asked = func(ctx context.Context) ([]fsm.Inference, error) { return o.Inference(ctx, units.Value, q.Ready) }
	}
	f.Inference = ask(ctx, &o.inference, "inference", asked)
}

func (o *Observer) lookAtProcesses(ctx context.Context, about fsm.Subject, f *fsm.Facts) {
	var look func(context.Context) (fsm.Facts, error)
	if o.Procs != nil {
		look = func(ctx context.Context) (fsm.Facts, error) { return o.Procs(ctx, about), nil }
	}
	got := ask(ctx, &o.procs, "processes", look)
	if !got.OK {
		f.GPU.Cause, f.Audio.Cause, f.Jobs.Cause = got.Cause, got.Cause, got.Cause
		return
	}
	f.GPU, f.Audio, f.Jobs = got.Value.GPU, got.Value.Audio, got.Value.Jobs
}

// bind gives a probe its argument; a nil probe stays nil.
func bind[A, T any](probe func(context.Context, A) (T, error), arg A) func(context.Context) (T, error) {
	if probe == nil {
		return nil
	}
	return func(ctx context.Context) (T, error) { return probe(ctx, arg) }
}

var errNotBuilt = errors.New("this build or configuration has no probe for it")
