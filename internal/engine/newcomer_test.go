package engine

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/sim"
)

// What a session stands on that began after the attempt is not taken away under it (D8).
func TestNothingIsTakenBackUnderANewSession(t *testing.T) {
	for _, comes := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := in(t, fsm.Desktop, nil)
			r.host.Takes(fsm.Start, time.Second)
			r.host.Break(sim.Fault{Op: fsm.Op{Verb: fsm.Start, Arg: "audio-priority.service"}, Kind: sim.Fails})
			r.tape.onAhead = func(i fsm.Intent) {
				if comes && i.Plan.Steps[i.Step-1].Arg == "audio-priority.service" {
					r.host.Login("bob", 1001)
				}
			}
			a := r.ask(fsm.StudioLocal)
			back := slices.ContainsFunc(a.Steps, func(s fsm.StepResult) bool { return s.Undo })
			want := map[bool]fsm.Outcome{false: fsm.Recovered, true: fsm.Degraded}[comes]
			if back == comes || a.Outcome != want || strings.Contains(r.tape.text(), "note degraded") != comes {
				t.Errorf("a session comes: %v; ended %s, taken back: %v\n%s", comes, a.Outcome, back, r.tape.text())
			}
		})
	}
}

// The write-ahead record is given up after the attempt is on record (D6): a death in
// between leaves both.
func TestTheRecordIsGivenUpAfterTheAttemptIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := in(t, fsm.Desktop, nil)
		r.want(fsm.StudioLocal, fsm.Reached)
		r.want(fsm.Desktop, fsm.Reached)
		if want := []int{1, 2}; !slices.Equal(r.tape.clearedAt, want) {
			t.Errorf("the record was given up after so many attempts were told: %v, want %v", r.tape.clearedAt, want)
		}
	})
}

// What is taken back is told by its own number: the nth of so many.
func TestStepsThatAreTakenBackAreNumbered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := in(t, fsm.Desktop, nil)
		r.host.Break(sim.Fault{Op: fsm.Op{Verb: fsm.Start, Arg: "audio-priority.service"}, Kind: sim.LiesFailed})
		a := r.want(fsm.StudioLocal, fsm.Recovered)
		var want, got [][2]int
		for _, s := range a.Steps {
			if s.Undo {
				want = append(want, [2]int{len(want) + 1, 3})
			}
		}
		for _, b := range r.tape.began {
			if b.Undo {
				got = append(got, [2]int{b.N, b.Of})
			}
		}
		if len(want) != 3 || !slices.Equal(got, want) {
			t.Errorf("told were %v, want %v of %v", got, want, a.Steps)
		}
	})
}
