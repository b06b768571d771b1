package main

import (
	"context"
	"slices"
	"sync"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sources/procs"
)

// leavers hints at the end of the processes that an attempt waits for, so that it
// need not look through all processes again and again until they are gone. What it
// cannot wait for, the attempt's own looks find.
type leavers struct {
	hint func()

	mu   sync.Mutex
	busy bool
	pids []int
	end  context.CancelFunc
	wg   sync.WaitGroup
}

// attend begins to follow what looks show, or ends all waiting.
func (l *leavers) attend(busy bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy = busy
	if !busy {
		l.follow(nil)
	}
}

// saw waits for those that a look showed to be in the way, instead of those of the
// look before. Only looks of waits count: those ask for one thing.
func (l *leavers) saw(q fsm.Query, f fsm.Facts) {
	pids := inTheWay(q, f)
	if pids == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy && !slices.Equal(pids, l.pids) {
		l.follow(pids)
	}
}

// inTheWay lists the processes that the wait which asked for q is for; nil for a
// look that is no such wait's.
func inTheWay(q fsm.Query, f fsm.Facts) []int {
	out := []int{}
	switch q.About {
	case fsm.AboutGPU:
		for _, h := range f.GPU.Value.DisplayHolders() {
			out = append(out, h.PID)
		}
	case fsm.AboutUnits | fsm.AboutWorkers:
		for _, w := range f.Workers.Value {
			if w.Outside == "" && w.PID > 0 && f.Units.Value[w.Unit].Gone() { // systemd tells the rest
				out = append(out, w.PID)
			}
		}
	default:
		return nil
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// follow replaces the processes that are waited for. l.mu is held.
func (l *leavers) follow(pids []int) {
	if l.end != nil {
		l.end()
		l.wg.Wait()
		l.end = nil
	}
	if l.pids = pids; len(pids) == 0 {
		return
	}
	ctx, end := context.WithCancel(context.Background())
	l.end = end
	l.wg.Go(func() { _ = procs.Exits(ctx, pids, func(int) { l.hint() }) })
}
