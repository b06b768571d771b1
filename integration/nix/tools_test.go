package nix

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata and the options' reference anew")

// root is the module's directory, seen from the tests.
const root = "../.."

// tool finds a program of nix-bin; the test skips where there is none.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("SKIP-REASON: there is no %s (Debian's package nix-bin)", name)
	}
	return path
}

// library is the checkout of nixpkgs' lib; the test skips where there is none.
func library(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("NIXPKGS_LIB")
	if dir == "" {
		t.Skip("SKIP-REASON: NIXPKGS_LIB does not name the folder lib of a checkout of nixpkgs")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// command prepares a program of nix-bin that leaves the system's store alone.
func command(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(tool(t, name), append([]string{"--store", "dummy://"}, args...)...)
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+home, "NIX_STATE_DIR="+home, "NIX_LOG_DIR="+home, "NIX_CONF_DIR="+home)
	return cmd
}

// output runs a command and returns what it printed; the test fails if it fails.
func output(t *testing.T, cmd *exec.Cmd) []byte {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, stderr.String())
	}
	return out
}
