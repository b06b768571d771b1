package procs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// cgroups is where the control groups are mounted.
const cgroups = "/sys/fs/cgroup"

// hierarchy returns the folder of the control groups that systemd keeps: the
// unified hierarchy, or systemd's own on a host that still has both.
func hierarchy(base string) (string, error) {
	for file, dir := range map[string]string{"cgroup.controllers": base, "systemd/cgroup.procs": filepath.Join(base, "systemd")} {
		if _, err := os.Stat(filepath.Join(base, file)); err == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("cannot find systemd's control groups in %s", base)
}

// groups finds the control groups of units, which are in slices alone. A unit
// without one has no process.
func groups(base string, units []string) (map[string]string, error) {
	root, err := hierarchy(base)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for todo := []string{root}; len(todo) > 0; {
		dir := todo[0]
		todo = todo[1:]
		names, err := folders(dir)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			// A name that could be taken for a file of the kernel's has "_" before it.
			if unit := strings.TrimPrefix(name, "_"); slices.Contains(units, unit) {
				out[unit] = filepath.Join(dir, name)
			} else if strings.HasSuffix(name, ".slice") {
				todo = append(todo, filepath.Join(dir, name))
			}
		}
	}
	return out, nil
}

// folders lists the control groups right in one, none if it went away.
func folders(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !vanished(err) {
		return nil, fmt.Errorf("cannot list the control group %s: %w", dir, err)
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, e.Name())
		}
	}
	return out, nil
}

// inside lists the processes in a control group and in those below it.
func inside(dir string) ([]int, error) {
	data, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if vanished(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read who is in a control group: %w", err)
	}
	var out []int
	for line := range strings.Lines(string(data)) {
		pid, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			return nil, fmt.Errorf("cannot read who is in a control group: %w", err)
		}
		out = append(out, pid)
	}
	names, err := folders(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		below, err := inside(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		out = append(out, below...)
	}
	return out, nil
}

// vanished tells whether a control group went away while it was read.
func vanished(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV)
}
