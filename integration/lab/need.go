package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// Need skips the test where no machine can be booted, saying why. With
// MODEWATCH_LAB=require in the environment it fails the test instead.
func Need(tb testing.TB) {
	tb.Helper()
	Require(tb, able())
}

// Require is Need for another lab, which cannot run because of err; nil if it can.
func Require(tb testing.TB, err error) {
	tb.Helper()
	if os.Getenv("MODEWATCH_LAB") == "off" {
		err = errors.New("the lab is switched off by MODEWATCH_LAB=off")
	}
	switch {
	case err == nil:
	case os.Getenv("MODEWATCH_LAB") == "require":
		tb.Fatalf("cannot run the lab: %v", err)
	default:
		tb.Skipf("SKIP-REASON: %v", err)
	}
}

// able says what this host lacks to run a machine, or nil.
func able() error {
	if os.Geteuid() != 0 {
		return errors.New("the lab needs root")
	}
	for _, tool := range []string{"systemd-nspawn", "mmdebstrap", "nsenter"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("the lab needs %s", tool)
		}
	}
	_, err := hierarchies()
	return err
}
