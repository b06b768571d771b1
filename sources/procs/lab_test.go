package procs

import (
	"os"
	"os/exec"
	"slices"
	"testing"
)

// sandbox is what of the daemon's sandbox (dist/systemd/hardening.conf) bears on
// listening for programs, and the line that it has to be opened by.
var sandbox = []string{
	"CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_SYS_PTRACE CAP_CHOWN", "NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectControlGroups=yes",
	"ProtectKernelTunables=yes", "SystemCallFilter=@system-service", "SystemCallFilter=~@privileged @resources", "SystemCallErrorNumber=EPERM",
}

const opened = "SystemCallFilter=fanotify_init fanotify_mark"

func inLab(t *testing.T) {
	t.Helper()
	if os.Getenv("MODEWATCH_IN_LAB") != "1" {
		t.Skip("SKIP-REASON: needs the lab (MODEWATCH_IN_LAB=1)")
	}
}

// In a container, on its overlay of file systems, starts and ends are told.
func TestLabStartAndEnd(t *testing.T) {
	inLab(t)
	startAndEnd(t)
}

// The daemon's sandbox needs two system calls more, and no capability.
func TestLabSandbox(t *testing.T) {
	inLab(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	run := func(extra ...string) ([]byte, error) {
		args := []string{"--wait", "--quiet", "--pipe", "-E", withoutCapability + "=1", "-p", "PrivateTmp=yes"}
		for _, p := range slices.Concat(sandbox, extra) {
			args = append(args, "-p", p)
		}
		return exec.Command("systemd-run", append(args, self, "-test.run=^TestExecsNeedNoCapability$", "-test.v")...).CombinedOutput()
	}
	if out, err := run(); err == nil {
		t.Errorf("the sandbox is open as it is\n%s", out)
	}
	if out, err := run(opened); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
