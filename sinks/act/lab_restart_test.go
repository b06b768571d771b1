package act

import (
	"errors"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

const slowStop = "[Service]\nExecStart=/bin/sh -c \"trap '' TERM; exec sleep 600\"\nExecStartPost=/bin/sleep 0.1\nTimeoutStopSec=2\n"

func TestLabManagerReexecutes(t *testing.T) {
	a, _ := newActor(t, testPolicy)
	addUnits(t, map[string]string{"t-slowstop.service": slowStop, "t-fine.service": jobUnits["t-fine.service"]})
	for _, change := range []string{"daemon-reload", "daemon-reexec"} {
		if err := do(t, a, fsm.Start, "t-slowstop.service"); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- do(t, a, fsm.Stop, "t-slowstop.service") }()
		waitFor(t, "the stop", func() bool { return show(t, "t-slowstop.service", "ActiveState") == "deactivating" })
		sh(t, "systemctl %s", change)
		if err := <-ended; err != nil {
			t.Errorf("a stop with a %s in it: %v", change, err)
		}
		if state := show(t, "t-slowstop.service", "ActiveState"); state != "failed" {
			t.Errorf("the unit is %s", state)
		}
		if err := do(t, a, fsm.Start, "t-fine.service"); err != nil {
			t.Errorf("after the %s: %v", change, err)
		}
		if err := do(t, a, fsm.Stop, "t-fine.service"); err != nil {
			t.Errorf("after the %s: %v", change, err)
		}
	}
}

// bringBack has all services that a bus takes with it back on it.
func bringBack(t *testing.T) {
	t.Helper()
	sh(t, "systemctl start dbus.socket dbus.service; systemctl restart systemd-logind.service")
	waitFor(t, "the manager on the bus", func() bool {
		_, err := try("busctl --timeout=1 status org.freedesktop.systemd1 && busctl --timeout=1 status org.freedesktop.login1")
		return err == nil
	})
}

func TestLabBusGoesAway(t *testing.T) {
	a, _ := newActor(t, testPolicy)
	addUnits(t, jobUnits)
	t.Cleanup(func() { bringBack(t) })
	if err := do(t, a, fsm.Start, "t-fine.service"); err != nil {
		t.Fatal(err)
	}
	if err := do(t, a, fsm.EndSession, "none"); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- do(t, a, fsm.Run, "t-slow.service") }()
	waitFor(t, "the start job", func() bool { return show(t, "t-slow.service", "ActiveState") == "activating" })
	sh(t, "systemctl stop dbus.service dbus.socket 2>&1")
	select {
	case err := <-ended:
		if !errors.Is(err, errLost) {
			t.Errorf("a job whose bus goes away: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("a job whose bus goes away is waited for on")
	}
	for _, op := range []fsm.Op{{Verb: fsm.Stop, Arg: "t-fine.service"}, {Verb: fsm.Isolate, Arg: "t-iso.target"},
		{Verb: fsm.EndSession, Arg: "none"}, {Verb: fsm.MaskNow, Arg: "t-fine.service"}} {
		began := time.Now()
		if err := do(t, a, op.Verb, op.Arg); err == nil {
			t.Errorf("%s without a bus is done", op)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("%s without a bus took %s", op, took)
		}
	}
	wantNoMask(t, a, "t-fine.service")
	bringBack(t)
	if err := do(t, a, fsm.Stop, "t-fine.service"); err != nil {
		t.Errorf("with the bus back: %v", err)
	}
	if err := do(t, a, fsm.EndSession, "none"); err != nil {
		t.Errorf("with the bus back: %v", err)
	}
}

func TestLabCloseEndsADo(t *testing.T) {
	a, _ := newActor(t, testPolicy)
	addUnits(t, jobUnits)
	ended := make(chan error, 1)
	go func() { ended <- do(t, a, fsm.Run, "t-slow.service") }()
	waitFor(t, "the start job", func() bool { return show(t, "t-slow.service", "ActiveState") == "activating" })
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, errLost) {
		t.Errorf("a job in mid-close: %v", err)
	}
}
