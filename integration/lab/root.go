package lab

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

//go:embed recipe.sh
var recipe string

// cache is a directory of roots and the recipe of the one that is wanted.
type cache struct{ dir, recipe string }

// Root makes the root that machines are booted from, or finds the one made before,
// and returns its directory, which is never to be written to. It is keyed by the
// hash of its recipe, made whole or not at all, and made once however many processes
// ask. The first time takes about a minute and the network.
func Root(ctx context.Context) (string, error) {
	dir, inUse, err := theCache().use(ctx)
	if err != nil {
		return "", err
	}
	return dir, inUse.Close()
}

// Made is Root for another recipe and cache: it also returns an open file, and as
// long as that is open what was made is not removed as outdated.
func Made(ctx context.Context, dir, recipe string) (string, *os.File, error) {
	return cache{dir, recipe}.use(ctx)
}

func theCache() cache {
	if dir := os.Getenv("MODEWATCH_LAB_CACHE"); dir != "" {
		return cache{dir, recipe}
	}
	return cache{"/var/cache/modewatch-lab", recipe}
}

// use is Root that also returns an open file with a shared lock. As long as any
// process holds a copy of the file open, the root is not removed as outdated.
func (c cache) use(ctx context.Context) (string, *os.File, error) {
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return "", nil, fmt.Errorf("cannot make the lab's cache: %w", err)
	}
	gate, err := Lock(ctx, filepath.Join(c.dir, "lock"), unix.LOCK_EX)
	if err != nil {
		return "", nil, err
	}
	defer gate.Close()
	dir := filepath.Join(c.dir, c.key())
	if _, err := os.Stat(dir); err != nil {
		if err := c.make(ctx, dir); err != nil {
			return "", nil, err
		}
	}
	inUse, err := Lock(ctx, dir+".lock", unix.LOCK_SH)
	if err != nil {
		return "", nil, err
	}
	if err := c.dropOthers(ctx); err != nil {
		return "", nil, errors.Join(err, inUse.Close())
	}
	return dir, inUse, nil
}

func (c cache) key() string {
	sum := sha256.Sum256([]byte(c.recipe))
	return "root-" + hex.EncodeToString(sum[:8])
}

// make runs the recipe beside dir and renames the result.
func (c cache) make(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	temp := dir + ".new"
	if err := removeTree(temp); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", c.recipe, "recipe.sh", temp)
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("cannot make what the lab needs: %w\n%s", err, tail(string(out), 20)), removeTree(temp))
	}
	if err := os.Rename(temp, dir); err != nil {
		return fmt.Errorf("cannot put what the lab needs in place: %w", err)
	}
	return nil
}

// dropOthers removes the roots of other recipes that no machine runs on. It is
// called with the cache locked.
func (c cache) dropOthers(ctx context.Context) error {
	found, err := filepath.Glob(filepath.Join(c.dir, "root-*"))
	if err != nil {
		return err
	}
	for _, path := range found {
		name := filepath.Base(path)
		if name == c.key() || strings.HasSuffix(name, ".lock") {
			continue
		}
		if err := dropRoot(ctx, path); err != nil {
			return err
		}
	}
	return nil
}

// dropRoot removes one root unless it is in use.
func dropRoot(ctx context.Context, path string) error {
	now, cancel := context.WithCancel(ctx)
	cancel()
	unused, err := Lock(now, path+".lock", unix.LOCK_EX)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unused.Close()
	return errors.Join(removeTree(path), os.Remove(path+".lock"))
}

// removeTree removes a root that is not mounted in. Should a mount be left in it by
// a killed build, it is taken off first, so that nothing of the host is removed.
func removeTree(path string) error {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return fmt.Errorf("cannot read the mount table: %w", err)
	}
	for line := range bytes.Lines(mounts) {
		at := strings.Fields(string(line))[1]
		if !strings.HasPrefix(at, path+"/") {
			continue
		}
		if err := unix.Unmount(at, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("cannot unmount %s: %w", at, err)
		}
	}
	return os.RemoveAll(path)
}

// Lock opens path, or makes it, and takes the lock (unix.LOCK_EX or unix.LOCK_SH),
// trying again until ctx ends (at least once). Closing the file gives it back.
func Lock(ctx context.Context, path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot open the lock: %w", err)
	}
	for { // to wait in flock itself could not end with ctx
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("cannot lock %s: %w", path, err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("cannot lock %s: %w", path, ctx.Err()), f.Close())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// tail is the last n lines of text.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
