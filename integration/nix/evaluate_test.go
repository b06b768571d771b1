package nix

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

// made is what the module makes of one scenario.
type made struct {
	Refused     []string
	Warnings    []string
	Settings    map[string]any
	Files       map[string]file
	DefaultUnit string
	K3s         []string
	Polkit      string
	Groups      map[string]struct{ Members []string }
	Users       []string
	Packages    int
}

// file is one file of a host, or a link.
type file struct{ Text, Link string }

type evaluation struct {
	Scenarios map[string]made
	Reference string
}

var once struct {
	sync.Once
	evaluation
	err error
}

// evaluated evaluates all scenarios, once; the test skips where that is impossible.
func evaluated(t *testing.T) evaluation {
	t.Helper()
	lib := library(t)
	cmd := command(t, "nix-instantiate", "--eval", "--strict", "--json", "eval.nix", "--arg", "lib", "import "+lib)
	once.Do(func() {
		decoder := json.NewDecoder(bytes.NewReader(output(t, cmd)))
		decoder.UseNumber()
		once.err = decoder.Decode(&once.evaluation)
	})
	if once.err != nil || len(once.Scenarios) == 0 {
		t.Fatalf("nothing was evaluated: %v", once.err)
	}
	return once.evaluation
}

// config is the configuration file of the scenario.
func (m made) config(t *testing.T) []byte {
	t.Helper()
	data, err := toml.Marshal(plain(m.Settings))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// plain turns the numbers of JSON into those of TOML.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case map[string]any:
		for key := range v {
			v[key] = plain(v[key])
		}
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	}
	return v
}

// tree is the scenario's files, by path, with its configuration.
func (m made) tree(t *testing.T) map[string]file {
	t.Helper()
	out := map[string]file{"etc/modewatch/config.toml": {Text: string(m.config(t))}}
	for name, f := range m.Files {
		out[name] = f
	}
	return out
}

func (m made) has(t *testing.T, name string, words ...string) {
	t.Helper()
	f, ok := m.tree(t)[name]
	if !ok {
		t.Errorf("there is no %s", name)
	}
	for _, word := range words {
		if !strings.Contains(f.Text+f.Link, word) {
			t.Errorf("%s has no %q:\n%s%s", name, word, f.Text, f.Link)
		}
	}
}

func (m made) lacks(t *testing.T, name string, words ...string) {
	t.Helper()
	f, ok := m.tree(t)[name]
	if len(words) == 0 && ok {
		t.Errorf("there is %s", name)
	}
	for _, word := range words {
		if strings.Contains(f.Text+f.Link, word) {
			t.Errorf("%s has %q:\n%s%s", name, word, f.Text, f.Link)
		}
	}
}

// at is a value of the settings.
func (m made) at(keys ...string) string {
	var v any = m.Settings
	for _, key := range keys {
		table, _ := v.(map[string]any)
		v = table[key]
	}
	return fmt.Sprint(v)
}

// The program itself judges the configuration of every scenario that is not refused.
func TestTheProgramAcceptsEveryConfiguration(t *testing.T) {
	program := filepath.Join(stage(t), "usr/bin/modewatch")
	for name, m := range evaluated(t).Scenarios {
		if strings.HasPrefix(name, "bad-") || name == "off" {
			continue
		}
		path := filepath.Join(t.TempDir(), "config.toml")
		if err := os.WriteFile(path, m.config(t), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := run(program, "config-check", path); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	scenarios := evaluated(t).Scenarios
	for name, m := range scenarios {
		want, bad := refusals[name]
		switch {
		case !bad && len(m.Refused) > 0:
			t.Errorf("%s is refused: %q", name, m.Refused)
		case !bad:
		case len(m.Refused) != 1:
			t.Errorf("%s is refused by %d sentences, want one: %q", name, len(m.Refused), m.Refused)
		default:
			for _, words := range want {
				if !strings.Contains(m.Refused[0], words) {
					t.Errorf("%s is refused without a word of %q: %s", name, words, m.Refused[0])
				}
			}
		}
	}
	for name := range refusals {
		if _, ok := scenarios[name]; !ok {
			t.Errorf("there is no scenario %s", name)
		}
	}
}

// refusals has, for each scenario that cannot be, words of the one sentence that
// refuses it: both options, and what to do.
var refusals = map[string][]string{
	"bad-display-computes":      {"modewatch.gpus.ai.desktop`", "modewatch.gpus.display`", "name another GPU"},
	"bad-more-than-planned":     {"modewatch.gpus.ai.compute`", "modewatch.gpus.planned`", "plan more, or name less"},
	"bad-present-not-planned":   {"modewatch.gpus.present`", "modewatch.gpus.planned`", "plan more, or name less"},
	"bad-display-absent":        {"modewatch.gpus.display`", "modewatch.gpus.present`", "needs a GPU that is there"},
	"bad-wildcard":              {"modewatch.gpus.nodes`", "modewatch.vllm.profiles`", "name each node"},
	"bad-no-model":              {"vllm.profiles.compute.enable`", "vllm.profiles.compute.model`", "name the directory"},
	"bad-one-unit-two-profiles": {"modewatch.vllm.unit`", "vllm.profiles.desktop.enable`", "use the template"},
	"bad-wanted-by":             {"wantedBy`", "vllm@compute.service", "modewatch.vllm`", "leave `wantedBy` empty"},
	"bad-target-wants-server":   {"modes.compute.wants`", "modewatch.vllm`", "before the GPU is released"},
	"bad-k3s-absent":            {"k3s.integrate`", "`services.k3s.enable`", "enable k3s"},
	"bad-k3s-unprotected":       {"k3s.integrate`", "settings.units.protected`", "no transition may stop it"},
	"bad-polkit-absent":         {"polkit.enable`", "`security.polkit.enable`", "nobody would read"},
	"bad-too-long":              {"settings.transitions.overall`", "TimeoutStartSec`", "must be longer"},
	"bad-idle-from-external":    {"idle.from_studio_local`", "capabilities.studio.placement`", "no studio-local"},
	"bad-run-dir":               {"paths.run_dir`", "package`", "/run/mode-controller"},
	"bad-secret-in-store":       {"vllm.apiKeyFile`", "/nix/store", "outside"},
	"bad-blank-in-args":         {"vllm.profiles.compute.extraArgs`", "one plain word"},
}

func TestWhatIsWarnedOf(t *testing.T) {
	for name, m := range evaluated(t).Scenarios {
		want := map[string][]string{
			"lacking":              {"gpus.planned` is 2", "no server runs in desktop"},
			"example":              {"gpus.planned` is 2"},
			"external-with-studio": {"has no effect here"},
			"return-in-vain":       {"only told"},
			"bad-display-absent":   {"gpus.planned` is 2"},
		}[name]
		if len(m.Warnings) != len(want) || slices.ContainsFunc(want, func(w string) bool { return !strings.Contains(strings.Join(m.Warnings, "\n"), w) }) {
			t.Errorf("%s warns %q, want %q", name, m.Warnings, want)
		}
	}
}
