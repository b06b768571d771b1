package procs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/modewatch/modewatch/fsm"
)

// servers lists the PipeWire servers that run, one for each user and directory: a
// filter chain is a later process of the same program, and a client of the server.
func (t *table) servers(names []string) ([]fsm.AudioServer, error) {
	var out []fsm.AudioServer
	first := slices.Clone(t.procs)
	slices.SortFunc(first, func(a, b proc) int { return a.pid - b.pid })
	for _, pr := range first {
		if !pr.certainly(names) {
			continue
		}
		uid := t.owner(pr.pid)
		dir, err := t.runtimeDir(pr.pid, uid)
		if gone(err) || uid < 0 {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("cannot tell where %s (PID %d) listens: %w", pr.comm, pr.pid, err)
		}
		same := func(s fsm.AudioServer) bool { return s.UID == uid && s.Dir == dir }
		if !slices.ContainsFunc(out, same) {
			out = append(out, fsm.AudioServer{PID: pr.pid, UID: uid, Dir: dir})
		}
	}
	return out, nil
}

// runtimeDir is where a server has its socket, by its environment; by its uid where
// that says nothing.
func (t *table) runtimeDir(pid, uid int) (string, error) {
	environ, err := os.ReadFile(filepath.Join(t.root, strconv.Itoa(pid), "environ"))
	if err != nil {
		return "", err
	}
	for _, name := range []string{"PIPEWIRE_RUNTIME_DIR=", "XDG_RUNTIME_DIR="} {
		for _, v := range strings.Split(string(environ), "\x00") {
			if dir, ok := strings.CutPrefix(v, name); ok && filepath.IsAbs(dir) {
				return dir, nil
			}
		}
	}
	return "/run/user/" + strconv.Itoa(uid), nil
}
