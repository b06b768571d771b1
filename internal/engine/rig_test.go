package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
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
	fail    error
	onAhead func(fsm.Intent)
}

func (t *tape) Publish(fsm.Snapshot) {}

func (t *tape) Record(r fsm.Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch r := r.(type) {
	case fsm.Edge:
		t.lines = append(t.lines, fmt.Sprintf("edge %s: %s -> %s", r.Row.On, r.Row.From, r.Row.To))
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

var errDisk = errors.New("no space left on device")
