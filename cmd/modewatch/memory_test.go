package main

import (
	"math"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"
)

// ratio is the collector's present setting.
func ratio() int {
	now := debug.SetGCPercent(100)
	debug.SetGCPercent(now)
	return now
}

func TestTheCollectorRestsWithTheDaemon(t *testing.T) {
	before := ratio()
	t.Cleanup(func() { debug.SetGCPercent(before); debug.SetMemoryLimit(math.MaxInt64) })
	synctest.Test(t, func(t *testing.T) {
		var m memory
		pass := func(d time.Duration) { time.Sleep(d); synctest.Wait() }
		m.work()
		m.rest()
		pass(tidyAfter / 2)
		m.work() // before the rest has lasted
		pass(tidyAfter)
		if got := ratio(); got != workRatio {
			t.Errorf("at work the ratio is %d", got)
		}
		m.rest()
		pass(tidyAfter)
		if got, limit := ratio(), debug.SetMemoryLimit(-1); got != -1 || limit < restRoom || limit > 1<<30 {
			t.Errorf("at rest the ratio is %d, the limit %d", got, limit)
		}
		m.work()
		if got, limit := ratio(), debug.SetMemoryLimit(-1); got != workRatio || limit != math.MaxInt64 {
			t.Errorf("at work again the ratio is %d, the limit %d", got, limit)
		}
	})
}
