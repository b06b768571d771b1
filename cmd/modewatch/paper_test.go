package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/guards"
)

// The completions and manual pages in dist are made here from the table of the verbs
// and the reference configuration; go test -update writes them anew.

const dist = "../../dist/"

// paper holds a text against a file of dist.
func paper(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(dist+name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dist+name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(dist + name)
	if err != nil || string(want) != got {
		t.Errorf("%s is not what the verbs and the configuration make; if they are meant, run go test -update (%v)", name, err)
	}
}

// offer is what is completed after a verb.
type offer struct {
	verb
	words []string // of its first argument
	flags []*pflag.Flag
}

func offers() (all []offer) {
	for _, v := range listedVerbs(false) {
		o := offer{verb: v}
		switch {
		case strings.Contains(v.args, "MODE"):
			for _, m := range fsm.Modes {
				o.words = append(o.words, string(m))
			}
		case v.name == "guard":
			for _, g := range guards.All {
				o.words = append(o.words, g.Name)
			}
		case v.name == "help":
			for _, other := range listedVerbs(false) {
				o.words = append(o.words, other.name)
			}
		}
		set := env{prog: "modewatch"}.globalFlags()
		v.flags(set)
		set.VisitAll(func(f *pflag.Flag) {
			if f.Name != "json" || v.read {
				o.flags = append(o.flags, f)
			}
		})
		all = append(all, o)
	}
	return all
}
