package procs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/modewatch/modewatch/fsm"
)

// Servers lists the PipeWire servers that run, one for each user and directory. It
// is a short pass, for those whose graphs are to be asked beside all other probes.
func (p *Procs) Servers(ctx context.Context) ([]fsm.AudioServer, error) {
	names := p.Policy().Audio.Servers
	t, err := open(p.Root)
	if err != nil {
		return nil, err
	}
	defer t.close()
	if err := t.fill(ctx, nil, false); err != nil {
		return nil, err
	}
	return t.servers(names)
}

// servers picks them from a pass: a filter chain is a later process of the same
// program, and a client of the server.
func (t *table) servers(names []string) ([]fsm.AudioServer, error) {
	var out []fsm.AudioServer
	slices.SortFunc(t.procs, func(a, b proc) int { return a.pid - b.pid })
	for _, pr := range t.procs {
		if !slices.ContainsFunc(names, func(name string) bool { return called(pr.comm, name) }) {
			continue
		}
		if pr.exe = t.exe(strconv.Itoa(pr.pid)); !pr.certainly(names) {
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
