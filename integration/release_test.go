package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// What a user's own manager runs outlives the session for logind's ten seconds. The
// wait for the GPU names it, and ends as soon as it has ended.
func TestTheGPUIsReleasedLate(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{})
	d.rests(fsm.AtDesktop)
	d.Must(t, "sh", "-c", "mkdir -p /dev/dri && : >/dev/dri/card0 && chmod 666 /dev/dri/card0")
	if r, err := d.RunAs(t.Context(), "alice", "systemd-run", "--user", "--quiet", "--unit=render", "-p", "Type=exec", "sh", "-c", "exec sleep infinity 9<>/dev/dri/card0"); err != nil || r.Code != 0 {
		t.Fatalf("%v: %s", err, r.Stderr)
	}
	held := func() bool { return strings.Contains(d.mode("observe").Stdout, "sleep (PID ") }
	d.eventually("the holder", held)
	end := d.asked(fsm.Compute)
	d.eventually("the wait for the holder", func() bool {
		a := d.snapshot().Attempt
		return a != nil && a.Op.Verb == fsm.AwaitRelease && strings.Contains(a.Await, "holds /dev/dri/card0")
	})
	var killed int64
	if _, err := fmt.Sscan(d.Must(t, "sh", "-c", "cd /sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/render.service && pid=$(cat cgroup.procs) && date +%s%N && kill -KILL $pid"), &killed); err != nil {
		t.Fatal(err)
	}
	a := d.came(end, fsm.Reached, 0)
	i := slices.IndexFunc(a.Steps, func(s fsm.StepResult) bool { return s.Op.Verb == fsm.AwaitRelease })
	if i < 0 {
		t.Fatalf("no wait for the GPU: %+v", a.Steps)
	}
	t.Logf("figure: from the end of the last holder to the end of the wait for the GPU: %v", a.Steps[i].Ended.Sub(time.Unix(0, killed)).Round(time.Millisecond))
}
