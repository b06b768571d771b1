package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/sim"
)

// An attempt that a shutdown has interrupted is told once, also where a boot has
// forgotten which attempt was the last, or that was another.
func TestAnInterruptedAttemptIsToldOnce(t *testing.T) {
	for _, boot := range []string{"boot-1", "boot-2"} {
		synctest.Test(t, func(t *testing.T) {
			intent, _ := caught(t, fsm.Desktop, fsm.Compute, fsm.Isolate)
			was := fsm.Attempt{ID: intent.ID, Wish: intent.Wish, Outcome: fsm.Interrupted, Halt: fsm.HaltShutdown, Final: fsm.Desktop}
			h := sim.Desk(policy())
			r := start(t, h, func(o *Options) {
				o.Boot, o.Wish, o.Intent = boot, nil, intent
				o.Last = &fsm.Attempt{ID: "another"}
				o.Past = func(id string) *fsm.Attempt {
					if id == was.ID {
						return &was
					}
					return nil
				}
			})
			time.Sleep(time.Minute)
			r.state(fsm.AtDesktop)
			for _, a := range r.tape.attempts() {
				if a.ID == intent.ID {
					t.Errorf("%s: told again\n%s", boot, r.tape.text())
				}
			}
		})
	}
}
