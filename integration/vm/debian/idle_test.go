package debian

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

const quick = "idle.after = \"4s\"\nidle.countdown = \"8s\"\nreturn = true\n"

// What a whole evening is like: an idle machine does nothing while it may not; not
// from the studio; not while something plays or somebody asked that it stay. Then it
// goes, and says so before. A key brings it back.
func TestAnEveningAtHome(t *testing.T) {
	h := newHome(t, "background = false\nidle.watch = true\n"+quick)
	h.onlyTells()
	h.staysInTheStudio()
	h.waitsForSilence()
	h.goes()
	h.comesBack()
}

// onlyTells is the shut gate.
func (h *home) onlyTells() {
	h.t.Helper()
	h.eventually("what it would have done", func() bool { return len(h.notes(fsm.NoteGate)) > 0 })
	h.Key(h.t, "shift") // another idle time begins
	h.sh("sleep 7")
	if got := h.notes(fsm.NoteGate); len(got) != 1 || !strings.Contains(got[0], "would have started a transition to compute (idle), but ") {
		h.t.Errorf("it told %q", got)
	}
	if s, word := h.snapshot(), h.sh("cat /run/mode-controller/desired"); s.State != fsm.AtDesktop || word != "desktop" || h.tries(fsm.ByIdle) != 0 {
		h.t.Errorf("it is in %s, wished is %s\n%s", s.State, word, h.story())
	}
}

func (h *home) staysInTheStudio() {
	h.t.Helper()
	h.sh("modewatch request studio-local")
	h.configure("background = true\n" + quick)
	h.sh("sleep 10")
	if s := h.snapshot(); s.State != fsm.AtStudioLocal || h.tries(fsm.ByIdle) != 0 {
		h.t.Errorf("it is in %s\n%s", s.State, h.story())
	}
}

// waitsForSilence has alice play to the bare card, and then ask that the machine stay
// up, as a player of films does.
func (h *home) waitsForSilence() {
	h.t.Helper()
	h.sh("modprobe snd-dummy; udevadm wait --timeout=20 --settle /dev/snd/pcmC0D0p")
	h.asAlice("aplay -q -D hw:0 -f S16_LE -c 2 -r 48000 /dev/zero")
	h.eventually("the card to play", func() bool {
		return strings.Contains(h.sh("cat /proc/asound/card0/pcm0p/sub0/status"), "RUNNING")
	})
	h.sh("modewatch request desktop")
	h.stays("check_audio_idle (10): audio is in use by aplay (PID ")
	h.asAlice("systemd-inhibit --what=idle --who=film --why=watching sleep infinity")
	h.eventually("the lock", func() bool { return strings.Contains(h.sh("systemd-inhibit --list"), "film") })
	h.sh("pkill -x aplay")
	h.stays("check_user_jobs_safe (13): film")
	if s := h.snapshot(); s.Wish.Mode != fsm.Desktop || h.tries(fsm.ByIdle) != 0 || !h.occupied() {
		h.t.Errorf("wished is %+v\n%s", s.Wish, h.story())
	}
}

// stays waits until an idle host says what keeps it, and wants it told.
func (h *home) stays(why string) {
	h.t.Helper()
	h.eventually("that it waits for "+why, func() bool { return strings.Contains(h.snapshot().Waits, why) })
	h.tells("but this host stays in desktop: " + why)
}

// goes ends what keeps the machine, and wants it in compute.
func (h *home) goes() {
	h.t.Helper()
	h.sh("pkill -x -f 'sleep infinity'")
	r := h.counts()
	if r.Wish.Reason != fsm.ByIdle || r.From != fsm.Desktop || r.To != fsm.Compute {
		h.t.Errorf("the countdown is %+v", r)
	}
	h.rests(fsm.AtCompute)
	a := h.last()
	if a.Wish.Reason != fsm.ByIdle || a.Wish.By != fsm.NoCaller || a.Outcome != fsm.Reached || a.From != fsm.Desktop || a.Final != fsm.Compute {
		h.t.Fatalf("%+v\n%s", a, h.story())
	}
	if s := a.Steps[0]; s.Op.Verb != fsm.Countdown || s.Ended.Sub(s.Began) < 3*time.Second {
		h.t.Errorf("the first step was %+v", s)
	}
	if got := h.sh("systemctl is-active compute.target vllm@compute.service desktop.target getty@tty1.service || true"); got != "active\nactive\ninactive\ninactive" {
		h.t.Errorf("compute, the model server, desktop and the console are\n%s", got)
	}
	if h.occupied() || h.sh("cat /run/mode-controller/desired") != "compute" {
		h.t.Errorf("alice is still there, or it is not wished\n%s", h.story())
	}
	h.tells("desktop → compute", "idle")
}

// tells wants words in the story of the journal, in this order.
func (h *home) tells(words ...string) {
	h.t.Helper()
	story := h.story()
	rest := story
	for _, w := range words {
		_, after, found := strings.Cut(rest, w)
		if !found {
			h.t.Errorf("the journal does not tell %q\n%s", w, story)
			return
		}
		rest = after
	}
}

// comesBack presses a key in compute.
func (h *home) comesBack() {
	h.t.Helper()
	h.sh("sleep 2") // until fingers are off the keys
	h.Key(h.t, "shift")
	h.eventually("the way back", func() bool { a := h.last(); return a.To == fsm.Desktop && a.Wish.Reason == fsm.ByReturn })
	if a := h.last(); a.Outcome != fsm.Reached || a.From != fsm.Compute {
		h.t.Errorf("%+v\n%s", a, h.story())
	}
	h.tells("compute → transitioning: somebody came back, so desktop is wished", "desktop reached")
	h.eventually("alice to be logged in again", h.occupied)
}

// A key in the countdown calls it off, and nothing has changed. It is tried again when
// nobody has touched the machine for the whole time anew, and not within a minute.
func TestAKeyInTheCountdown(t *testing.T) {
	t.Parallel()
	const after = 10 * time.Second
	h := newHome(t, "background = true\nidle.after = \"0s\"\n") // it may take long to come up
	h.configure("background = true\nidle.after = \"10s\"\nidle.countdown = \"60s\"\n")
	shell := h.sh("pgrep -u alice -x sway")
	r := h.counts()
	if said := h.sh("modewatch status"); !strings.Contains(said, "countdown") {
		t.Errorf("status says nothing of the countdown\n%s", said)
	}
	pressed := h.clock()
	h.Key(t, "shift")
	h.rests(fsm.AtDesktop)
	a := h.last()
	if a.ID != r.ID || a.Outcome != fsm.Cancelled || a.Final != fsm.Desktop || !strings.Contains(a.Cause, "input on QEMU Virtio Keyboard") {
		t.Fatalf("%+v\n%s", a, h.story())
	}
	t.Logf("figure: from a key in the countdown to the end of the attempt: %v", a.Ended.Sub(pressed).Round(time.Millisecond))
	if len(a.Steps) != 1 || h.sh("pgrep -u alice -x sway") != shell || h.sh("cat /run/mode-controller/desired") != "desktop" {
		t.Errorf("steps were made, alice was disturbed, or desktop is not wished\n%+v\n%s", a.Steps, h.story())
	}
	h.tells("cancelled", "input on QEMU Virtio Keyboard")

	h.sh("sleep 50") // most of the minute
	touched := h.clock()
	if err := h.Move(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	r = h.counts()
	if since := r.Begun.Sub(touched); since < after || r.Begun.Sub(a.Ended) < time.Minute || h.tries(fsm.ByIdle) != 1 {
		t.Errorf("it was tried again %v after the mouse, %v after it was called off\n%s", since, r.Begun.Sub(a.Ended), h.story())
	} else {
		t.Logf("figure: the mouse was touched once; tried again after %v", since.Round(time.Millisecond))
	}
}

// A mouse that moves a thousand times a second, or as often as the emulator takes it,
// wakes the daemon once in five seconds.
func TestAMouse(t *testing.T) {
	t.Parallel()
	h := newHome(t, "background = true\n")                       // idle after the default, which is long
	const d, cycle, slots = 15 * time.Second, 5 * time.Second, 2 // a second
	h.sh("sleep 7")                                              // until what came before is over
	before := h.spent()
	awake := h.wakes(slots)
	moves, tick := 0, time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for begin := time.Now(); time.Since(begin) < d; moves++ {
		<-tick.C
		if err := h.Move(h.t.Context(), 1-moves%2*2); err != nil {
			h.t.Fatal(err)
		}
	}
	n, after := awake(), h.spent()
	h.t.Logf("figure: a mouse that moves %d times in %v: the daemon was awake in %d of %d half seconds, its threads slept %d times, it used %v of CPU time (emulated)",
		moves, d, n, slots*int(d.Seconds()), after.switches-before.switches, (after.cpu - before.cpu).Round(time.Millisecond))
	if most := 2 * (int(d/cycle) + 1); n == 0 || n > most { // each of its looks may be in two
		h.t.Errorf("it was awake in %d half seconds, want 1 to %d", n, most)
	}
	if moves < 1000 {
		h.t.Errorf("the mouse moved %d times only", moves)
	}
}

// wakes has the kernel trace the daemon's wake-ups. What it returns counts the parts of
// a second, so many each, in which there was one.
func (h *home) wakes(slots int) (count func() int) {
	h.t.Helper()
	h.sh(`cd /sys/kernel/tracing; echo >trace
		echo 'comm ~ "modewatch*"' >events/sched/sched_waking/filter; echo 1 >events/sched/sched_waking/enable`)
	return func() (n int) {
		h.t.Helper()
		text := h.sh(fmt.Sprintf(`cd /sys/kernel/tracing; echo 0 >events/sched/sched_waking/enable
			sed -n 's/.* \([0-9.]*\): sched_waking:.*/\1/p' trace | awk '{ s = int($1 * %d); if (s != last) n++; last = s } END { print n + 0 }'`, slots))
		if _, err := fmt.Sscan(text, &n); err != nil {
			h.t.Fatalf("%v\n%s", err, text)
		}
		return n
	}
}

// spent is what the daemon has used: how often one of its threads went to sleep of its
// own accord, those of the runtime included, and CPU time.
type spent struct {
	switches int
	cpu      time.Duration
}

func (h *home) spent() (s spent) {
	h.t.Helper()
	text := h.sh(`cd /proc/$(systemctl show -P MainPID modewatch.service)/task
		cat */status | awk '/^voluntary_ctxt_switches/ { n += $2 } END { print n }'
		cat */schedstat | awk '{ n += $1 } END { print n }'`)
	var ns int64
	if _, err := fmt.Sscan(text, &s.switches, &ns); err != nil {
		h.t.Fatalf("%v\n%s", err, text)
	}
	s.cpu = time.Duration(ns)
	return s
}
