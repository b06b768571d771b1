package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/modewatch/modewatch/internal/config"
	"github.com/modewatch/modewatch/sources/procs"
)

// rewatch is how long a run directory that is not there is waited for.
const rewatch = 2 * time.Second

// watchHost shows tell what is known of this host, now and whenever it may be something
// else, until tell has enough or ctx ends. At rest nothing is done: the controller's
// files are events, and so is its end.
func (e env) watchHost(ctx context.Context, cfg config.Config, tell func(view) (enough bool, err error)) error {
	for ctx.Err() == nil {
		w, err := fsnotify.NewWatcher()
		if err != nil {
			return fmt.Errorf("cannot watch %s: %w", cfg.RunDir, err)
		}
		there := w.Add(cfg.RunDir) == nil
		_ = w.Add(filepath.Join(cfg.RunDir, "holds")) // nobody can hold where it is not
		enough, err := e.watchWith(ctx, cfg, w, there, tell)
		w.Close()
		if enough || err != nil {
			return err
		}
	}
	return nil
}

// watchWith does so until the directory goes away.
func (e env) watchWith(ctx context.Context, cfg config.Config, w *fsnotify.Watcher, there bool, tell func(view) (bool, error)) (enough bool, err error) {
	for ctx.Err() == nil {
		v, err := e.see(cfg)
		if err != nil && !v.Live { // else it is about the file desired alone, of which the daemon tells
			return false, err
		}
		if enough, err := tell(v); enough || err != nil {
			return enough, err
		}
		if !e.stir(ctx, cfg.RunDir, w, v, there) {
			return false, nil
		}
	}
	return false, nil
}

// stir returns when there may be something else to see; false when the directory has
// to be watched anew.
func (e env) stir(ctx context.Context, dir string, w *fsnotify.Watcher, v view, there bool) bool {
	ctx, stop := context.WithCancel(ctx)
	var controller []int
	if v.Live {
		controller = []int{v.Snapshot.PID}
	}
	gone := procs.FirstEnd(ctx, controller)
	defer func() { stop(); <-gone }()
	var again <-chan time.Time
	if !there {
		again = time.After(rewatch)
	}
	for {
		select {
		case ev := <-w.Events:
			switch {
			case ev.Name == dir:
				return false
			case telling(dir, ev.Name):
				return true
			}
		case <-w.Errors: // an overflow: look
			return true
		case <-gone:
			return true
		case <-again:
			return false
		case <-ctx.Done():
			return true
		}
	}
}

// telling tells whether a file of the controller's says something of what it does.
func telling(dir, name string) bool {
	switch name {
	case filepath.Join(dir, "state.json"), filepath.Join(dir, "reconcile.pid"):
		return true
	}
	return filepath.Dir(name) == filepath.Join(dir, "holds") && filepath.Base(name)[0] != '.'
}
