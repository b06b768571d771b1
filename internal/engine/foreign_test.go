package engine

import (
	"testing"
	"testing/synctest"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/sim"
)

// A foreign AI unit that was stopped is not started again by the way back: somebody
// holds the display GPU (section 6.1).
func TestAWayBackStartsNoForeignAIUnit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := in(t, fsm.Desktop, nil)
		r.host.SetUnit("vllm@compute.service", "active")
		r.host.Break(sim.Fault{Op: fsm.Op{Verb: fsm.Start, Arg: "studio-local-policy.service"}, Kind: sim.Fails})
		r.want(fsm.StudioLocal, fsm.Recovered)
		if r.units()["vllm@compute.service"].Is(true) {
			t.Errorf("it runs again\n%s", r.tape.text())
		}
	})
}
