package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// impatient is a configuration whose background triggers are open, in seconds
// instead of minutes. A container has no input device, so that it is idle from the
// start of the daemon; what a key does is tested where there is one.
const impatient = `
[triggers]
background = true

[triggers.idle]
after = "2s"
countdown = "1s"
`

// hears has somebody on the user's bus of alice listen for notifications.
func (d *desk) hears() (told func() string) {
	d.t.Helper()
	d.in(d.alice, "XDG_RUNTIME_DIR=/run/user/1000 setsid busctl --user monitor --match=\"interface='org.freedesktop.Notifications'\" >/tmp/heard 2>&1 </dev/null &")
	told = func() string {
		d.t.Helper()
		text, _ := d.ReadFile("/tmp/heard")
		return string(text)
	}
	d.eventually("the listener", func() bool { return strings.Contains(told(), "Monitoring") })
	return told
}

func TestAnIdleHostGoesToCompute(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{login: "dm"})
	d.rests(fsm.AtDesktop)
	told := d.hears()
	d.configure(impatient)
	d.eventually("the countdown", func() bool { return d.snapshot().Attempt != nil && d.snapshot().Attempt.Op.Verb == fsm.Countdown })
	if got := d.mode("status").Stdout; !strings.Contains(got, "countdown") {
		t.Errorf("status says nothing of the countdown\n%s", got)
	}
	d.eventually("the notification", func() bool { return strings.Contains(told(), "This computer is about to work for others") })
	d.rests(fsm.AtCompute)
	a := d.last()
	if a.Wish.Reason != fsm.ByIdle || a.Outcome != fsm.Reached || a.From != fsm.Desktop {
		t.Fatalf("%+v\n%s", a, d.story())
	}
	if s := d.result(a, fsm.Countdown); s.Ended.Sub(s.Began) < time.Second {
		t.Errorf("the countdown took %v", s.Ended.Sub(s.Began))
	}
	if word, err := d.ReadFile("/run/mode-controller/desired"); err != nil || strings.TrimSpace(string(word)) != "compute" {
		t.Errorf("desired is %q, %v", word, err)
	}
	d.told(a)
}

// An idle host stays while something is in the way, says why once, and goes when the
// cause is over.
func TestWhatAnIdleHostWaitsFor(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{files: map[string]string{"/etc/systemd/system/burner.service": "[Service]\nExecStart=systemd-inhibit --what=shutdown --who=burner --why=burning sleep infinity\n"}})
	d.rests(fsm.AtDesktop)
	d.Must(t, "systemctl", "start", "burner.service")
	audible("pacat --playback --raw /dev/zero", "")(d)
	d.configure(impatient)
	stays := func(guard string) {
		t.Helper()
		d.eventually(guard+" to keep it", func() bool {
			notes, err := d.Journal(t.Context(), "-t", "modewatch", "MODEWATCH_NOTE="+fsm.NoteSource)
			return err == nil && len(notes) > 0 && strings.Contains(notes[len(notes)-1]["MESSAGE"], "stays in desktop: "+guard)
		})
	}
	stays("check_audio_idle (10): audio is in use by pacat")
	gone("pacat")(d)
	d.Must(t, "sh", "-c", "(while :; do echo; sleep 0.2; done | exec ssh -tt bob@localhost cat) >/dev/null 2>&1 </dev/null & echo $! >/run/typist")
	stays("check_user_jobs_safe (13): ")
	d.Must(t, "systemctl", "stop", "burner.service")
	stays("check_idle (13): uid 1001 typed on /dev/pts/")
	if n := len(d.recorded("")); n != 1 {
		t.Errorf("%d attempts were made\n%s", n, d.story())
	}
	if d.snapshot().Wish.Mode != fsm.Desktop {
		t.Errorf("wished is %+v", d.snapshot().Wish)
	}
	d.Must(t, "sh", "-c", "kill $(cat /run/typist); pkill -x ssh; true")
	d.rests(fsm.AtCompute)
}

func TestTheGateHoldsAnIdleHost(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{})
	d.rests(fsm.AtDesktop)
	d.configure(strings.Replace(impatient, "background = true", "background = false", 1) + "watch = true\n")
	notes := func() int {
		entries, err := d.Journal(t.Context(), "-t", "modewatch", "MODEWATCH_NOTE="+fsm.NoteGate)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	d.eventually("what it would have done", func() bool { return notes() == 1 })
	d.Must(t, "systemd-run", "--quiet", "--wait", "true") // something happens, and it is looked at again
	d.want(0, "request", "studio-local")
	d.want(0, "request", "desktop")
	d.eventually("what it would do now", func() bool { return notes() == 2 })
	if a := d.last(); a.Wish.Reason != fsm.ByRequest {
		t.Errorf("the last attempt is by %s", a.Wish.Reason)
	}
}

func TestAnIdleStudioStays(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{})
	d.rests(fsm.AtDesktop)
	d.want(0, "request", "studio-local")
	d.configure(impatient)
	d.Must(t, "sleep", "6") // three times as long as it takes
	if n := len(d.recorded("")); n != 2 || d.observed() != fsm.StudioLocal {
		t.Errorf("%d attempts, %s is observed\n%s", n, d.observed(), d.story())
	}
	d.want(0, "request", "desktop")
	d.rests(fsm.AtCompute)
}

// A unit of the mode that dies is started again; one that cannot be, once.
func TestWhatAModeLacksIsStartedAgain(t *testing.T) {
	t.Parallel()
	d := newDesk(t, setup{})
	d.rests(fsm.AtDesktop)
	d.want(0, "request", "compute")
	d.configure("\n[triggers]\nbackground = true\nidle.after = \"0s\"\n")
	before := d.pid("vllm@compute.service")
	d.Must(t, "systemctl", "stop", "vllm@compute.service")
	d.eventually("the model server to be back", func() bool {
		now := d.pid("vllm@compute.service")
		return now != "0" && now != before && d.last().Wish.Reason == fsm.ByDrift
	})
	d.rests(fsm.AtCompute)
	if a := d.last(); a.Outcome != fsm.Reached || a.Kind != fsm.Repair {
		t.Errorf("%+v", a)
	}
}

// A wish that was refused is tried again by itself, as soon as what refused it is over;
// what costs something is listened to only while it waits.
func TestARefusedWishIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code  int
		begin func(*desk) string
		over  func(*desk)
		waits string
	}{
		"audio": {10, audible("pacat --playback --raw /dev/zero", ""), gone("pacat"), "check_audio_idle (10): audio is in use by pacat"},
		"a job": {13, inSession("rsync"), gone("rsync"), "check_user_jobs_safe (13): "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, setup{})
			d.rests(fsm.AtDesktop)
			d.configure("\n[triggers]\nbackground = true\nidle.after = \"0s\"\nidle.countdown = \"1s\"\n")
			c.begin(d)
			d.want(c.code, "request", "compute")
			d.eventually("it to wait", func() bool {
				return strings.Contains(d.snapshot().Waits, "compute once nothing refuses it; now "+c.waits)
			})
			if got := d.mode("status").Stdout; !strings.Contains(got, "waits for") || !strings.Contains(got, "modewatch cancel") {
				t.Errorf("status says nothing of it\n%s", got)
			}
			listens := func() bool { return d.mustCount("pw-dump") > 0 }
			if name == "audio" {
				d.eventually("the graph to be followed", listens)
			}
			over := time.Now()
			c.over(d)
			d.rests(fsm.AtCompute)
			a := d.last()
			if a.Wish.Reason != fsm.ByRetry || a.Outcome != fsm.Reached || a.Steps[0].Op.Verb != fsm.Countdown {
				t.Fatalf("%+v\n%s", a, d.story())
			}
			if took := a.Begun.Sub(over); took > 20*time.Second {
				t.Errorf("it began %v after the cause was over: by the clock, not because it was told", took)
			} else {
				t.Logf("figure: %s over to the begin of the next try: %v", name, took.Round(time.Millisecond))
			}
			d.eventually("nothing to be listened to", func() bool { return !listens() })
		})
	}
}

// mustCount counts the processes of a name.
func (d *desk) mustCount(name string) int {
	d.t.Helper()
	return len(strings.Fields(d.Must(d.t, "sh", "-c", "pgrep -x "+name+" || true")))
}
