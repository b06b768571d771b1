package lab

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// overlay is what each machine has over the root: the units of the stand-in logins.
//
//go:embed all:overlay
var overlay embed.FS

// ReadFile reads a file of the running machine. Symbolic links must be relative.
func (m *Machine) ReadFile(name string) ([]byte, error) {
	root, err := m.live()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.ReadFile(inside(name))
}

// WriteFile writes a file of the running machine as root, in place if it exists, and
// makes the directories above it. Symbolic links must be relative.
func (m *Machine) WriteFile(name, content string) error {
	root, err := m.live()
	if err != nil {
		return err
	}
	defer root.Close()
	return write(root, inside(name), []byte(content), modeOf(content))
}

// live opens the running system's root with all that is mounted in it.
func (m *Machine) live() (*os.Root, error) {
	root, err := os.OpenRoot(filepath.Join("/proc", strconv.Itoa(m.leader), "root"))
	if err != nil {
		return nil, fmt.Errorf("cannot reach the files of %s: %w", m.Name, err)
	}
	return root, nil
}

// furnish lays everything of m.options over the root before the first boot.
func (m *Machine) furnish(ctx context.Context) error {
	root, err := os.OpenRoot(m.keeper.root(m.Name))
	if err != nil {
		return fmt.Errorf("cannot reach the disk of %s: %w", m.Name, err)
	}
	defer root.Close()
	own, err := fs.Sub(overlay, "overlay")
	if err != nil {
		return err
	}
	if err := lay(root, own, byContent); err != nil {
		return err
	}
	for _, tree := range m.options.Install {
		if err := lay(root, os.DirFS(tree), byFile); err != nil {
			return fmt.Errorf("cannot lay %s over the root: %w", tree, err)
		}
	}
	for name, content := range m.options.Files {
		if err := write(root, inside(name), []byte(content), modeOf(content)); err != nil {
			return err
		}
	}
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails, see its documentation
	if err := write(root, "etc/machine-id", []byte(hex.EncodeToString(id)+"\n"), 0o444); err != nil {
		return err
	}
	return m.enable(ctx)
}

// A modeRule gives a copied file its mode.
type modeRule func(info fs.FileInfo, content []byte) fs.FileMode

func byFile(info fs.FileInfo, _ []byte) fs.FileMode { return info.Mode().Perm() }

// byContent is for embedded files, which come without modes.
func byContent(_ fs.FileInfo, content []byte) fs.FileMode { return modeOf(string(content)) }

// lay copies a tree into root.
func lay(root *os.Root, tree fs.FS, mode modeRule) error {
	return fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		switch {
		case name == ".":
			return nil
		case entry.IsDir():
			return layDir(root, name)
		case info.Mode()&fs.ModeSymlink != 0:
			return layLink(root, tree, name)
		case !info.Mode().IsRegular():
			return fmt.Errorf("cannot copy %s: neither file, directory nor link", name)
		}
		content, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		return write(root, name, content, mode(info, content))
	})
}

// layDir makes a directory unless it, or a link to one, is there. A directory's mode in
// a DESTDIR is often no more than the umask of who made it, so it is not copied.
func layDir(root *os.Root, name string) error {
	if info, err := root.Stat(name); err == nil && info.IsDir() {
		return nil
	}
	return errors.Join(root.Mkdir(name, 0o755), root.Chmod(name, 0o755))
}

func layLink(root *os.Root, tree fs.FS, name string) error {
	to, err := fs.ReadLink(tree, name)
	if err != nil {
		return err
	}
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return root.Symlink(to, name)
}

func write(root *os.Root, name string, content []byte, mode fs.FileMode) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return fmt.Errorf("cannot make the directory of %s: %w", name, err)
	}
	if err := root.WriteFile(name, content, mode); err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	return root.Chmod(name, mode)
}

// enable runs systemctl enable in the machine's disk before it boots.
func (m *Machine) enable(ctx context.Context) error {
	if len(m.options.Enable) == 0 {
		return nil
	}
	args := append([]string{"systemctl", "enable", "--quiet"}, m.options.Enable...)
	ctx, cancel := bounded(ctx)
	defer cancel()
	out, err := m.chroot(ctx, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot enable %q: %w: %s", m.options.Enable, err, out)
	}
	return nil
}

func inside(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

func modeOf(content string) fs.FileMode {
	if strings.HasPrefix(content, "#!") {
		return 0o755
	}
	return 0o644
}

// chroot prepares a command in the disk of a machine that is not running.
func (m *Machine) chroot(ctx context.Context, command ...string) *exec.Cmd {
	keeper := strconv.Itoa(m.keeper.cmd.Process.Pid)
	args := append([]string{"-t", keeper, "-m", "--", "chroot", filepath.Join(m.dir(), "m", "root")}, command...)
	cmd := exec.CommandContext(ctx, "nsenter", args...)
	cmd.Env = environment
	return cmd
}
