package inference

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// A unit that listens on no TCP socket at all can have been asked for nothing:
// a model that still loads, or a server that has closed. Where it does listen,
// only not where the configuration says, nothing is known of its requests.

// listens tells whether any process of a unit has a listening TCP socket. What
// cannot be looked into is an error.
func listens(proc, name string) (bool, error) {
	pids, err := members(proc, name)
	if err != nil {
		return false, fmt.Errorf("cannot find the processes of %s: %w", name, err)
	}
	for _, pid := range pids {
		yes, err := listening(filepath.Join(proc, pid))
		if err != nil && !ended(err) {
			return false, fmt.Errorf("cannot look into process %s of %s: %w", pid, name, err)
		}
		if yes {
			return true, nil
		}
	}
	return false, nil
}

// members lists the processes in the cgroup of a unit, by their own word.
func members(proc, name string) ([]string, error) {
	dirs, err := os.ReadDir(proc)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, d := range dirs {
		if _, err := strconv.Atoi(d.Name()); err != nil {
			continue
		}
		text, err := os.ReadFile(filepath.Join(proc, d.Name(), "cgroup"))
		if err != nil {
			if ended(err) {
				continue
			}
			return nil, err
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSuffix(line, "\n"); strings.HasSuffix(line, "/"+name) || strings.Contains(line, "/"+name+"/") {
				out = append(out, d.Name())
				break
			}
		}
	}
	return out, nil
}

// listening tells whether one process holds a socket that listens.
func listening(dir string) (bool, error) {
	var inodes []string
	for _, table := range []string{"tcp", "tcp6"} {
		got, err := listeners(filepath.Join(dir, "net", table))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		inodes = append(inodes, got...)
	}
	fds, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		return false, err
	}
	for _, fd := range fds {
		to, err := os.Readlink(filepath.Join(dir, "fd", fd.Name()))
		if err != nil {
			if ended(err) {
				continue
			}
			return false, err
		}
		if in, ok := strings.CutPrefix(to, "socket:["); ok && slices.Contains(inodes, strings.TrimSuffix(in, "]")) {
			return true, nil
		}
	}
	return false, nil
}

// listenState is TCP_LISTEN in the fourth column of /proc/net/tcp.
const listenState = "0A"

// listeners returns the inodes of the listening sockets of a table.
func listeners(path string) ([]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out []string
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 9 && f[3] == listenState {
			out = append(out, f[9])
		}
	}
	return out, nil
}

func ended(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) }
