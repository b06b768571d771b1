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

// guest is a machine with modewatch on it, as on a desk of the lab, and the daemon up.
type guest struct {
	*Machine
	t *testing.T
}

// slowly is a configuration for a machine that is ten times as slow as others, small,
// and always busy. What a test waits for in vain, the release of the GPU, stays short.
const slowly = `
[transitions.deadlines]
start = "90s"
stop = "90s"
isolate = "90s"
session_term = "30s"
session_kill = "30s"
gpu_release = "15s"
budgets = "60s"
observe = "60s"
[vllm]
ready = "90s"
drain.deadline = "30s"
[guards.cpu_load_safe]
max_pressure = 100
[guards.memory_headroom]
floor = "64MiB"
[guards.audio_idle]
debounce = "100ms"
[units]
session_starters = ["getty@tty1.service"]
`

// onTheConsole has the first console log alice in whenever it is free.
const onTheConsole = "/etc/systemd/system/getty@tty1.service.d/autologin.conf"

// autologin is its text.
const autologin = "[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin alice --noclear %I $TERM\n"

// newGuest boots a machine. config is appended to what suits it.
func newGuest(t *testing.T, config string, files map[string]string) *guest {
	t.Helper()
	Need(t)
	o := furnished.Options(t, slowly+config, files)
	g := &guest{Boot(t, Options{Install: o.Install, Files: o.Files}), t}
	// Sound servers are other tests': here they would only take time.
	g.sh(`systemctl --global mask --quiet pipewire.socket pipewire-pulse.socket pipewire.service wireplumber.service filter-chain.service
		udevadm settle
		systemd-sysusers
		systemd-tmpfiles --create modewatch.conf
		systemctl daemon-reload
		systemctl reload dbus.service
		systemctl start k3s.service modewatch.service`)
	return g
}

// patience bounds each wait, on CPUs that several machines share.
const patience = 3 * time.Minute

// sh runs a script, which has to succeed, and returns what it says.
func (g *guest) sh(script string) string {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	defer cancel()
	r, err := g.Run(ctx, "sh", "-euc", script)
	if err != nil || r.Code != 0 {
		g.t.Fatalf("%s: %v, exit code %d\n%s%s\n%s", script, err, r.Code, r.Stdout, r.Stderr, g.story())
	}
	return strings.TrimSpace(r.Stdout)
}

// mode runs modewatch, which may take long here, and wants an exit code.
func (g *guest) mode(code int, args ...string) Result {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	defer cancel()
	r, err := g.Run(ctx, append([]string{"modewatch"}, args...)...)
	if err != nil || r.Code != code {
		g.t.Fatalf("modewatch %v: %v, exit %d, want %d\n%s%s\n%s", args, err, r.Code, code, r.Stdout, r.Stderr, g.story())
	}
	return r
}

// story is what the machine's journal tells, for failed tests.
func (g *guest) story() string {
	r, err := g.Run(context.Background(), "journalctl", "-q", "-b", "-t", "modewatch", "-t", "sway", "-t", "systemd-logind", "-o", "short-precise", "--no-hostname")
	if err != nil {
		return err.Error()
	}
	return r.Stdout
}

// snapshot is what the daemon tells of itself.
func (g *guest) snapshot() (s fsm.Snapshot) {
	g.t.Helper()
	g.json("/run/mode-controller/state.json", &s)
	return s
}

// last is the record of the last attempt.
func (g *guest) last() (a fsm.Attempt) {
	g.t.Helper()
	g.json("/run/mode-controller/last-transition.json", &a)
	return a
}

func (g *guest) json(path string, into any) {
	g.t.Helper()
	r, err := g.Run(g.t.Context(), "cat", path)
	if err == nil && r.Code == 0 {
		err = json.Unmarshal([]byte(r.Stdout), into)
	}
	if err != nil {
		g.t.Fatalf("%s: %v\n%s", path, err, r.Stdout)
	}
}

func (g *guest) eventually(what string, cond func() bool) {
	g.t.Helper()
	late := time.After(patience)
	for !cond() {
		select {
		case <-time.After(rarely):
		case <-late:
			g.t.Fatalf("cannot see %s\n%s", what, g.story())
		}
	}
}

// rarely is how long the machine is left alone between two looks: each costs it a
// process, and so time.
const rarely = 500 * time.Millisecond

// rests waits until the daemon rests in a state, no attempt under way.
func (g *guest) rests(s fsm.State) {
	g.t.Helper()
	g.eventually("rest in "+string(s), func() bool { now := g.snapshot(); return now.State == s && now.Attempt == nil })
}
