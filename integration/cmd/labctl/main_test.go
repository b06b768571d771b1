package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/modewatch/modewatch/integration/lab"
)

func TestDemo(t *testing.T) {
	lab.Need(t)
	dir := t.TempDir()
	script, text := filepath.Join(dir, "script"), filepath.Join(dir, "text")
	for name, content := range map[string]string{
		script: "grep -q 'of the host' /etc/text && loginctl --no-legend | grep -q alice && exit 5",
		text:   "of the host",
	} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	err := run(context.Background(), []string{"demo", "-oneshot", "-sway", "alice", "-file", "/etc/text=" + text, script})
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 5 {
		t.Errorf("got %v, want the script's exit code 5", err)
	}
}

func TestMisuse(t *testing.T) {
	for _, args := range [][]string{
		nil, {"sing"}, {"demo"}, {"demo", "one", "two"}, {"shell", "script"}, {"demo", "-loud", "script"},
		{"demo", "-file", "/etc/text", "script"}, {"demo", "-file", "/etc/text=/no/such/file", "script"},
	} {
		if err := run(context.Background(), args); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
