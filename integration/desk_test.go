// Package integration runs modewatch on real systemd, in the containers of
// package lab. MODEWATCH_STAGE names the tree that make install DESTDIR= filled.
package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
	furnished "github.com/modewatch/modewatch/integration/desk"
	"github.com/modewatch/modewatch/integration/lab"
)

// atOnce bounds the containers that run side by side.
var atOnce = make(chan struct{}, 3)

// desk is a machine with modewatch installed and, mostly, alice at her desk.
type desk struct {
	*lab.Machine
	t     *testing.T
	alice lab.Session
}

// setup says how a desk differs from the ordinary one.
type setup struct {
	config   string            // appended to the lab's configuration
	edit     []string          // pairs of what to replace in it by what
	files    map[string]string // further files
	enable   []string
	noDaemon bool
	login    string // "wayland" (the default), "tty", "dm" or "none"
	sway     lab.Sway
	stops    bool // the boot may end degraded
}

// What every desk has, and a test may edit.
const (
	labConfig   = furnished.Config
	vllmProgram = furnished.VLLM
)

// newDesk boots a machine, and ends it with the test.
func newDesk(t *testing.T, s setup) *desk {
	t.Helper()
	lab.Need(t)
	atOnce <- struct{}{}
	t.Cleanup(func() { <-atOnce })
	o := furnished.Options(t, strings.NewReplacer(s.edit...).Replace(labConfig)+s.config, s.files)
	o.Degraded, o.Enable = s.stops, append(o.Enable, s.enable...)
	if !s.noDaemon {
		o.Enable = append(o.Enable, "modewatch.service")
	}
	d := &desk{Machine: furnished.Boot(t, o), t: t}
	d.sit(s)
	return d
}

// sit logs alice in, if the setup says so.
func (d *desk) sit(s setup) {
	d.t.Helper()
	var err error
	switch s.login {
	case "", "wayland":
		d.alice, err = d.StartSway(d.t.Context(), "alice", s.sway)
	case "tty":
		d.alice, err = d.StartSwayFromTTY(d.t.Context(), "alice", s.sway)
	case "dm":
		d.alice, err = d.StartDisplayManager(d.t.Context(), "alice", s.sway)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// mode runs modewatch and returns what it said and its exit code.
func (d *desk) mode(args ...string) lab.Result {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 90*time.Second)
	defer cancel()
	r, err := d.Run(ctx, append([]string{"modewatch"}, args...)...)
	if err != nil {
		d.t.Fatalf("modewatch %v: %v", args, err)
	}
	return r
}

// want runs modewatch and wants an exit code.
func (d *desk) want(code int, args ...string) lab.Result {
	d.t.Helper()
	r := d.mode(args...)
	if r.Code != code {
		d.t.Fatalf("modewatch %v: exit %d, want %d\n%s%s", args, r.Code, code, r.Stdout, r.Stderr)
	}
	return r
}

// echo wishes by the file, as a person does.
func (d *desk) echo(m fsm.Mode) {
	d.t.Helper()
	d.Must(d.t, "sh", "-c", "echo "+string(m)+" >/run/mode-controller/desired")
}

// snapshot reads what the daemon tells.
func (d *desk) snapshot() fsm.Snapshot {
	d.t.Helper()
	var s fsm.Snapshot
	if _, err := d.ReadFile("/run/mode-controller/state.json"); err != nil {
		return s // a daemon that has just started has not written it yet
	}
	d.json("/run/mode-controller/state.json", &s)
	return s
}

// last reads the record of the last attempt; the zero one if there is none.
func (d *desk) last() fsm.Attempt {
	d.t.Helper()
	var a fsm.Attempt
	if _, err := d.ReadFile("/run/mode-controller/last-transition.json"); err == nil {
		d.json("/run/mode-controller/last-transition.json", &a)
	}
	return a
}

func (d *desk) json(name string, into any) {
	d.t.Helper()
	data, err := d.ReadFile(name)
	if err != nil {
		d.t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		d.t.Fatalf("%s: %v\n%s", name, err, data)
	}
}

// rests waits until the daemon rests in a state, no attempt under way.
func (d *desk) rests(s fsm.State) {
	d.t.Helper()
	d.eventually("rest in "+string(s), func() bool {
		now := d.snapshot()
		return now.State == s && now.Attempt == nil
	})
}

// reached waits for the record of an attempt towards m that began after since.
func (d *desk) ended(m fsm.Mode, since time.Time) fsm.Attempt {
	d.t.Helper()
	var a fsm.Attempt
	d.eventually("the end of an attempt to "+string(m), func() bool {
		a = d.last()
		return a.To == m && a.Ended.After(since)
	})
	return a
}

func (d *desk) eventually(what string, cond func() bool) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 60*time.Second)
	defer cancel()
	if err := lab.WaitFor(ctx, what, cond); err != nil {
		d.t.Fatalf("%v\n%s", err, d.story())
	}
}

// finds waits until what look finds has all texts, in this order, and returns it.
func (d *desk) finds(what string, look func() string, texts ...string) (found string) {
	d.t.Helper()
	defer func() {
		if d.t.Failed() {
			d.t.Logf("seen is:\n%s", found)
		}
	}()
	d.eventually(what, func() bool {
		found = look()
		rest, there := found, true
		for _, text := range texts {
			if _, rest, there = strings.Cut(rest, text); !there {
				return false
			}
		}
		return true
	})
	return found
}

// story is what modewatch told the journal, for failed tests.
func (d *desk) story() string {
	entries, err := d.Journal(context.Background(), "-t", "modewatch")
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintln(&b, e["MESSAGE"])
	}
	return b.String()
}

// edges returns the walked edges of the journal, as "EVENT FROM TO".
func (d *desk) edges() []string {
	d.t.Helper()
	entries, err := d.Journal(d.t.Context(), "-t", "modewatch")
	if err != nil {
		d.t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if e["MODEWATCH_EVENT"] != "" {
			out = append(out, e["MODEWATCH_EVENT"]+" "+e["MODEWATCH_FROM"]+" "+e["MODEWATCH_TO"])
		}
	}
	return out
}

// pid returns a unit's main process, "0" for none.
func (d *desk) pid(unit string) string {
	return d.Show(d.t.Context(), unit, "MainPID")["MainPID"]
}
