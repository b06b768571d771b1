package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// lines are a profile: so many statements of a package, covered of them.
func lines(pkg string, all, covered int) string {
	return fmt.Sprintf("%s%s/a.go:1.1,2.2 %d 3\n%s%s/a.go:3.1,4.2 %d 0\n", module, pkg, covered, module, pkg, all-covered)
}

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "profile")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestGates(t *testing.T) {
	good := "mode: atomic\n" + lines("fsm", 100, 95) + lines("guards", 100, 96) + lines("internal/engine", 100, 90) + lines("sources/x", 100, 80)
	for what, c := range map[string]struct{ text, want string }{
		"all is covered":  {good, ""},
		"fsm":             {strings.Replace(good, lines("fsm", 100, 95), lines("fsm", 1000, 949), 1), "fsm: 94.9 %"},
		"engine":          {strings.Replace(good, lines("internal/engine", 100, 90), lines("internal/engine", 100, 89), 1), "internal/engine: 89.0 %"},
		"all":             {good + lines("sources/y", 100, 0), "overall: 72.2 %"},
		"a package lacks": {strings.Replace(good, lines("guards", 100, 96), "", 1), "guards: 0.0 %"},
		"not ours":        {good + "example.com/x/a.go:1.1,2.2 10000 0\n" + lines("integration/lab", 10000, 0), ""},
		"no code":         {"mode: atomic\n", "it tells of no code"},
		"junk":            {"mode: atomic\nx\n", "line 2"},
	} {
		err := run([]string{write(t, c.text)}, "")
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
	}
	if err := run([]string{filepath.Join(t.TempDir(), "none")}, ""); err == nil {
		t.Error("a profile that is not there is none")
	}
}

// A statement counts as covered if any run went over it, in whatever order.
func TestRunsAddUp(t *testing.T) {
	const place = module + "fsm/a.go:1.1,2.2 7 "
	p := profile{}
	for _, times := range []string{"0", "2", "0"} {
		if err := p.read(write(t, "mode: atomic\n"+place+times+"\n")); err != nil {
			t.Fatal(err)
		}
	}
	if got := p.packages()["fsm"]; got != (count{7, 7}) {
		t.Errorf("%+v", got)
	}
}

func TestReport(t *testing.T) {
	file := filepath.Join(t.TempDir(), "coverage.json")
	err := run([]string{write(t, "mode: atomic\n"+lines("fsm", 100, 50))}, file)
	text, unread := os.ReadFile(file)
	if err == nil || unread != nil || !strings.Contains(string(text), `"value": "50.0 %"`) || !strings.Contains(string(text), `"unmet": true`) {
		t.Errorf("%v, %v: %s", err, unread, text)
	}
}
