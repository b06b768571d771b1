package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// home is where each machine has a directory; the directories are also the register
// that sweep goes by.
const home = "/run"

// prefix begins the name of every machine: prefix, owner's pid, the clock tick at
// which the owner was started (pids are used again), a running number.
const prefix = "mwlab"

// cgroups are the mount points of the hierarchies that a container is put into. one
// is the v2 tree, all has v1's name=systemd tree as well where the host has one.
type cgroups struct {
	one string
	all []string
}

// hierarchies finds the host's cgroup trees; an error says why none will do.
var hierarchies = sync.OnceValues(func() (cgroups, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return cgroups{}, fmt.Errorf("cannot read the mount table: %w", err)
	}
	return findHierarchies(string(mounts))
})

// findHierarchies reads the text of /proc/PID/mountinfo.
func findHierarchies(mountinfo string) (cgroups, error) {
	var v2, named string
	writable := false
	for line := range strings.Lines(mountinfo) {
		mount, fs, found := strings.Cut(line, " - ")
		left, right := strings.Fields(mount), strings.Fields(fs)
		if !found || len(left) < 6 || len(right) < 3 {
			continue
		}
		switch {
		case right[0] == "cgroup2" && v2 == "":
			v2, writable = left[4], !hasOption(left[5], "ro")
		case right[0] == "cgroup" && hasOption(right[2], "name=systemd"):
			named = left[4]
		}
	}
	switch {
	case v2 == "":
		return cgroups{}, errors.New("the lab needs a cgroup v2 tree and none is mounted")
	case !writable:
		return cgroups{}, fmt.Errorf("the lab needs to write to the cgroup tree and %s is read-only", v2)
	case named == "":
		return cgroups{one: v2, all: []string{v2}}, nil
	}
	return cgroups{one: v2, all: []string{v2, named}}, nil
}

func hasOption(options, want string) bool {
	for option := range strings.SplitSeq(options, ",") {
		if option == want {
			return true
		}
	}
	return false
}

var machines atomic.Int64

// newName gives the next machine of this process its name, which is also its
// host name for nspawn and the name of its cgroups.
func newName() (string, error) {
	pid := os.Getpid()
	start, err := startTick(pid)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s-%d-%s-%d", prefix, pid, start, machines.Add(1)), nil
}

// startTick is field 22 of /proc/PID/stat.
func startTick(pid int) (string, error) {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return "", fmt.Errorf("cannot read the start of process %d: %w", pid, err)
	}
	after := string(stat[strings.LastIndexByte(string(stat), ')')+1:])
	fields := strings.Fields(after)
	if len(fields) < 20 {
		return "", fmt.Errorf("cannot read the start of process %d: %d fields", pid, len(fields))
	}
	return fields[19], nil
}

// orphaned says whether name is a machine whose owner is dead.
func orphaned(name string) bool {
	parts := strings.Split(name, "-")
	if len(parts) != 4 || parts[0] != prefix {
		return false
	}
	pid, err := strconv.Atoi(parts[1])
	if err != nil {
		return false
	}
	start, err := startTick(pid)
	if err != nil {
		return errors.Is(err, os.ErrNotExist)
	}
	return start != parts[2]
}
