package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/config"
	"github.com/modewatch/modewatch/internal/sim"
)

// Each misuse is one sentence on standard error, with a hint, and exit code 30;
// nothing is on standard output.
func TestGoldenMisuse(t *testing.T) {
	var b strings.Builder
	lines := [][]string{
		{"statsu"}, {"compute"}, {"stat"}, {"frobnicate"},
		{"request"}, {"request", "comptue"}, {"request", "compute", "now"}, {"request", "--frob", "compute"},
		{"state", "x"}, {"run", "--json"}, {"explain", "gaming"}, {"why"}, {"dry-run"}, {"reconcile"},
		{"guard", "check_audio_idel"}, {"guard", "check_audio_idle", "--to", "gaming"},
		{"history", "--since", "yesterday"}, {"history", "--limit", "-3"}, {"history", "--limit", "x"},
		{"config-check", "/nonexistent.toml"}, {"help", "statsu"}, {"--frob"},
	}
	for _, args := range lines {
		r := newRig(t, desk())
		code, out, err := r.run(args...)
		if code != fsm.ExitMisuse || out != "" || err == "" {
			t.Errorf("%q: exit %d, output %q, errors %q; want 30, none, some", args, code, out, err)
		}
		b.WriteString("$ modewatch " + strings.Join(args, " ") + "\n" + err + "\n")
	}
	golden(t, "misuse", b.String())
}

func TestNoVerbAtAll(t *testing.T) {
	r := newRig(t, desk())
	if code := r.env.command("modewatch", nil); code != fsm.ExitMisuse || r.out.Len() > 0 || !strings.Contains(r.err.String(), "Usage:") {
		t.Errorf("exit %d, output %q, errors %q; want 30 and the usage among the errors", code, &r.out, &r.err)
	}
}

// What the verbs exit with and say first, on a host that no controller moves.
func TestVerbsOnAHostWithoutController(t *testing.T) {
	headless := func() *sim.Host { return sim.New(config.Default().Policy) }
	broken := func() *sim.Host {
		h := desk()
		h.Change(func(f *fsm.Facts, _ *fsm.Logins, _ map[string]fsm.Unit) { f.Units.Cause = "broken bus" })
		return h
	}
	tests := []struct {
		name string
		host *sim.Host
		wish string
		args []string
		code int
		out  string // at the beginning
		err  string // within
	}{
		{"state", desk(), "", []string{"state"}, 0, "desktop\n", ""},
		{"state of an unreadable host", broken(), "", []string{"state"}, 1, "unknown\n", "the mode is unknown"},
		{"current", desk(), "", []string{"current"}, 0, "desktop\n", ""},
		{"desired", desk(), "compute", []string{"desired"}, 0, "compute\n", ""},
		{"desired without a wish", desk(), "", []string{"desired"}, 1, "", "no mode is wished for"},
		{"status", desk(), "", []string{"status"}, 0, "state       desktop\n", ""},
		{"dry-run", desk(), "", []string{"dry-run", "compute"}, 0, "desktop → compute, ", ""},
		{"dry-run of the wish", desk(), "compute", []string{"dry-run"}, 0, "desktop → compute, ", ""},
		{"dry-run, blocked", busyDesk(), "", []string{"dry-run", "compute"}, 10, "desktop → compute, ", ""},
		{"dry-run, already there", desk(), "", []string{"dry-run", "desktop"}, 0, "Already in desktop", ""},
		{"dry-run, unreadable", broken(), "", []string{"dry-run", "compute"}, 28, "The mode of this host cannot be told", ""},
		{"why", desk(), "", []string{"why", "compute"}, 0, "Nothing keeps", ""},
		{"why, blocked", busyDesk(), "", []string{"why", "compute"}, 10, "2 guards keep", ""},
		{"explain", desk(), "", []string{"explain", "compute"}, 0, "mode         compute - ", ""},
		{"observe", desk(), "", []string{"observe"}, 0, "mode        desktop\n", ""},
		{"observe, unreadable", broken(), "", []string{"observe"}, 1, "mode        unknown\n", ""},
		{"guard passes", desk(), "", []string{"guard", "check_audio_idle"}, 0, `{"schema":1,"guard":"check_audio_idle","ok":true,"code":0,`, ""},
		{"guard blocks", busyDesk(), "", []string{"guard", "check_audio_idle"}, 10, `{"schema":1,"guard":"check_audio_idle","ok":false,"code":10,`, ""},
		{"soft guard blocks", busyDesk(), "", []string{"guard", "check_cpu_load_safe"}, 12, `{"schema":1,"guard":"check_cpu_load_safe"`, ""},
		{"GPU as it is", desk(), "", []string{"guard", "check_gpu_display_released"}, 11, `{"schema":1,`, ""},
		{"GPU for a plan", desk(), "", []string{"guard", "check_gpu_display_released", "--to", "compute"}, 0, `{"schema":1,`, ""},
		{"session there", desk(), "", []string{"guard", "check_graphical_session_absent"}, 17, `{"schema":1,`, ""},
		{"session not there", headless(), "", []string{"guard", "check_graphical_session_present"}, 16, `{"schema":1,`, ""},
		{"guard that needs a plan, unreadable", broken(), "", []string{"guard", "check_user_jobs_safe"}, 23, `{"schema":1,`, ""},
		{"target, unreadable", broken(), "", []string{"guard", "check_target_reachable"}, 28, `{"schema":1,`, ""},
		{"guards", desk(), "", []string{"guard"}, 0, "  guard ", ""},
		{"history", desk(), "", []string{"history"}, 0, "No attempt", ""},
		{"cancel", desk(), "", []string{"cancel"}, 0, "Nothing is under way.\n", ""},
		{"force", desk(), "", []string{"force", "compute"}, 31, "", "force is disabled"},
		{"version", desk(), "", []string{"version"}, 0, "modewatch ", ""},
		{"quiet", busyDesk(), "", []string{"why", "compute", "-q"}, 10, "", ""},
		{"flags first", desk(), "", []string{"-q", "--no-color", "state"}, 0, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, test.host)
			if test.wish != "" {
				r.wish(test.wish)
			}
			code, out, err := r.run(test.args...)
			if code != test.code || !strings.HasPrefix(out, test.out) || (test.out == "") != (out == "") {
				t.Errorf("exit %d, output %q; want %d, %q", code, out, test.code, test.out)
			}
			if !strings.Contains(err, test.err) || (test.err == "") != (err == "") {
				t.Errorf("errors %q; want %q", err, test.err)
			}
		})
	}
}

// Every read verb prints one JSON document that carries its schema.
func TestJSON(t *testing.T) {
	for _, args := range [][]string{
		{"state"}, {"status"}, {"current"}, {"desired"}, {"explain", "compute"}, {"dry-run", "compute"}, {"dry-run", "desktop"}, {"why", "compute"}, {"why", "desktop"},
		{"observe"}, {"observe-current"}, {"guard"}, {"guard", "check_audio_idle"}, {"history"}, {"config-check"}, {"version"},
	} {
		r := newRig(t, busyDesk())
		r.wish("compute")
		code, out, err := r.run(append(args, "--json")...)
		var doc struct {
			Schema int
			Exit   *int
		}
		if bad := json.Unmarshal([]byte(out), &doc); bad != nil || doc.Schema != fsm.Schema || err != "" {
			t.Errorf("%v: schema %d, %v, errors %q\n%s", args, doc.Schema, bad, err, out)
		}
		if doc.Exit != nil && *doc.Exit != code {
			t.Errorf("%v: the document says exit %d, but it is %d", args, *doc.Exit, code)
		}
		if args[0] != "observe" && strings.Contains(out, ": null") { // facts are as the probes gave them
			t.Errorf("%v: a null in the document, where an empty list belongs:\n%s", args, out)
		}
	}
}

// The names of the links are verbs (sections 23.3 and 24.1).
func TestInvokedByOtherNames(t *testing.T) {
	tests := []struct {
		argv0 string
		args  []string
		code  int
		out   string
	}{
		{"/usr/libexec/modewatch/check_audio_idle", nil, 10, `{"schema":1,"guard":"check_audio_idle","ok":false,"code":10,`},
		{"check_cpu_load_safe", []string{"--to", "compute"}, 12, `{"schema":1,"guard":"check_cpu_load_safe"`},
		{"/usr/libexec/modewatch/observe-current", nil, 0, "desktop\n"},
		{"observe-current", []string{"--json"}, 0, "{\n  \"schema\": 1,\n  \"state\": \"desktop\",\n"},
		{"mode", []string{"current"}, 0, "desktop\n"},
		{"mode", []string{"why", "compute"}, 10, "2 guards"},
		{"modewatch-1.2", []string{"current"}, 0, "desktop\n"},
	}
	for _, test := range tests {
		r := newRig(t, busyDesk())
		r.wish("desktop")
		args := append([]string{"--run-dir", r.cfg.RunDir, "--lib-dir", r.cfg.LibDir, "--config", r.config()}, test.args...)
		if code := r.env.command(test.argv0, args); code != test.code || !strings.HasPrefix(r.out.String(), test.out) {
			t.Errorf("%s %v: exit %d, %q, %q; want %d, %q", test.argv0, test.args, code, &r.out, &r.err, test.code, test.out)
		}
	}
}

// observe as root keeps the file current, but not beside a controller.
func TestObserveRefreshesCurrent(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root keeps the file")
	}
	r := newRig(t, desk())
	path := filepath.Join(r.cfg.RunDir, "current")
	r.run("observe")
	if data, err := os.ReadFile(path); err != nil || string(data) != "desktop\n" {
		t.Errorf("current holds %q, %v; want desktop", data, err)
	}
	r.must(os.Remove(path))
	defer r.alive(daemonName, resting(atDesk)).Release()
	r.run("observe")
	if _, err := os.Stat(path); err == nil {
		t.Error("current was written beside a controller")
	}
}

func TestSiteGuard(t *testing.T) {
	h := desk()
	h.Change(func(f *fsm.Facts, _ *fsm.Logins, _ map[string]fsm.Unit) {
		f.Site = fsm.Read([]fsm.SiteVerdict{{Name: "check_other"}, {Name: "check_ups", Code: 11, Reason: "on battery"}}, nil)
	})
	r := newRig(t, h)
	r.must(os.WriteFile(filepath.Join(r.cfg.GuardsDir, "check_ups"), []byte("#!/bin/sh\n"), 0o755))
	if code, out, err := r.run("guard", "check_ups"); code != 11 || !strings.Contains(out, `"reason":"on battery"`) {
		t.Errorf("exit %d, %q, %q; want 11 and its reason", code, out, err)
	}
	if _, out, _ := r.run("guard"); !strings.Contains(out, "check_ups") {
		t.Errorf("the list lacks the site's guard:\n%s", out)
	}
}

func TestConfigCheck(t *testing.T) {
	r := newRig(t, desk())
	path := filepath.Join(t.TempDir(), "bad.toml")
	r.must(os.WriteFile(path, []byte("[guards.cpu_lod]\nx = 1\n[vllm]\nready = \"never\"\n"), 0o644))
	code, out, err := r.run("config-check", path)
	if n := strings.Count(err, path+":"); code != fsm.ExitMisuse || out != "" || n != 2 {
		t.Errorf("exit %d, %q, %d errors with their place; want 30, none, 2:\n%s", code, out, n, err)
	}
	if code, out, _ := r.run("config-check", r.config()); code != 0 || !strings.Contains(out, "is valid.") || !strings.Contains(out, r.cfg.GuardsDir) {
		t.Errorf("exit %d; want 0 and a summary that names %s:\n%s", code, r.cfg.GuardsDir, out)
	}
	r.env.configFile = path
	if code, _, err := r.run("status", "--config", path); code != fsm.ExitMisuse || !strings.Contains(err, "(and 1 more)") {
		t.Errorf("exit %d, %q; want 30 and the number of errors", code, err)
	}
}

// The input devices are opened by the daemon alone, and only where that is
// configured; a command says why it cannot tell who touched them.
func TestInputIsNotWatchedByACommand(t *testing.T) {
	for watch, want := range map[bool]string{false: "triggers.idle.watch and triggers.background are false", true: "nobody watches the input devices here"} {
		cfg := config.Default()
		cfg.Policy.Idle.Watch = watch
		h := newHost(cfg, deaf)
		defer h.close()
		if f := h.Observe(t.Context(), fsm.Query{About: fsm.AboutIdle}); f.Idle.OK || !strings.Contains(f.Idle.Why(), want) {
			t.Errorf("watch = %v: %+v", watch, f.Idle)
		}
		if !watch {
			if err := h.watchInput(t.Context(), cfg.Policy); err != nil { // returns, since there is nothing to do
				t.Errorf("%v", err)
			}
		}
	}
}
