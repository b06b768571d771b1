package engine

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// What a mode lacks is the cause where every step was done (section 13.3).
func TestAModeThatLacksSomethingSaysWhat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := in(t, fsm.StudioLocal, nil)
		r.host.Takes(fsm.SetBudgets, time.Second)
		w := wish(fsm.Desktop)
		r.eng.Submit(w)
		time.Sleep(500 * time.Millisecond)
		r.host.SetUnit("vllm@compute.service", "active")
		a := r.wait(w.ID)
		if a.Outcome != fsm.Degraded || !strings.Contains(a.Cause, "vllm-foreign (vllm@compute.service is active in desktop)") {
			t.Errorf("ended %s: %q", a.Outcome, a.Cause)
		}
	})
}
