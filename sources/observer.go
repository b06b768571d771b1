// Package sources looks at the host. Each folder owns one subject: its hints and
// its probe. Observer runs the probes that are asked for side by side and joins
// what they say into one Facts (design.md section 2).
package sources

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// Observer is the set of probes of a host. A nil probe is one that this host
// does not have: asked for, it cannot tell.
type Observer struct {
	Host       func(context.Context) (fsm.Host, error)
	Units      func(context.Context, []string) (map[string]fsm.Unit, error)
	Logins     func(context.Context) (fsm.Logins, error)
	StopSets   func(context.Context, []string) (map[string]fsm.StopSet, error)
	Load       func(context.Context) (fsm.Load, error)
	Memory     func(context.Context) (fsm.Memory, error)
	Inference  func(context.Context) ([]fsm.Inference, error)
	Placement  func(context.Context) (fsm.Placement, error)
	Inhibitors func(context.Context) ([]fsm.Inhibitor, error)
	Site       func(context.Context, fsm.Mode) ([]fsm.SiteVerdict, error)
	// Procs answers what is asked of audio, GPU and jobs from one pass over the
	// processes.
	Procs func(context.Context, fsm.Subject) fsm.Facts
	// Within bounds one observation; a probe that has not answered by then is
	// left behind and told by name.
	Within time.Duration

	mu    sync.Mutex
	stuck map[string]time.Time // probes left behind that still have not returned
}

// Observe asks the probes for what q names. It returns within o.Within, or when
// ctx ends if that is earlier, whatever the probes do.
func (o *Observer) Observe(ctx context.Context, q fsm.Query) fsm.Facts {
	ctx, cancel := context.WithTimeout(ctx, o.Within)
	defer cancel()
	f := fsm.Facts{}
	var todo []func()
	todo = ask(todo, o, ctx, q, fsm.AboutHost, &f.Host, o.Host)
	todo = ask(todo, o, ctx, q, fsm.AboutUnits, &f.Units, bind(o.Units, q.Units))
	todo = ask(todo, o, ctx, q, fsm.AboutSessions, &f.Logins, o.Logins)
	todo = ask(todo, o, ctx, q, fsm.AboutStopSets, &f.StopSets, bind(o.StopSets, q.Targets))
	todo = ask(todo, o, ctx, q, fsm.AboutLoad, &f.Load, o.Load)
	todo = ask(todo, o, ctx, q, fsm.AboutMemory, &f.Memory, o.Memory)
	todo = ask(todo, o, ctx, q, fsm.AboutInference, &f.Inference, o.Inference)
	todo = ask(todo, o, ctx, q, fsm.AboutPlacement, &f.Placement, o.Placement)
	todo = ask(todo, o, ctx, q, fsm.AboutInhibitors, &f.Inhibitors, o.Inhibitors)
	todo = ask(todo, o, ctx, q, fsm.AboutSite, &f.Site, bind(o.Site, q.Wish))
	if about := q.About & processes; about != 0 {
		todo = append(todo, func() { o.processes(ctx, about, &f) })
	}
	var wg sync.WaitGroup
	for _, f := range todo {
		wg.Go(f)
	}
	wg.Wait()
	f.At = time.Now()
	return f
}

// processes are the subjects that one pass over the processes answers.
const processes = fsm.AboutAudio | fsm.AboutGPU | fsm.AboutJobs

// processes fills in what the pass over the processes says; other probes write
// other fields meanwhile.
func (o *Observer) processes(ctx context.Context, about fsm.Subject, f *fsm.Facts) {
	look := func(ctx context.Context) (fsm.Facts, error) { return o.Procs(ctx, about), nil }
	got, err := within(ctx, o, "processes", look)
	if err != nil {
		got.Audio.Cause, got.GPU.Cause, got.Jobs.Cause = err.Error(), err.Error(), err.Error()
	}
	f.Audio, f.GPU, f.Jobs = got.Audio, got.GPU, got.Jobs
}

// bind gives a probe the part of the query that it takes; a nil probe stays nil.
func bind[A, T any](probe func(context.Context, A) (T, error), arg A) func(context.Context) (T, error) {
	if probe == nil {
		return nil
	}
	return func(ctx context.Context) (T, error) { return probe(ctx, arg) }
}

// ask adds the call of one probe to todo, if q wants its subject.
func ask[T any](todo []func(), o *Observer, ctx context.Context, q fsm.Query, about fsm.Subject,
	to *fsm.Reading[T], probe func(context.Context) (T, error)) []func() {
	if q.About&about == 0 {
		return todo
	}
	name := fsm.SubjectNames[about]
	if probe == nil {
		to.Cause = "this host has no probe for " + name
		return todo
	}
	return append(todo, func() { *to = fsm.Read(within(ctx, o, name, probe)) })
}

// within calls a probe and leaves it behind when ctx ends. While it hangs it is
// not called again, so that hanging probes do not pile up.
func within[T any](ctx context.Context, o *Observer, name string, probe func(context.Context) (T, error)) (T, error) {
	var none T
	if since, hangs := o.hangs(name); hangs {
		return none, fmt.Errorf("the probe has not answered since %s", since.Format(time.TimeOnly))
	}
	type answer struct {
		value T
		err   error
	}
	began, out := time.Now(), make(chan answer, 1)
	left := make(chan struct{})
	go func() {
		v, err := safely(ctx, probe)
		out <- answer{v, err}
		select {
		case <-left:
			o.returned(name)
		default:
		}
	}()
	select {
	case a := <-out:
		return a.value, a.err
	case <-ctx.Done():
	}
	o.leave(name, began)
	close(left)
	select {
	case a := <-out: // it answered in the same moment
		o.returned(name)
		return a.value, a.err
	default:
	}
	return none, fmt.Errorf("the probe did not answer within %s", time.Since(began).Round(time.Millisecond))
}

// safely turns a panic of a probe into "cannot tell".
func safely[T any](ctx context.Context, probe func(context.Context) (T, error)) (v T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the probe panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return probe(ctx)
}

func (o *Observer) hangs(name string) (time.Time, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	since, ok := o.stuck[name]
	return since, ok
}

func (o *Observer) leave(name string, since time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stuck == nil {
		o.stuck = map[string]time.Time{}
	}
	o.stuck[name] = since
}

func (o *Observer) returned(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.stuck, name)
}
