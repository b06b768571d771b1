package placement

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "placement.json")
	for text, want := range map[string]string{
		`{"schema":1,"studio":"local"}`:                                  Local,
		`{"schema":1,"studio":"external-mac-mini","ai":"local","x":[1]}`: External,
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		link := filepath.Join(dir, want+".json")
		if err := os.Symlink(path, link); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{path, link} {
			if got, err := Read(context.Background(), name); err != nil || got.Studio != want {
				t.Errorf("%s: %+v, %v", text, got, err)
			}
		}
	}
}

func TestCannotTell(t *testing.T) {
	path := filepath.Join(t.TempDir(), "placement.json")
	says := func(want string) {
		t.Helper()
		got, err := Read(context.Background(), path)
		if err == nil || got.Studio != "" || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%+v, %v; want %q", got, err, want)
		}
	}
	says("no such file")
	for text, want := range map[string]string{
		"":                              "unexpected end",
		"{":                             "unexpected end",
		`{"schema":1}`:                  `"studio" is ""`,
		`{"schema":1,"studio":"mars"}`:  `"studio" is "mars"`,
		`{"schema":1,"studio":"Local"}`: `"studio" is "Local"`,
		`{"schema":1,"studio":true}`:    "cannot unmarshal",
		`{"schema":2,"studio":"local"}`: `"schema" is 2`,
		`{"studio":"local"}`:            `"schema" is 0`,
		strings.Repeat(" ", maxSize) + `{"schema":1,"studio":"local"}`: "more than",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		says(want)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(path, 0o644); err != nil {
		t.Fatal(err)
	}
	says("not a regular file")
}
