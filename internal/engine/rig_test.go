package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/sim"
)

// rig is an engine on a simulated host with everything it tells kept.
type rig struct {
	t     *testing.T
	host  *sim.Host
	eng   *Engine
	tape  *tape
	stop  context.CancelFunc
	ended chan struct{}
	ids   int
}

// tape is a recorder that keeps all in memory.
type tape struct {
	mu      sync.Mutex
	lines   []string
	done    []fsm.Attempt
	intents []fsm.Intent
	intent  *fsm.Intent
	clears  int
	// clearedAt is how many attempts were told before each of them.
	clearedAt []int
	began     []fsm.StepBegan
	fail      error
	onAhead   func(fsm.Intent)
}

func (t *tape) Publish(fsm.Snapshot) {}

func (t *tape) Record(r fsm.Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch r := r.(type) {
	case fsm.Edge:
		t.lines = append(t.lines, fmt.Sprintf("edge %s: %s -> %s", r.Row.On, r.Row.From, r.Row.To))
	case fsm.StepBegan:
		t.began = append(t.began, r)
	case fsm.StepEnded:
		t.lines = append(t.lines, fmt.Sprintf("step %s undo=%v %s", r.Result.Op, r.Result.Undo, r.Result.Result))
	case fsm.Refusal:
		t.lines = append(t.lines, fmt.Sprintf("refused %s %d", r.Verdict.Guard, r.Verdict.Code))
	case fsm.Note:
		t.lines = append(t.lines, "note "+r.What)
	case fsm.AttemptEnded:
		t.done = append(t.done, r.Attempt)
		t.lines = append(t.lines, fmt.Sprintf("ended %s %s -> %s: %s in %s (%d)", r.Attempt.Wish.Reason, r.Attempt.From, r.Attempt.To,
			r.Attempt.Outcome, r.Attempt.Final, r.Attempt.Exit))
	}
}

func (t *tape) Ahead(i *fsm.Intent) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fail != nil && i != nil {
		return t.fail
	}
	t.intent = i
	if i == nil {
		t.clears++
		t.clearedAt = append(t.clearedAt, len(t.done))
	}
	if i != nil {
		t.intents = append(t.intents, *i)
		if t.onAhead != nil {
			t.onAhead(*i)
		}
	}
	return nil
}

func (t *tape) attempts() []fsm.Attempt {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]fsm.Attempt(nil), t.done...)
}

func (t *tape) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "\n")
}

func policy() fsm.Policy { return sim.Policy() }

// start runs an engine on host until the test ends; change may alter options.
func start(t *testing.T, host *sim.Host, change func(*Options)) *rig {
	t.Helper()
	r := &rig{t: t, host: host, tape: &tape{}, ended: make(chan struct{})}
	opt := Options{Policy: policy(), Host: host, Recorder: r.tape, Boot: "boot-1", PID: 1,
		NewID: func() string { r.ids++; return fmt.Sprintf("id-%d", r.ids) },
		Wish:  &fsm.Wish{ID: "old", Mode: fsm.Desktop, Reason: fsm.ByBoot}}
	if change != nil {
		change(&opt)
	}
	r.eng = New(opt)
	host.Hint = r.eng.Hint
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	go func() { defer close(r.ended); _ = r.eng.Run(ctx) }()
	t.Cleanup(r.close)
	synctest.Wait()
	return r
}

func (r *rig) close() { r.stop(); <-r.ended }

var wishes int

func wish(m fsm.Mode) fsm.Wish {
	wishes++
	return fsm.Wish{ID: fmt.Sprintf("w-%d", wishes), Mode: m, Reason: fsm.ByRequest, By: fsm.Caller{UID: 0}, At: time.Now()}
}

// ask submits a wish and waits, in the bubble's time, for its attempt's end.
func (r *rig) ask(m fsm.Mode) fsm.Attempt {
	r.t.Helper()
	w := wish(m)
	r.eng.Submit(w)
	return r.wait(w.ID)
}

func (r *rig) wait(id string) fsm.Attempt {
	r.t.Helper()
	for range 100000 {
		synctest.Wait()
		for _, a := range r.tape.attempts() {
			if a.Serves(id) {
				return a
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	r.t.Fatalf("wish %s never ended\n%s", id, r.tape.text())
	return fsm.Attempt{}
}

func (r *rig) want(m fsm.Mode, out fsm.Outcome) fsm.Attempt {
	r.t.Helper()
	a := r.ask(m)
	if a.Outcome != out {
		r.t.Fatalf("wish for %s ended %s (%s), want %s\n%s", m, a.Outcome, a.Cause, out, r.tape.text())
	}
	return a
}

func (r *rig) state(s fsm.State) {
	r.t.Helper()
	synctest.Wait()
	if got := r.eng.Snapshot().State; got != s {
		r.t.Fatalf("state is %s, want %s\n%s", got, s, r.tape.text())
	}
}

// answered fails unless exactly one attempt was made for each wish.
func (r *rig) answered(ids ...string) {
	r.t.Helper()
	for _, id := range ids {
		r.wait(id)
		n := 0
		for _, a := range r.tape.attempts() {
			if a.Serves(id) {
				n++
			}
		}
		if n != 1 {
			r.t.Errorf("wish %s was answered %d times\n%s", id, n, r.tape.text())
		}
	}
}

// hook gives the site a hook before a mode: the first step of a plan then changes
// nothing, and what comes after it is judged again.
func (r *rig) hook(m fsm.Mode) {
	name := policy().Units.Prepare[m]
	r.host.Change(func(_ *fsm.Facts, _ *fsm.Logins, units map[string]fsm.Unit) {
		units[name] = fsm.Unit{Name: name, Load: "loaded", Active: "inactive"}
	})
	synctest.Wait()
}

// hooked is a simulated host with something that happens before a look, or after
// it, when its facts are old already.
type hooked struct {
	*sim.Host
	before, after func(fsm.Query)
}

func (h *hooked) Observe(ctx context.Context, q fsm.Query) fsm.Facts {
	if h.before != nil {
		h.before(q)
	}
	f := h.Host.Observe(ctx, q)
	if h.after != nil {
		h.after(q)
	}
	return f
}

// once runs do in the first look for which when holds.
func once(when func() bool, do func()) func(fsm.Query) {
	var done atomic.Bool
	return func(fsm.Query) {
		time.Sleep(time.Millisecond) // let the loop show what it was told
		if when() && done.CompareAndSwap(false, true) {
			do()
		}
	}
}

// doing tells whether the attempt is at this word and operation.
func (r *rig) doing(word string, v fsm.Verb) bool {
	a := r.eng.Snapshot().Attempt
	return a != nil && a.Doing == word && a.Op.Verb == v
}

// did tells whether an operation with the verb took effect.
func did(h *sim.Host, v fsm.Verb) bool {
	return slices.ContainsFunc(h.Done(), func(op fsm.Op) bool { return op.Verb == v })
}

// breakLogins makes the host unreadable, or readable again.
func breakLogins(h *sim.Host, cause string) {
	h.Change(func(f *fsm.Facts, _ *fsm.Logins, _ map[string]fsm.Unit) { f.Logins.Cause = cause })
}

// caught returns the write-ahead record of the step with the verb on the way
// from one mode to another, and the host right then.
func caught(t *testing.T, from, to fsm.Mode, v fsm.Verb) (*fsm.Intent, *sim.Host) {
	t.Helper()
	r := in(t, from, nil)
	var intent *fsm.Intent
	var host *sim.Host
	r.tape.onAhead = func(i fsm.Intent) {
		if i.Plan.Steps[i.Step-1].Verb == v && intent == nil {
			intent, host = &i, r.host.Clone()
		}
	}
	r.want(to, fsm.Reached)
	r.close()
	if intent == nil {
		t.Fatalf("%s to %s has no %s", from, to, v)
	}
	return intent, host
}

var errDisk = errors.New("no space left on device")
