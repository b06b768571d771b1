package integration

import (
	"strings"
	"testing"

	"github.com/modewatch/modewatch/fsm"
)

// A worker that outlives its server keeps the AI unit from counting as stopped,
// though systemd calls it inactive: it is named, and once it is gone the attempt
// goes on at once.
func TestAWorkerThatOutlivesItsServer(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{login: "none", files: map[string]string{
		"/usr/local/bin/vllm-program":                             strings.Replace(vllmProgram, "exec ", "sleep infinity &\nexec ", 1),
		"/etc/systemd/system/vllm@compute.service.d/50-kill.conf": "[Service]\nKillMode=process\n",
	}})
	d.rests(fsm.AtDesktop)
	d.want(0, "request", "compute")
	if out := d.mode("observe").Stdout; !strings.Contains(out, "vllm@compute.service: 2") {
		t.Errorf("the workers are not counted:\n%s", out)
	}
	end := d.asked(fsm.Desktop)
	d.eventually("the wait for the worker", func() bool {
		a := d.snapshot().Attempt
		return a != nil && strings.Contains(a.Await, "vllm@compute.service to be empty, there is sleep (PID ")
	})
	if got := strings.TrimSpace(d.Must(t, "systemctl", "show", "-P", "ActiveState", "vllm@compute.service")); got != "inactive" {
		t.Errorf("the unit is %s", got)
	}
	if out := d.mode("observe").Stdout; !strings.Contains(out, "orphan: sleep (PID ") || !strings.Contains(out, "vllm-foreign:") {
		t.Errorf("the worker is not told:\n%s", out)
	}
	d.Must(t, "sh", "-c", "kill $(cat /sys/fs/cgroup/ai.slice/vllm@compute.service/cgroup.procs)")
	d.came(end, fsm.Reached, 0)
	d.rests(fsm.AtDesktop)
}
