package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// standins are the programs for what cannot be had in a test; see their own comments.
var standins = []string{"vllm", "k3s"}

const standinPath = "github.com/modewatch/modewatch/integration/standin/"

// Standins builds the stand-ins and returns a tree for Options.Install that has them
// in /usr/local/bin. It has to be called below the module's directory, as tests are.
func Standins(ctx context.Context) (string, error) {
	tree := filepath.Join(theCache().dir, "standins")
	bin := filepath.Join(tree, "usr", "local", "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", fmt.Errorf("cannot make the directory of the stand-ins: %w", err)
	}
	gate, err := Lock(ctx, filepath.Join(theCache().dir, "standins.lock"), unix.LOCK_EX)
	if err != nil {
		return "", err
	}
	defer gate.Close()
	for _, name := range standins {
		// Replaced whole: another process may be copying the one of before.
		temp := filepath.Join(theCache().dir, name+".new")
		if err := Build(ctx, standinPath+name, temp); err != nil {
			return "", err
		}
		if err := os.Rename(temp, filepath.Join(bin, name)); err != nil {
			return "", fmt.Errorf("cannot put %s in place: %w", name, err)
		}
	}
	return tree, nil
}

// Build builds the command of a Go package into a file, statically.
func Build(ctx context.Context, pkg, file string, flags ...string) error {
	args := append(append([]string{"build"}, flags...), "-o", file, pkg)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build %s: %w\n%s", pkg, err, tail(string(out), 20))
	}
	return nil
}
