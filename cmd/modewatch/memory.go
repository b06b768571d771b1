package main

import (
	"math"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// The garbage collector of a Go program that rests runs every two minutes, for
// nothing, and wakes all its threads. The daemon's is off at rest, with a bound
// for what looks at a restless host leave behind, and lazy while an attempt runs.

const (
	tidyAfter = 30 * time.Second // of rest
	restRoom  = 4 << 20          // bytes that may be left behind at rest before they are collected
	workRatio = 400              // percent, as GOGC
)

// memory tends the collector. Its methods do not wait; the engine's loop calls them.
type memory struct {
	mu   sync.Mutex
	turn int // counts the changes between work and rest
}

// collector is this process's: it outlives a reload.
var collector memory

// work lets the collector run, late.
func (m *memory) work() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn++
	debug.SetMemoryLimit(math.MaxInt64)
	debug.SetGCPercent(workRatio)
}

// rest collects once, when it has lasted for a while, and gives back what is free.
func (m *memory) rest() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn++
	turn := m.turn
	time.AfterFunc(tidyAfter, func() { m.tidy(turn) })
}

func (m *memory) tidy(turn int) {
	debug.FreeOSMemory()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.turn != turn {
		return // work has begun again
	}
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	debug.SetMemoryLimit(int64(s.Sys-s.HeapReleased) + restRoom)
	debug.SetGCPercent(-1)
}
