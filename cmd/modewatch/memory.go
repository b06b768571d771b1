package main

import (
	"math"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// Once a Go program has collected its garbage, the runtime does so every two
// minutes for ever after, and wakes its threads for it. This daemon's collector is
// lazy while an attempt runs, collects when rest has lasted for a while, and then
// is off, with a bound for what looks at a restless host leave behind.

const (
	tidyAfter = 5 * time.Second // of rest
	restRoom  = 4 << 20         // bytes that may be left behind at rest before they are collected
	workRatio = 400             // percent, as GOGC
)

// memory tends the collector. Its methods wait for no more than a collection of
// the few megabytes there are; the engine's loop calls them.
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

// still tells whether nothing has begun since turn.
func (m *memory) still(turn int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.turn == turn
}

func (m *memory) tidy(turn int) {
	if !m.still(turn) {
		return
	}
	debug.FreeOSMemory()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.turn != turn {
		return // work has begun meanwhile
	}
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	debug.SetMemoryLimit(int64(s.Sys-s.HeapReleased) + restRoom)
	debug.SetGCPercent(-1)
}
