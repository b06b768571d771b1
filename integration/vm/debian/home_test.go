package debian

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
	furnished "github.com/modewatch/modewatch/integration/desk"
)

// home is a machine with modewatch on it and the daemon up, where alice is logged in
// on the first console and a sway that draws to no screen runs there. It has a
// keyboard and a mouse, with which only the test works.
type home struct {
	*Machine
	t *testing.T
}

// unhurried is a configuration for a machine that is ten times as slow as others,
// small, and always busy.
const unhurried = `
[transitions.deadlines]
isolate = "90s"
session_term = "30s"
session_kill = "30s"
budgets = "60s"
observe = "60s"
[vllm]
drain.deadline = "30s"
[guards.cpu_load_safe]
max_pressure = 100
[guards.memory_headroom]
floor = "64MiB"
[guards.audio_idle]
debounce = "100ms"
[units]
session_starters = ["getty@tty1.service"]
[triggers]
`

// comesHome are the files by which the first console logs alice in.
var comesHome = map[string]string{
	"/etc/systemd/system/getty@tty1.service.d/autologin.conf": "[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin alice --noclear %I $TERM\n",
	"/home/alice/.bash_profile": `[ "$(tty)" = /dev/tty1 ] || return
export WLR_BACKENDS=headless WLR_LIBINPUT_NO_DEVICES=1 WLR_RENDERER=pixman LIBSEAT_BACKEND=noop
exec sway --config /etc/sway.conf
`,
	"/etc/sway.conf": "swaybg_command -\nxwayland disable\n",
}

// newHome boots a machine. triggers are keys of the configuration's [triggers].
func newHome(t *testing.T, triggers string) *home {
	t.Helper()
	Need(t)
	o := furnished.Options(t, unhurried+triggers, comesHome)
	h := &home{Boot(t, Options{Install: o.Install, Files: o.Files}), t}
	// Sound servers are other tests': here they would only take time.
	h.sh(`systemctl --global mask --quiet pipewire.socket pipewire-pulse.socket pipewire.service wireplumber.service filter-chain.service
		udevadm settle
		systemd-sysusers
		systemd-tmpfiles --create modewatch.conf
		systemctl daemon-reload
		systemctl reload dbus.service
		systemctl restart getty@tty1.service
		systemctl start k3s.service modewatch.service`)
	h.eventually("alice at home", h.occupied)
	h.rests(fsm.AtDesktop)
	return h
}

// configure replaces the keys of [triggers], and has the daemon read them.
func (h *home) configure(triggers string) {
	h.t.Helper()
	if err := h.put(h.t.Context(), []byte(unhurried+triggers), "/etc/modewatch/config.toml", 0o644); err != nil {
		h.t.Fatal(err)
	}
	h.sh("modewatch config-check && systemctl reload modewatch.service")
}

func (h *home) sh(script string) string {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	r, err := h.Run(ctx, "sh", "-euc", script)
	if err != nil || r.Code != 0 {
		h.t.Fatalf("%s: %v, exit code %d\n%s%s\n%s", script, err, r.Code, r.Stdout, r.Stderr, h.story())
	}
	return strings.TrimSpace(r.Stdout)
}

// story is what the machine's journal tells, for failed tests.
func (h *home) story() string {
	r, err := h.Run(context.Background(), "journalctl", "-q", "-b", "-t", "modewatch", "-t", "systemd-logind", "-o", "short-precise", "--no-hostname")
	if err != nil {
		return err.Error()
	}
	return r.Stdout
}

// notes are the texts that modewatch told of a kind, oldest first.
func (h *home) notes(kind string) []string {
	h.t.Helper()
	text := h.sh("journalctl --sync; journalctl -q -b -t modewatch -o cat MODEWATCH_NOTE=" + kind)
	return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
}

func (h *home) eventually(what string, cond func() bool) {
	h.t.Helper()
	late := time.After(patience)
	for !cond() {
		select {
		case <-time.After(rarely):
		case <-late:
			h.t.Fatalf("cannot see %s\n%s", what, h.story())
		}
	}
}

// patience bounds each wait, on CPUs that several machines share.
const patience = 3 * time.Minute

// rarely is how long the machine is left alone between two looks: each costs it a
// process, and so time.
const rarely = 500 * time.Millisecond

// occupied tells whether alice has a session with sway in it.
func (h *home) occupied() bool {
	h.t.Helper()
	return h.sh("loginctl list-sessions --no-legend | grep -q 'alice *seat0' && pgrep -u alice -x sway || true") != ""
}

// snapshot is what the daemon tells of itself; the zero one before it did.
func (h *home) snapshot() (s fsm.Snapshot) {
	h.t.Helper()
	h.json("/run/mode-controller/state.json", &s)
	return s
}

// last is the record of the last attempt; the zero one if there is none.
func (h *home) last() (a fsm.Attempt) {
	h.t.Helper()
	h.json("/run/mode-controller/last-transition.json", &a)
	return a
}

func (h *home) json(path string, into any) {
	h.t.Helper()
	r, err := h.Run(h.t.Context(), "cat", path)
	if err == nil && r.Code == 0 {
		err = json.Unmarshal([]byte(r.Stdout), into)
	}
	if err != nil {
		h.t.Fatalf("%s: %v\n%s", path, err, r.Stdout)
	}
}

// rests waits until the daemon rests in a state, no attempt under way.
func (h *home) rests(s fsm.State) {
	h.t.Helper()
	h.eventually("rest in "+string(s), func() bool { now := h.snapshot(); return now.State == s && now.Attempt == nil })
}

// counts waits for a countdown.
func (h *home) counts() fsm.Running {
	h.t.Helper()
	var r fsm.Running
	h.eventually("a countdown", func() bool {
		if now := h.snapshot().Attempt; now != nil {
			r = *now
		}
		return r.Op.Verb == fsm.Countdown
	})
	return r
}

// tries is how many attempts were made for a reason.
func (h *home) tries(why fsm.Reason) int {
	h.t.Helper()
	n := 0
	for line := range strings.Lines(h.sh("cat /var/lib/mode-controller/history.jsonl 2>/dev/null || true")) {
		var a fsm.Attempt
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			h.t.Fatalf("%v\n%s", err, line)
		}
		if a.Wish.Reason == why {
			n++
		}
	}
	return n
}

// clock is the machine's time.
func (h *home) clock() time.Time {
	h.t.Helper()
	now, err := time.Parse(time.RFC3339Nano, h.sh("date --utc +%FT%T.%NZ"))
	if err != nil {
		h.t.Fatal(err)
	}
	return now
}

// asAlice starts a command in alice's session, and leaves it running.
func (h *home) asAlice(command string) {
	h.t.Helper()
	h.sh(`scope=$(cut -d: -f3 /proc/$(pgrep -u alice -x sway)/cgroup)
		echo $$ >/sys/fs/cgroup$scope/cgroup.procs
		setpriv --reuid alice --regid alice --init-groups setsid ` + command + ` >/tmp/said 2>&1 </dev/null &`)
}
