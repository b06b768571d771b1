// Package audio looks at PipeWire's graphs, one of each user that runs a server:
// who plays, records or holds a low-latency client (D14, specification section
// 10.2). It is told which servers run, so that nobody's PipeWire is woken by being
// asked: a connection to its socket would start it.
//
// pw-dump reads the graph, in a child with a deadline: a server may hang (D16). A
// graph that cannot be read is an error: cannot tell, never "nobody".
package audio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sources/child"
)

// answersWithin bounds the wait for the first whole graph of a server.
const answersWithin = 3 * time.Second

// most is how much of one dump is read: a large studio's graph is some MiB.
const most = 64 << 20

// Source asks PipeWire servers by the policy.
type Source struct {
	Policy  func() fsm.Policy
	Program string // pw-dump, or a path to it
}

// New returns the source that runs the program of the policy.
func New(policy func() fsm.Policy) *Source {
	return &Source{Policy: policy, Program: policy().Audio.Program}
}

// Users tells who uses the graphs of servers. Where one was in use a moment ago,
// it waits until it has been quiet for the policy's debounce (D14). It asks all
// servers side by side; one that cannot be read fails the whole.
func (s *Source) Users(ctx context.Context, servers []fsm.AudioServer) ([]fsm.AudioUse, error) {
	type answer struct {
		users []fsm.AudioUse
		err   error
	}
	answers := make([]answer, len(servers))
	var wg sync.WaitGroup
	for i, server := range servers {
		wg.Go(func() { answers[i].users, answers[i].err = s.settled(ctx, server) })
	}
	wg.Wait()
	var out []fsm.AudioUse
	var errs []error
	for _, a := range answers {
		out, errs = append(out, a.users...), append(errs, a.err)
	}
	return out, errors.Join(errs...)
}

// settled is the verdict on one server: its users as soon as there is one, nobody
// once it was quiet for long enough.
func (s *Source) settled(ctx context.Context, server fsm.AudioServer) (users []fsm.AudioUse, err error) {
	p := s.Policy().Audio
	g, err := s.dump(ctx, server)
	if err != nil {
		return nil, err
	}
	users = g.users(p, server.UID)
	if len(users) > 0 || p.Debounce == 0 || !g.fresh() {
		return users, nil
	}
	err = s.follow(ctx, server, func(g *Graph) (enough bool, patience time.Duration) {
		users = g.users(p, server.UID)
		return len(users) > 0, p.Debounce
	})
	return users, err
}

// dump reads the graph of a server once.
func (s *Source) dump(ctx context.Context, server fsm.AudioServer) (*Graph, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answersWithin, errLate)
	defer cancel()
	out, err := s.program(server).Collect(ctx, most)
	if err != nil {
		return nil, unreadable(server, err)
	}
	var objects []object
	if err := json.Unmarshal(out, &objects); err != nil {
		return nil, unreadable(server, fmt.Errorf("cannot understand what pw-dump says: %w", err))
	}
	g := newGraph()
	g.update(objects)
	return g, nil
}

func (s *Source) program(server fsm.AudioServer, args ...string) child.Command {
	return child.Command{File: s.Program, Args: append(args, "--no-colors"), Env: []string{"PIPEWIRE_RUNTIME_DIR=" + server.Dir, "HOME=/"}}
}

var errLate = fmt.Errorf("no answer within %v", answersWithin)

func unreadable(server fsm.AudioServer, err error) error {
	return fmt.Errorf("cannot read the PipeWire graph of uid %d in %s: %w", server.UID, server.Dir, err)
}

// Watch hints once it hears of each of servers, whenever others than before use its graph,
// and at its end, until ctx ends or all of them have. It costs one pw-dump a server,
// and is for while somebody waits for the answer. hint may be called from several
// goroutines.
func (s *Source) Watch(ctx context.Context, servers []fsm.AudioServer, hint func()) {
	p := s.Policy().Audio
	var wg sync.WaitGroup
	for _, server := range servers {
		wg.Go(func() {
			var last []fsm.AudioUse
			first := true
			_ = s.follow(ctx, server, func(g *Graph) (enough bool, patience time.Duration) {
				if now := g.users(p, server.UID); first || !slices.EqualFunc(now, last, same) {
					first, last = false, now
					hint()
				}
				return false, 0
			}) // why it ended is for the look to tell that follows from the hint
			if ctx.Err() == nil {
				hint()
			}
		})
	}
	wg.Wait()
}

// same tells whether two uses are of one process: how many links it has now is no
// news.
func same(a, b fsm.AudioUse) bool { return a.PID == b.PID && a.Comm == b.Comm }

// errEnough ends a follow that has what it wants.
var errEnough = errors.New("enough")

// follow shows each state of a server's graph to seen: the first within
// answersWithin, more until seen has enough, or its patience with the first is
// over. A patience of 0 has no end.
func (s *Source) follow(ctx context.Context, server fsm.AudioServer, seen func(*Graph) (enough bool, patience time.Duration)) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	timer := time.AfterFunc(answersWithin, func() { end(errLate) })
	defer func() { timer.Stop() }()
	err := s.program(server, "--monitor").Follow(ctx, func(out io.Reader) error {
		graph, dec := newGraph(), json.NewDecoder(io.LimitReader(out, most))
		for first := true; ; first = false {
			var objects []object
			if err := dec.Decode(&objects); err != nil {
				return unread(ctx, err)
			}
			graph.update(objects)
			enough, patience := seen(graph)
			if enough {
				return errEnough
			}
			if first && timer.Stop() && patience > 0 {
				timer = time.AfterFunc(patience, func() { end(errEnough) })
			}
		}
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return unreadable(server, err)
}

// unread says why a dump came to its end.
func unread(ctx context.Context, err error) error {
	switch cause := context.Cause(ctx); {
	case cause != nil:
		return cause
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("pw-dump ended: its server stops, or does not let it in")
	default:
		return fmt.Errorf("cannot understand what pw-dump says: %w", err)
	}
}
