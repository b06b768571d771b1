package debian

import (
	"archive/tar"
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

	"github.com/modewatch/modewatch/integration/lab"
	"github.com/modewatch/modewatch/integration/vm/debian/wire"
)

//go:embed recipe.sh
var recipe string

// image finds or makes the disk. While the file is open it is not removed.
func image(ctx context.Context) (string, *os.File, error) {
	root, err := lab.Root(ctx)
	if err != nil {
		return "", nil, err
	}
	dir := os.Getenv("MODEWATCH_VM_CACHE")
	if dir == "" {
		dir = "/var/cache/modewatch-vm"
	}
	return lab.Made(ctx, filepath.Join(dir, "debian"), "lab_root='"+root+"'\n"+recipe)
}

// saved finds or makes the overlay with the state after the boot. It returns it open,
// as another process may remove it as outdated, and which accelerator it is of.
func saved(ctx context.Context, image string) (overlay *os.File, accel string, err error) {
	gate, err := lab.Lock(ctx, filepath.Join(image, "state.lock"), unix.LOCK_EX)
	if err != nil {
		return nil, "", err
	}
	defer gate.Close()
	hands, err := packAgent(ctx, image)
	if err != nil {
		return nil, "", err
	}
	version, err := exec.CommandContext(ctx, "qemu-system-x86_64", "--version").Output()
	if err != nil {
		return nil, "", fmt.Errorf("cannot ask the emulator for its version: %w", err)
	}
	var why error
	for _, accel := range accelerators() {
		args := strings.Join(arguments("", "", accel, ""), " ")
		sum := sha256.Sum256([]byte(strings.Join([]string{hands, string(version), args}, "\n")))
		path := filepath.Join(image, "up-"+accel+"-"+hex.EncodeToString(sum[:8])+".qcow2")
		if err = save(ctx, image, path, accel); err == nil {
			overlay, err = os.Open(path)
		}
		if err == nil {
			return overlay, accel, nil
		}
		why = errors.Join(why, fmt.Errorf("by %s: %w", accel, err))
	}
	return nil, "", why
}

// accelerators are those to try, in this order.
func accelerators() []string {
	if forced := os.Getenv("MODEWATCH_VM_ACCEL"); forced != "" {
		return []string{forced}
	}
	kvm, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return []string{"tcg"}
	}
	_ = kvm.Close()
	return []string{"kvm", "tcg"}
}

// save boots once and saves the state, unless it is there or this accelerator was
// found not to work before.
func save(ctx context.Context, image, overlay, accel string) error {
	if _, err := os.Stat(overlay); err == nil {
		return nil
	}
	broken := overlay + ".broken"
	if _, err := os.Stat(broken); err == nil && accel == "kvm" && os.Getenv("MODEWATCH_VM_ACCEL") == "" {
		return errors.New("it did not work before")
	}
	temp := overlay + ".new"
	defer os.Remove(temp)
	make := exec.CommandContext(ctx, "qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", filepath.Join(image, "disk.img"), temp)
	if out, err := make.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot make an overlay: %w\n%s", err, out)
	}
	if err := bootAndSave(ctx, image, temp, accel); err != nil {
		return errors.Join(err, os.WriteFile(broken, []byte(err.Error()), 0o644), dropOthers(overlay))
	}
	return errors.Join(os.Rename(temp, overlay), dropOthers(overlay))
}

// dropOthers removes what is of other states of the accelerator. It is called with
// the states locked; who is about to use one has it open.
func dropOthers(overlay string) error {
	accel, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(overlay), "up-"), "-")
	found, err := filepath.Glob(filepath.Join(filepath.Dir(overlay), "up-"+accel+"-*"))
	for _, path := range found {
		if !strings.HasPrefix(path, overlay) {
			err = errors.Join(err, os.Remove(path))
		}
	}
	return err
}

func bootAndSave(ctx context.Context, image, overlay, accel string) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	e, err := emulate(ctx, image, overlay, accel, "")
	if err != nil {
		return err
	}
	defer e.kill()
	r, err := e.agent.ask(ctx, wire.Request{Op: wire.Run, Argv: []string{"systemctl", "is-system-running", "--wait"}, Limit: startTime}, nil)
	if err != nil {
		return fmt.Errorf("cannot boot: %w", err)
	}
	if state := strings.TrimSpace(string(r.body[:r.Out])); state != "running" {
		failed, err := e.agent.ask(ctx, wire.Request{Op: wire.Run, Argv: []string{"systemctl", "--failed", "--plain", "--no-legend"}, Limit: time.Minute}, nil)
		return errors.Join(fmt.Errorf("cannot boot clean: the system is %s: %s", state, failed.body), err)
	}
	return e.qmp.human(ctx, "savevm up")
}

// packAgent builds the agent into the disk that brings it, and returns its hash.
func packAgent(ctx context.Context, image string) (string, error) {
	dir, err := os.MkdirTemp("", "modewatch-vm-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "agent")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", file,
		"github.com/modewatch/modewatch/integration/vm/debian/agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build the agent: %w\n%s", err, out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), writeTar(filepath.Join(image, "agent.tar"), data)
}

// writeTar leaves a file alone that is as it shall be.
func writeTar(path string, program []byte) error {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	err := w.WriteHeader(&tar.Header{Name: "agent", Mode: 0o755, Size: int64(len(program))})
	if err == nil {
		_, err = w.Write(program)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		return err
	}
	if is, err := os.ReadFile(path); err == nil && bytes.Equal(is, archive.Bytes()) {
		return nil
	}
	if err := os.WriteFile(path+".new", archive.Bytes(), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
