package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// events are those of two tests, the second skipped.
const events = `{"Action":"run","Package":"github.com/modewatch/modewatch/sinks/act","Test":"TestA"}
{"Action":"pass","Package":"github.com/modewatch/modewatch/sinks/act","Test":"TestA"}
{"Action":"output","Package":"github.com/modewatch/modewatch/sinks/act","Test":"TestLabB","Output":"=== RUN   TestLabB\n"}
{"Action":"output","Package":"github.com/modewatch/modewatch/sinks/act","Test":"TestLabB","Output":"    b_test.go:7: needs the lab\n"}
{"Action":"output","Package":"github.com/modewatch/modewatch/sinks/act","Test":"TestLabB","Output":"--- SKIP: TestLabB (0.00s)\n"}
{"Action":"skip","Package":"github.com/modewatch/modewatch/sinks/act","Test":"TestLabB"}
{"Action":"skip","Package":"github.com/modewatch/modewatch/cmd/without-tests"}
`

func TestRun(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ran := file("ran.json", events)
	for what, c := range map[string]struct {
		list, run, want string // want "" is success
	}{
		"listed":              {"# those of the lab\nsinks/act TestLab* run in the lab\n", ran, ""},
		"another test":        {"sinks/act TestLabC run in the lab\n", ran, "1 skipped tests are not listed"},
		"another package":     {"sinks TestLab* run in the lab\n", ran, "1 skipped tests are not listed"},
		"nothing listed":      {"", ran, "1 skipped tests are not listed"},
		"listed without why":  {"sinks/act TestLab*\n", ran, "line 1: want PACKAGE TEST REASON"},
		"a pattern that errs": {"sinks/act [ x\n", ran, "line 1: syntax error in pattern"},
		"a package of none":   {"sinks/act TestLab* x\n", file("none of it.json", events+`{"Action":"pass","Package":"github.com/modewatch/modewatch/cmd/x"}`), "1 skipped tests"},
		"no run":              {"", filepath.Join(dir, "none.json"), "no such file"},
		"an empty run":        {"", file("empty.json", ""), "it tells of no test"},
		"half a run":          {"sinks/act TestLab* x", file("half.json", events+`{"Act`), "unexpected EOF"},
	} {
		err := run([]string{file("list.txt", c.list), c.run})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
	}
}

func TestReason(t *testing.T) {
	r := newRuns()
	path := filepath.Join(t.TempDir(), "run.json")
	if err := os.WriteFile(path, []byte(events), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.read(path); err != nil || len(r.skipped) != 1 || len(r.said) != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	if s := r.skipped[0]; s.String() != "sinks/act TestLabB" || s.reason != "b_test.go:7: needs the lab" {
		t.Errorf("%+v", s)
	}
}
