package debian

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

// A machine that was suspended for longer than it takes to be idle is idle after the
// whole time anew. About one emulated machine in three does not come back from a sleep:
// its agent is silent then, or the emulator gone.
func TestASleep(t *testing.T) {
	if os.Getenv("MODEWATCH_VM_SLEEP") == "" {
		t.Skip("not every emulated machine wakes from a sleep: set MODEWATCH_VM_SLEEP=1 to try")
	}
	t.Parallel()
	const after = 30 * time.Second
	h := newHome(t, "background = true\nidle.after = \"0s\"\n")
	h.configure("background = true\nidle.after = \"30s\"\nidle.countdown = \"20s\"\n")
	h.sh("sleep 20") // most of it is over
	before := h.asleep()
	h.sh("systemctl suspend")
	h.eventually("sleep", func() bool { return h.status() == "suspended" })
	time.Sleep(after + 2*time.Second) // there, no time passes meanwhile
	if err := h.QMP(h.t.Context(), "system_wakeup", nil, nil); err != nil {
		h.t.Fatal(err)
	}
	h.status() // once more round: what is told to the devices before it is awake is lost
	r := h.counts()
	slept := h.asleep() - before
	woke := h.entry("Operation 'suspend' finished.")
	if slept < after {
		h.t.Errorf("it slept %v only", slept)
	}
	if since := r.Begun.Sub(woke); since < after {
		h.t.Errorf("it was tried %v after it woke\n%s", since, h.story())
	} else {
		h.t.Logf("figure: slept for %v; tried %v after it woke", slept.Round(time.Millisecond), since.Round(time.Millisecond))
	}
	h.tells("Operation 'suspend' finished.", "idle, so compute is wished")
}

// asleep is how much more time has passed by the machine's wall clock than by the one
// that stands still in sleep.
func (h *home) asleep() time.Duration {
	h.t.Helper()
	var mono, wall int64
	text := h.sh("awk '/^now at/ { print $3 }' /proc/timer_list; date +%s%N")
	if _, err := fmt.Sscan(text, &mono, &wall); err != nil {
		h.t.Fatalf("%v\n%s", err, text)
	}
	return time.Duration(wall - mono)
}

// status is what the emulator says of the machine.
func (h *home) status() string {
	h.t.Helper()
	var s struct{ Status string }
	if err := h.QMP(h.t.Context(), "query-status", nil, &s); err != nil {
		h.t.Fatal(err)
	}
	return s.Status
}

// entry is when the machine's journal has told a text.
func (h *home) entry(text string) time.Time {
	h.t.Helper()
	var e struct {
		At string `json:"__REALTIME_TIMESTAMP"`
	}
	line := h.sh("journalctl --sync; journalctl -q -b -o json -t systemd-logind | grep -F \"" + text + "\"")
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		h.t.Fatalf("%v\n%s", err, line)
	}
	us, err := strconv.ParseInt(e.At, 10, 64)
	if err != nil {
		h.t.Fatal(err)
	}
	return time.UnixMicro(us)
}
