package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

const reference = "../../dist/config.toml"

func readReference(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestReferenceIsDefault holds dist/config.toml and the defaults together.
func TestReferenceIsDefault(t *testing.T) {
	got, err := Parse(reference, readReference(t))
	if err != nil {
		t.Fatal(err)
	}
	if want := Default(); !reflect.DeepEqual(got, want) {
		t.Errorf("the reference says\n%+v\nthe default is\n%+v", got, want)
	}
	empty, err := Parse("empty", nil)
	if err != nil || !reflect.DeepEqual(empty, Default()) {
		t.Errorf("an empty file is %+v, %v", empty, err)
	}
}

// leaves lists the dotted keys of raw.
func leaves(t reflect.Type, path []string) []string {
	var out []string
	for i := range t.NumField() {
		f := t.Field(i)
		here := append(slices.Clone(path), f.Tag.Get("toml"))
		if f.Type.Kind() == reflect.Struct {
			out = append(out, leaves(f.Type, here)...)
			continue
		}
		out = append(out, dotted(here...))
	}
	return out
}

// TestReferenceHasEveryKey: each key is written in the reference, and each
// table or key of it has a comment.
func TestReferenceHasEveryKey(t *testing.T) {
	data := readReference(t)
	doc, err := parseTOML(reference, data)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(data), "\n")
	keys := leaves(reflect.TypeFor[raw](), nil)
	if len(keys) < 90 {
		t.Fatalf("only %d keys", len(keys))
	}
	for _, key := range keys {
		at, written := doc.spots[key]
		if !written {
			t.Errorf("%s is not in the reference", key)
			continue
		}
		above := lines[at.line-2]
		if !strings.HasPrefix(above, "#") && !strings.HasPrefix(key, "slices.") {
			t.Errorf("%s has no comment: above it stands %q", key, above)
		}
	}
}

// TestDefaultIsUsable: the guards and plans find what they need in it.
func TestDefaultIsUsable(t *testing.T) {
	c := Default()
	p := c.Policy
	if p.Inference.URL["vllm@compute.service"] != "http://127.0.0.1:8000" || len(p.Units.AI[fsm.Desktop]) != 0 {
		t.Errorf("AI units %v at %v", p.Units.AI, p.Inference.URL)
	}
	if p.Gate != (fsm.Gate{DesiredFile: true}) || p.Force || p.StudioToCompute != fsm.StudioDirect {
		t.Errorf("gate %+v, force %v, %s", p.Gate, p.Force, p.StudioToCompute)
	}
	if got := p.Memory.Need(fsm.Compute); got != 2<<30 {
		t.Errorf("needs %d", got)
	}
	for _, m := range fsm.Modes {
		for _, b := range p.Budgets[m] {
			if b.Value < 1 || b.Value > 10000 {
				t.Errorf("%s: %+v", m, b)
			}
		}
		if len(p.Budgets[m]) != 8 {
			t.Errorf("%s has %d budgets", m, len(p.Budgets[m]))
		}
	}
	v := reflect.ValueOf(p.Deadlines)
	for i := range v.NumField() {
		if v.Field(i).Int() <= 0 {
			t.Errorf("no deadline %s", v.Type().Field(i).Name)
		}
	}
}

func TestParseTakesWhatIsWritten(t *testing.T) {
	c, err := Parse("x", []byte(`
log_level = "debug"
boot.normalize = false
triggers = { background = true, desired_file = false, idle = { watch = true, deny = ["keyd *"] } }
guards.cpu_load_safe.max_pressure = 55
guards.memory_headroom = { model = "40GiB", floor = 1073741824 }
[units.prepare]
desktop = ""
[vllm.units]
compute = ["vllm@compute.service", "vllm@embed.service"]
[vllm.urls]
"vllm@embed.service" = "http://[::1]:8001/"
[slices.desktop.ai]
memory_max = "infinity"
[slices.studio-local.ai]
memory_max = "8GiB"
[slices.compute.ai]
memory_max = "infinity"
[transitions]
overall = "1h"
`))
	if err != nil {
		t.Fatal(err)
	}
	p := c.Policy
	if c.LogLevel != "debug" || c.Normalise || p.Gate != (fsm.Gate{Background: true}) || p.Overall != time.Hour {
		t.Errorf("got %+v", c)
	}
	if want := (fsm.IdlePolicy{Watch: true, Deny: []string{"keyd *"}, After: 20 * time.Minute, Countdown: 30 * time.Second, OnBlock: fsm.OnBlockRevert, MaxGPU: 20, Heal: true, Retry: true}); !reflect.DeepEqual(p.Idle, want) {
		t.Errorf("idle %+v", p.Idle)
	}
	if p.Load.CPUSome != 55 || p.Memory != (fsm.MemoryPolicy{Model: 40 << 30, Floor: 1 << 30}) {
		t.Errorf("load %+v, memory %+v", p.Load, p.Memory)
	}
	if _, there := p.Units.Prepare[fsm.Desktop]; there || p.Units.Prepare[fsm.Compute] == "" {
		t.Errorf("hooks %v", p.Units.Prepare)
	}
	if want := map[string]string{"vllm@compute.service": "http://127.0.0.1:8000", "vllm@embed.service": "http://[::1]:8001"}; !reflect.DeepEqual(p.Inference.URL, want) {
		t.Errorf("addresses %v", p.Inference.URL)
	}
	if !slices.Contains(p.Budgets[fsm.StudioLocal], fsm.Budget{Slice: "ai.slice", Property: "MemoryMax", Value: 8 << 30}) ||
		!slices.Contains(p.Budgets[fsm.Compute], fsm.Budget{Slice: "ai.slice", Property: "MemoryMax", Value: 1<<64 - 1}) {
		t.Errorf("budgets %v", p.Budgets)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	missing, err := Load(filepath.Join(dir, "none.toml"))
	if err != nil || !reflect.DeepEqual(missing, Default()) {
		t.Errorf("a missing file: %+v, %v", missing, err)
	}
	path := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(path, []byte("log_level = \"warn\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := Load(path); err != nil || c.LogLevel != "warn" {
		t.Errorf("got %+v, %v", c, err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := Load(filepath.Join(path, "below")); err == nil {
		t.Error("a path through a file was read")
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("#", limit+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a huge file: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(""))
	f.Add(readReference(f))
	f.Add([]byte("log_level = 7\n[slices.desktop.ai]\ncpu_weight = 1e9\n"))
	f.Add([]byte("[[units]]\nown = {}\n"))
	f.Add([]byte("vllm = {urls = {a = \"http://x\"}, units = {compute = [\"a\", \"a\"]}}"))
	f.Add([]byte("\"\" = 1\na.b.c = nan\n[a.b]\nd = 1979-05-27"))
	f.Add([]byte("units.own = [\"[\"]\nunits.protected = [\"*\"]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("f", data)
		if err != nil {
			if !reflect.DeepEqual(c, Config{}) {
				t.Error("a refused file left something behind")
			}
			for _, line := range strings.Split(err.Error(), "\n") {
				if !strings.HasPrefix(line, "f:") {
					t.Errorf("a fault that does not name the file: %q", line)
				}
			}
			return
		}
		if c.Policy.Overall <= 0 || len(c.Policy.Units.Own) == 0 || Describe(c) == "" {
			t.Errorf("accepted %+v", c)
		}
	})
}

func TestFaultsAreValues(t *testing.T) {
	_, err := Parse("x", []byte("log_level = 1\nforce.enabled = 2\n"))
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != 2 {
		t.Fatalf("got %v", err)
	}
	var f *Fault
	if !errors.As(joined.Unwrap()[1], &f) || f.Line != 2 || f.Col != 7 || f.Key != "force.enabled" {
		t.Errorf("got %+v", f)
	}
}
