package lab

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

//go:embed keeper.sh
var keeperScript string

// keeper is the process that holds one machine's mounts and cleans up after it.
type keeper struct {
	cmd    *exec.Cmd
	leash  io.Closer
	stderr *strings.Builder
	free   func() error
}

// keep starts the keeper of a new machine over the given root. inUse is handed on to
// it, so that the root stays as long as the keeper does.
func keep(name, root string, inUse *os.File, trees cgroups) (*keeper, error) {
	k := &keeper{cmd: keeperCommand(context.Background(), trees, "hold", name, root), stderr: &strings.Builder{}}
	k.cmd.Stderr = k.stderr
	k.cmd.ExtraFiles = []*os.File{inUse}
	k.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Unshareflags: syscall.CLONE_NEWNS}
	leash, err := k.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("cannot make the keeper's pipe: %w", err)
	}
	out, err := k.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("cannot make the keeper's pipe: %w", err)
	}
	k.leash, k.free = leash, sync.OnceValue(k.end)
	if err := k.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start the keeper of %s: %w", name, err)
	}
	if word, _ := bufio.NewReader(out).ReadString('\n'); word != "ready\n" {
		err := k.free()
		return nil, errors.Join(fmt.Errorf("cannot set up %s: %s", name, tail(k.stderr.String(), 5)), err)
	}
	return k, nil
}

// end closes the pipe and waits until the keeper has removed the machine.
func (k *keeper) end() error {
	closed := k.leash.Close()
	late := time.AfterFunc(30*time.Second, func() { _ = k.cmd.Process.Kill() })
	defer late.Stop()
	if err := k.cmd.Wait(); err != nil {
		return fmt.Errorf("cannot remove the machine: keeper: %w: %s", err, tail(k.stderr.String(), 5))
	}
	return closed
}

// root is the machine's root directory as this process can reach it.
func (k *keeper) root(name string) string {
	return filepath.Join("/proc", fmt.Sprint(k.cmd.Process.Pid), "root", home, name, "m", "root")
}

// sweep is sweepNow, once per process.
var sweep = sync.OnceValue(sweepNow)

// sweepNow removes what dead owners with dead keepers left behind.
func sweepNow() error {
	trees, err := hierarchies()
	if err != nil {
		return err
	}
	left, err := os.ReadDir(home)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot look for leftovers: %w", err)
	}
	for _, entry := range left {
		if orphaned(entry.Name()) {
			err = errors.Join(err, release(entry.Name(), trees))
		}
	}
	return err
}

// release removes a machine that has neither owner nor keeper.
func release(name string, trees cgroups) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	out, err := keeperCommand(ctx, trees, "release", name).CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot remove the leftover %s: %w: %s", name, err, tail(string(out), 5))
	}
	return nil
}

func keeperCommand(ctx context.Context, trees cgroups, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", append([]string{"-c", keeperScript, "keeper.sh"}, args...)...)
	cmd.Env = append(os.Environ(), "LAB_DIR="+home, "LAB_CGROUPS="+strings.Join(trees.all, " "))
	return cmd
}
