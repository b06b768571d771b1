package act

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

var jobUnits = map[string]string{
	"t-oneshot.service":   "[Service]\nType=oneshot\nExecStart=/bin/sleep 0.2\n",
	"t-exit1.service":     "[Service]\nType=oneshot\nExecStart=/bin/false\n",
	"t-badpath.service":   "[Service]\nType=exec\nExecStart=/no/such/program\n",
	"t-mute.service":      "[Service]\nType=notify\nTimeoutStartSec=300ms\nExecStart=/bin/sleep 60\n",
	"t-simple.service":    "[Service]\nType=simple\nExecStart=/no/such/program\n",
	"t-shortly.service":   "[Service]\nExecStart=/bin/sleep 0.05\n",
	"t-condition.service": "[Unit]\nConditionPathExists=/no/such/file\n[Service]\nExecStart=/bin/sleep 60\n",
	"t-assert.service":    "[Unit]\nAssertPathExists=/no/such/file\n[Service]\nExecStart=/bin/sleep 60\n",
	"t-jobtime.service":   "[Unit]\nJobTimeoutSec=300ms\n[Service]\nType=oneshot\nTimeoutStartSec=60\nExecStart=/bin/sleep 60\n",
	"t-needs.service":     "[Unit]\nRequires=t-exit1.service\nAfter=t-exit1.service\n[Service]\nExecStart=/bin/sleep 60\n",
	"t-fine.service":      "[Service]\nType=exec\nExecStart=/bin/sleep 600\n",
	"t-execcond.service":  "[Service]\nType=oneshot\nExecCondition=/bin/false\nExecStart=/bin/true\n",
	"t-killed.service":    "[Service]\nTimeoutStopSec=300ms\nExecStart=/bin/sh -c \"trap '' TERM; exec sleep 600\"\nExecStartPost=/bin/sleep 0.1\n",
	"t-hangs.service":     "[Service]\nTimeoutStopSec=60\nExecStart=/bin/sh -c \"trap '' TERM; exec sleep 600\"\nExecStartPost=/bin/sleep 0.1\n",
	"t-slow.service":      "[Service]\nType=oneshot\nTimeoutStartSec=60\nExecStart=/bin/sleep 60\n",
	"t-noiso.target":      "[Unit]\nDescription=no isolation\n",
	"t-iso.target":        "[Unit]\nRequires=multi-user.target\nAfter=multi-user.target\nAllowIsolate=yes\n",
}

func TestLabJobResults(t *testing.T) {
	a, _ := newActor(t, testPolicy)
	addUnits(t, jobUnits)
	sh(t, "systemctl mask --runtime t-masked.service 2>&1")
	t.Cleanup(func() { sh(t, "systemctl unmask --runtime t-masked.service") })
	for _, c := range []struct {
		verb fsm.Verb
		unit string
		want string // empty: no error
		is   error
	}{
		{fsm.Run, "t-oneshot.service", "", nil},
		{fsm.Run, "t-exit1.service", "cannot start t-exit1.service: job result failed", nil},
		{fsm.Start, "t-badpath.service", "cannot start t-badpath.service: job result failed", nil},
		{fsm.Start, "t-mute.service", "cannot start t-mute.service: job result failed", nil},
		{fsm.Start, "t-simple.service", "", nil},
		{fsm.Start, "t-shortly.service", "", nil},
		{fsm.Start, "t-condition.service", "", nil},
		{fsm.Run, "t-execcond.service", "", nil},
		{fsm.Start, "t-assert.service", "cannot start t-assert.service: job result assert", nil},
		{fsm.Start, "t-jobtime.service", "cannot start t-jobtime.service: job result timeout", nil},
		{fsm.Start, "t-needs.service", "cannot start t-needs.service: job result dependency", nil},
		{fsm.Start, "t-masked.service", "cannot start t-masked.service: it is masked", errMasked},
		{fsm.Start, "t-missing.service", "cannot start t-missing.service: no such unit", ErrNotFound},
		{fsm.Stop, "t-missing.service", "cannot stop t-missing.service: no such unit", ErrNotFound},
		{fsm.Start, "no unit name", "cannot start no unit name: Unit name no unit name is not valid.", nil},
		{fsm.Start, "t-fine.service", "", nil},
		{fsm.Start, "t-fine.service", "", nil},
		{fsm.Stop, "t-fine.service", "", nil},
		{fsm.Stop, "t-fine.service", "", nil},
		{fsm.Start, "t-killed.service", "", nil},
		{fsm.Stop, "t-killed.service", "", nil},
		{fsm.Isolate, "t-missing.target", "cannot isolate t-missing.target: no such unit", ErrNotFound},
	} {
		err := do(t, a, c.verb, c.unit)
		switch {
		case c.want == "" && err != nil, c.want != "" && (err == nil || err.Error() != c.want):
			t.Errorf("%s %s: %v, want %q", c.verb, c.unit, err, c.want)
		case c.is != nil && !errors.Is(err, c.is):
			t.Errorf("%s %s: %v is no %v", c.verb, c.unit, err, c.is)
		}
	}
	if got := show(t, "t-killed.service", "Result"); got != "timeout" {
		t.Errorf("the unit that had to be killed ended by %s", got)
	}
	err := do(t, a, fsm.Isolate, "t-noiso.target")
	if err == nil || !strings.HasPrefix(err.Error(), "cannot isolate t-noiso.target: NoIsolation: ") {
		t.Errorf("a target without AllowIsolate: %v", err)
	}
}

func TestLabStartIsCanceledByAStop(t *testing.T) {
	a, _ := newActor(t, testPolicy)
	addUnits(t, jobUnits)
	ended := make(chan error, 1)
	go func() { ended <- do(t, a, fsm.Start, "t-slow.service") }()
	waitFor(t, "the start job", func() bool { return show(t, "t-slow.service", "ActiveState") == "activating" })
	sh(t, "systemctl stop t-slow.service")
	if err := <-ended; err == nil || err.Error() != "cannot start t-slow.service: job result canceled" {
		t.Errorf("a start that somebody stopped: %v", err)
	}
}

func TestLabHangingStopEndsWithTheContext(t *testing.T) {
	a, _ := newActor(t, testPolicy)
	addUnits(t, jobUnits)
	if err := do(t, a, fsm.Start, "t-hangs.service"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	err := doWithin(t, a, fsm.Stop, "t-hangs.service", 300*time.Millisecond)
	wantTimedOut(t, err)
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %s", took)
	}
	if !strings.HasPrefix(err.Error(), "cannot stop t-hangs.service: its job is still running: ") {
		t.Errorf("error %q", err)
	}
	if state := show(t, "t-hangs.service", "ActiveState"); state != "deactivating" {
		t.Errorf("the unit is %s: its job did not go on", state)
	}
	if err := do(t, a, fsm.Start, "t-fine.service"); err != nil {
		t.Errorf("the next operation: %v", err)
	}
}

func TestLabIsolateOfAnActiveTargetIsRefused(t *testing.T) {
	a, _ := newActor(t, testPolicy)
	addUnits(t, jobUnits)
	t.Cleanup(func() { sh(t, "systemctl start graphical.target") })
	sh(t, "systemctl start t-fine.service")
	if err := do(t, a, fsm.Isolate, "t-iso.target"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the isolate's effect", func() bool { return show(t, "t-fine.service", "ActiveState") == "inactive" })
	sh(t, "systemctl start t-fine.service")
	if err := do(t, a, fsm.Isolate, "t-iso.target"); !errors.Is(err, ErrActive) {
		t.Errorf("a second isolate: %v", err)
	}
	wantState(t, "t-fine.service", "loaded", "active")
}

// Who moves a host to and fro reaches the limit of starts that is there for what fails
// by itself.
func TestLabStartsBeyondTheirLimit(t *testing.T) {
	a, _ := newActor(t, testPolicy)
	addUnits(t, map[string]string{"t-limit.service": "[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=2\n[Service]\nExecStart=/bin/sleep 600\n"})
	for i := range 4 {
		if err := a.Do(t.Context(), fsm.Op{Verb: fsm.Start, Arg: "t-limit.service"}); err != nil {
			t.Fatalf("start %d: %v", i+1, err)
		}
		if err := a.Do(t.Context(), fsm.Op{Verb: fsm.Stop, Arg: "t-limit.service"}); err != nil {
			t.Fatal(err)
		}
	}
}
