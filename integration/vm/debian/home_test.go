package debian

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// home is a machine with modewatch on it and the daemon up, where alice is logged in
// on the first console and a sway that draws to no screen runs there. It has a
// keyboard and a mouse, with which only the test works.
type home struct{ *guest }

// comesHome are the files by which the first console logs alice in.
var comesHome = map[string]string{
	onTheConsole: autologin,
	"/home/alice/.bash_profile": `[ "$(tty)" = /dev/tty1 ] || return
export WLR_BACKENDS=headless WLR_LIBINPUT_NO_DEVICES=1 WLR_RENDERER=pixman LIBSEAT_BACKEND=noop
exec sway --config /etc/sway.conf
`,
	"/etc/sway.conf": "swaybg_command -\nxwayland disable\n",
}

// newHome boots a machine. triggers are keys of the configuration's [triggers].
func newHome(t *testing.T, triggers string) *home {
	t.Helper()
	h := &home{newGuest(t, triggered+triggers, comesHome)}
	h.sh("systemctl restart getty@tty1.service")
	h.eventually("alice at home", h.occupied)
	h.rests(fsm.AtDesktop)
	return h
}

const triggered = "[triggers]\n"

// configure replaces the keys of [triggers], and has the daemon read them.
func (h *home) configure(triggers string) {
	h.t.Helper()
	if err := h.put(h.t.Context(), []byte(slowly+triggered+triggers), "/etc/modewatch/config.toml", 0o644); err != nil {
		h.t.Fatal(err)
	}
	h.sh("modewatch config-check && systemctl reload modewatch.service")
}

// notes are the texts that modewatch told of a kind, oldest first.
func (h *home) notes(kind string) []string {
	h.t.Helper()
	text := h.sh("journalctl --sync; journalctl -q -b -t modewatch -o cat MODEWATCH_NOTE=" + kind)
	return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
}

// occupied tells whether alice has a session with sway in it.
func (h *home) occupied() bool {
	h.t.Helper()
	return h.sh("loginctl list-sessions --no-legend | grep -q 'alice *seat0' && pgrep -u alice -x sway || true") != ""
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
