package vm

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/cavaliergopher/cpio"
)

// initramfs makes the machine's file system and returns its file: init, the modules
// of a kernel, and the test binaries by name, each with its pattern beside it.
func initramfs(ctx context.Context, kernel string, tests map[string]Tests) (string, error) {
	work, err := os.MkdirTemp("", "modewatch-vm-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	first := filepath.Join(work, "init")
	if err := build(ctx, first, "./init"); err != nil {
		return "", err
	}
	files := map[string]string{"init": first}
	modules, err := filepath.Glob(filepath.Join(kernel, "modules", "*"))
	if err != nil {
		return "", err
	}
	for _, m := range modules {
		files["modules/"+filepath.Base(m)] = m
	}
	for name, t := range tests {
		pattern := filepath.Join(work, name)
		if err := os.WriteFile(pattern, []byte(t.Run), 0o644); err != nil {
			return "", err
		}
		files["tests/"+name], files["patterns/"+name] = t.File, pattern
	}
	return pack(files)
}

// build makes a static program of a package.
func build(ctx context.Context, to, pkg string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", to, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build %s: %w\n%s", pkg, err, out)
	}
	return nil
}

// pack writes files, by the names that they get, into an archive as the kernel
// unpacks it.
func pack(files map[string]string) (_ string, err error) {
	out, err := os.CreateTemp("", "modewatch-vm-*.cpio")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			out.Close()
			os.Remove(out.Name())
		}
	}()
	w := cpio.NewWriter(out)
	for _, dir := range []string{"dev", "modules", "patterns", "proc", "sys", "tests", "tmp"} {
		if err := w.WriteHeader(&cpio.Header{Name: dir, Mode: cpio.TypeDir | 0o755}); err != nil {
			return "", err
		}
	}
	for name, file := range files {
		if err := add(w, name, file); err != nil {
			return "", fmt.Errorf("cannot pack %s: %w", file, err)
		}
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return out.Name(), out.Close()
}

func add(w *cpio.Writer, name, file string) error {
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	fi, err := in.Stat()
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&cpio.Header{Name: name, Mode: cpio.TypeReg | 0o755, Size: fi.Size()}); err != nil {
		return err
	}
	_, err = io.Copy(w, in)
	return err
}
