package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// slowVLLM makes the model load last, so that an attempt has a long wait.
const slowVLLM = "#!/bin/sh\nexec /usr/local/bin/vllm -listen 127.0.0.1:8000 -control /run/vllm.control -ready-after 3s\n"

func TestTheLastWishWins(t *testing.T) {
	for _, gap := range []time.Duration{2, 30, 150, 500} {
		gap *= time.Millisecond
		t.Run(gap.String(), func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, setup{files: map[string]string{"/usr/local/bin/vllm-program": slowVLLM}})
			d.rests(fsm.AtDesktop)
			since := d.now()
			d.Must(t, "sh", "-c", fmt.Sprintf("cd /run/mode-controller; echo compute >desired; sleep %g; echo desktop >desired", gap.Seconds()))
			d.eventually("an end in desktop", func() bool {
				a, s := d.last(), d.snapshot()
				return a.To == fsm.Desktop && a.Ended.After(since) && s.Attempt == nil && s.State == fsm.AtDesktop
			})
			if a := d.last(); !a.Success {
				t.Errorf("the last wish ended %s: %s\n%s", a.Outcome, a.Cause, d.story())
			}
			if got := strings.TrimSpace(d.mode("desired").Stdout); got != "desktop" {
				t.Errorf("desired is %q", got)
			}
			d.settled(fsm.Desktop)
		})
	}
}

// settled wants the mode to still be there a second later: no late wish acts.
func (d *desk) settled(m fsm.Mode) {
	d.t.Helper()
	id := d.last().ID
	time.Sleep(time.Second)
	d.sees(m)
	if now := d.last().ID; now != id {
		d.t.Errorf("another attempt was made afterwards\n%s", d.story())
	}
}

func TestAWishWhileTheDaemonIsDownActsOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{})
	d.rests(fsm.AtDesktop)
	d.Must(t, "systemctl", "stop", "modewatch.service")
	since := d.now()
	d.echo(fsm.Compute)
	d.Must(t, "systemctl", "start", "modewatch.service")
	d.ended(fsm.Compute, since)
	d.settled(fsm.Compute)
	d.Must(t, "systemctl", "restart", "modewatch.service")
	d.rests(fsm.AtCompute)
	d.settled(fsm.Compute)
}

func TestTheSameWishAHundredTimesIsOneTransition(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{})
	d.rests(fsm.AtDesktop)
	d.Must(t, "sh", "-c", "for i in $(seq 100); do echo compute >/run/mode-controller/desired; done")
	d.rests(fsm.AtCompute)
	d.settled(fsm.Compute)
	begun := 0
	for _, e := range d.edges() {
		if strings.HasPrefix(e, "begin desktop ") {
			begun++
		}
	}
	if begun != 1 {
		t.Errorf("%d transitions began\n%s", begun, d.story())
	}
}

func TestTheJournalTellsEachEdgeOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{})
	d.rests(fsm.AtDesktop)
	d.want(0, "request", "studio-local")
	d.want(0, "request", "desktop")
	d.want(0, "request", "compute")
	d.want(0, "request", "desktop")
	want := []string{
		"begin boot transitioning", "reached-desktop transitioning desktop",
		"reached-studio-local desktop studio-local", "reached-desktop studio-local desktop",
		"begin desktop transitioning", "reached-compute transitioning compute",
		"begin compute transitioning", "reached-desktop transitioning desktop",
	}
	if got := d.edges(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the journal tells\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestStateAnswersWhileAStepHangs(t *testing.T) {
	t.Parallel()
	// A unit that takes seconds to stop keeps the isolate waiting.
	d := newDesk(t, setup{files: inSystem(map[string]string{"slow.service": lingers(8)}), enable: []string{"slow.service"}})
	d.rests(fsm.AtDesktop)
	d.want(0, "request", "compute", "--detach")
	d.eventually("the isolate to hang", func() bool {
		a := d.snapshot().Attempt
		return a != nil && a.Op.Verb == fsm.Isolate && strings.Contains(a.Await, "slow.service")
	})
	var worst time.Duration
	for range 20 {
		began := time.Now()
		r := d.want(0, "state")
		worst = max(worst, time.Since(began))
		if got := strings.TrimSpace(r.Stdout); got != "transitioning" {
			t.Fatalf("state says %q", got)
		}
	}
	if worst > time.Second { // entering the container included
		t.Errorf("state took %s", worst)
	}
	t.Logf("figure: state during a hanging step, worst of 20, entering the container included: %s", worst)
	if out := d.want(0, "status").Stdout; !strings.Contains(out, "slow.service") {
		t.Errorf("status does not say what is awaited:\n%s", out)
	}
	d.want(0, "cancel")
}

func TestTheSecondControllerIsRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{})
	d.rests(fsm.AtDesktop)
	r := d.want(43, "run")
	if !strings.Contains(r.Stderr, d.pid("modewatch.service")) {
		t.Errorf("it does not name the holder: %s", r.Stderr)
	}
}

func TestAReload(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{})
	d.rests(fsm.AtDesktop)
	pid := d.pid("modewatch.service")
	good, err := d.ReadFile("/etc/modewatch/config.toml")
	if err != nil {
		t.Fatal(err)
	}
	reload := func(text string) {
		t.Helper()
		if err := d.WriteFile("/etc/modewatch/config.toml", text); err != nil {
			t.Fatal(err)
		}
		d.Must(t, "systemctl", "reload", "modewatch.service")
	}
	// Refused whole: the wish by file still works.
	reload("[triggers]\ndesired_file = false\nnonsense = 1\n")
	if !strings.Contains(d.story(), "nonsense") {
		t.Errorf("the fault is not told:\n%s", d.story())
	}
	since := d.now()
	d.echo(fsm.StudioLocal)
	d.ended(fsm.StudioLocal, since)
	// Taken: the file is not heeded any more, what would have been is told.
	reload(string(good) + "\n[triggers]\ndesired_file = false\n")
	d.eventually("the daemon to rest again", func() bool { return d.snapshot().State == fsm.AtStudioLocal })
	d.echo(fsm.Desktop)
	d.eventually("the gate to be told", func() bool { return strings.Contains(d.story(), "triggers.desired_file is false") })
	d.settled(fsm.StudioLocal)
	d.want(0, "request", "desktop")
	if now := d.pid("modewatch.service"); now != pid {
		t.Errorf("the daemon's PID was %s and is %s", pid, now)
	}
}
