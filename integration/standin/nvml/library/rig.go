package library

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Rig is what a test of NVML's users needs: the program, the library, and one
// that lacks a function.
type Rig struct {
	Program, Library, Old string
}

// NewRig builds all of it in dir.
func NewRig(ctx context.Context, dir string) (r Rig, err error) {
	if r.Library, err = Build(ctx, filepath.Join(dir, "new")); err != nil {
		return r, err
	}
	if r.Old, err = Build(ctx, filepath.Join(dir, "old"), "WITHOUT_COMPUTE"); err != nil {
		return r, err
	}
	r.Program = filepath.Join(dir, "modewatch-gpu")
	return r, Program(ctx, r.Program)
}

// Copy puts a copy of a library into dir, which says what the lines say, and
// returns its path. A copy with no lines has no driver.
func Copy(library, dir string, lines ...string) (string, error) {
	data, err := os.ReadFile(library)
	if err != nil {
		return "", fmt.Errorf("cannot copy the stand-in of NVML: %w", err)
	}
	to := filepath.Join(dir, Name)
	if err := os.WriteFile(to, data, 0o755); err != nil {
		return "", fmt.Errorf("cannot copy the stand-in of NVML: %w", err)
	}
	return to, Say(to, lines...)
}

// Say changes what a library says, in one stroke.
func Say(library string, lines ...string) error {
	if len(lines) == 0 {
		return nil
	}
	temp := State(library) + ".new"
	err := os.WriteFile(temp, []byte(Lines(lines...)), 0o644)
	if err == nil {
		err = os.Rename(temp, State(library))
	}
	if err != nil {
		return fmt.Errorf("cannot say what NVML is to say: %w", err)
	}
	return nil
}

// Lines is the text of a state file.
func Lines(lines ...string) string { return strings.Join(lines, "\n") + "\n" }

// GPU is the line of a GPU of 16 GiB, n by NVML's count, at PCI 0000:BUS:00.0.
func GPU(n, minor int, bus, name string) string {
	return fmt.Sprintf("gpu %d minor=%d uuid=GPU-%s bus=0000:%s:00.0 total=%d used=%d load=7 display=%d name=%s",
		n, minor, bus, bus, 16<<30, 1<<30, 1-min(n, 1), name)
}
