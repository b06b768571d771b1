package nix

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/integration/desk"
	"github.com/modewatch/modewatch/integration/lab"
)

// tour visits every ordered pair of modes once, from desktop back to desktop.
var tour = []fsm.Mode{fsm.StudioLocal, fsm.Desktop, fsm.Compute, fsm.StudioLocal, fsm.Compute, fsm.Desktop}

// what each host looks like besides, once it is up.
var besides = map[string]func(*testing.T, *lab.Machine){
	"single": func(t *testing.T, m *lab.Machine) {
		shows(t, m, "vllm@compute.service", "DeviceAllow", "/dev/nvidia0 rw")
		hides(t, m, "vllm@compute.service", "DeviceAllow", "/dev/nvidia1")
	},
	"dual": func(t *testing.T, m *lab.Machine) {
		shows(t, m, "vllm@compute.service", "DeviceAllow", "/dev/nvidia1 rw")
		shows(t, m, "lab-extra.service", "ActiveState", "active")
	},
	"external": func(t *testing.T, m *lab.Machine) {
		for _, unit := range []string{"studio-local-policy.service", "audio-priority.service"} {
			r, err := m.Run(t.Context(), "systemctl", "start", unit)
			if err != nil || r.Code == 0 || m.Active(t.Context(), unit) {
				t.Errorf("%s can be started on a host without a studio (%v)", unit, err)
			}
		}
	},
	"cluster": func(t *testing.T, m *lab.Machine) {
		shows(t, m, "k3s.service", "Slice", "platform.slice")
		shows(t, m, "k3s.service", "IgnoreOnIsolate", "yes")
	},
}

// What the module makes of four hosts, over the units of the package, is booted; each
// goes through all transitions that it has.
func TestRenderedHosts(t *testing.T) {
	for _, name := range booted {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := bootHost(t, name)
			verify(t, m)
			besides[name](t, m)
			for _, mode := range tour {
				if name == "external" && mode == fsm.StudioLocal {
					if code := wish(t, m, mode); code != 19 {
						t.Fatalf("studio-local on a host without a studio: exit %d, want 19", code)
					}
					continue
				}
				if code := wish(t, m, mode); code != 0 {
					t.Fatalf("%s: exit %d\n%s", mode, code, m.Must(t, "journalctl", "--no-pager", "-t", "modewatch", "-n", "40"))
				}
				rests(t, m, mode)
			}
		})
	}
}

const placement = "/etc/modewatch/capability-placement.json"

// As docs/placement.md tells: an edit ends nothing, and counts from the next wish on.
func TestTheStudioMovesWhileItIsInUse(t *testing.T) {
	t.Parallel()
	m := bootHost(t, "single")
	here, err := m.ReadFile(placement)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := strings.Replace(string(here), `"studio":"local"`, `"studio":"external-mac-mini"`, 1)
	for _, step := range []struct {
		write string
		wish  fsm.Mode
		code  int
		rests fsm.Mode
	}{
		{string(here), fsm.StudioLocal, 0, fsm.StudioLocal},
		{elsewhere, fsm.StudioLocal, 0, fsm.StudioLocal}, // it is there already
		{elsewhere, fsm.Desktop, 0, fsm.Desktop},
		{elsewhere, fsm.StudioLocal, 19, fsm.Desktop},
		{"{}", fsm.StudioLocal, 29, fsm.Desktop},
		{string(here), fsm.StudioLocal, 0, fsm.StudioLocal},
	} {
		if err := m.WriteFile(placement, step.write); err != nil {
			t.Fatal(err)
		}
		if code := wish(t, m, step.wish); code != step.code {
			t.Errorf("with %s the wish for %s exits %d, want %d", step.write, step.wish, code, step.code)
		}
		rests(t, m, step.rests)
	}
}

// bootHost boots a machine with the files of testdata, and alice at her desk.
func bootHost(t *testing.T, name string) *lab.Machine {
	t.Helper()
	lab.Need(t)
	o := desk.Options(t, "", map[string]string{
		"/etc/systemd/system/lab-extra.service": "[Service]\nExecStart=sleep infinity\n",
	})
	delete(o.Files, "/etc/modewatch/config.toml") // these two are the module's
	delete(o.Files, "/etc/modewatch/vllm/compute.env")
	o.Install = append(o.Install, filepath.Join("testdata", name))
	m := desk.Boot(t, o)
	if _, err := m.StartSway(t.Context(), "alice", lab.Sway{}); err != nil {
		t.Fatal(err)
	}
	settled := func() bool {
		r, err := m.Run(t.Context(), "modewatch", "state")
		return err == nil && strings.TrimSpace(r.Stdout) == string(fsm.AtDesktop) && m.Active(t.Context(), "desktop.target")
	}
	if err := lab.WaitFor(t.Context(), "the first rest", settled); err != nil {
		t.Fatal(err)
	}
	return m
}

func verify(t *testing.T, m *lab.Machine) {
	t.Helper()
	units := []string{"modewatch.service", "mode-controller@compute.service", "vllm@compute.service", "desktop.target", "compute.target",
		"studio-local-policy.service", "audio-priority.service", "k3s.service"}
	r, err := m.Run(t.Context(), append([]string{"systemd-analyze", "verify"}, units...)...)
	if err != nil || r.Code != 0 || r.Stderr != "" {
		t.Errorf("systemd-analyze verify: %v, exit %d\n%s", err, r.Code, r.Stderr)
	}
	m.Must(t, "modewatch", "config-check")
}

func wish(t *testing.T, m *lab.Machine, mode fsm.Mode) int {
	t.Helper()
	r, err := m.Run(t.Context(), "modewatch", "request", string(mode))
	if err != nil {
		t.Fatal(err)
	}
	return r.Code
}

// rests looks at the host itself, then at what the program says of it.
func rests(t *testing.T, m *lab.Machine, mode fsm.Mode) {
	t.Helper()
	for unit, want := range map[string]bool{
		"desktop.target": mode != fsm.Compute, "compute.target": mode == fsm.Compute,
		"studio-local-policy.service": mode == fsm.StudioLocal, "audio-priority.service": mode == fsm.StudioLocal,
		"vllm@compute.service": mode == fsm.Compute, "k3s.service": true, "modewatch.service": true,
	} {
		if m.Active(t.Context(), unit) != want {
			t.Errorf("in %s: %s active is %v", mode, unit, !want)
		}
	}
	if got := strings.TrimSpace(m.Must(t, "modewatch", "current")); got != string(mode) {
		t.Errorf("modewatch current says %s, want %s", got, mode)
	}
}

func shows(t *testing.T, m *lab.Machine, unit, property, want string) {
	t.Helper()
	if got := m.Must(t, "systemctl", "show", "-P", property, unit); !strings.Contains(got, want) {
		t.Errorf("%s of %s is %q, which has no %q", property, unit, got, want)
	}
}

func hides(t *testing.T, m *lab.Machine, unit, property, never string) {
	t.Helper()
	if got := m.Must(t, "systemctl", "show", "-P", property, unit); strings.Contains(got, never) {
		t.Errorf("%s of %s is %q, which has %q", property, unit, got, never)
	}
}
