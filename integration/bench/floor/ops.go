package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/modewatch/modewatch/fsm"
)

// host is this machine, by its bare calls.
type host struct {
	policy fsm.Policy
	system *link
	client *http.Client
}

func newHost(p fsm.Policy) (*host, error) {
	l, err := dialSystem()
	return &host{policy: p, system: l, client: &http.Client{Timeout: time.Second}}, err
}

// do makes the calls of one operation and waits for their effect.
func (h *host) do(ctx context.Context, op fsm.Op) error {
	switch op.Verb {
	case fsm.Run, fsm.Start:
		return h.system.jobs(ctx, "StartUnit", "replace", op.Arg)
	case fsm.Stop:
		return h.system.jobs(ctx, "StopUnit", "replace", op.Arg)
	case fsm.Isolate:
		return h.isolate(ctx, op.Arg)
	case fsm.EndSession:
		return h.endSession(ctx, op.Arg)
	case fsm.StopAudio:
		return h.audio(ctx, "StopUnit", op.Arg, h.policy.Units.Audio)
	case fsm.StartAudio:
		return h.audio(ctx, "StartUnit", op.Arg, notBySocket(h.policy.Units.Audio))
	case fsm.SetBudgets:
		return h.budgets(ctx, h.policy.Budgets[fsm.Mode(op.Arg)])
	case fsm.AwaitReady:
		return h.answers(ctx, h.policy.Inference.URL[op.Arg]+"/health")
	case fsm.Drain:
		return h.answers(ctx, h.policy.Inference.URL[op.Arg]+"/metrics")
	case fsm.AwaitRelease:
		return nil // nothing is called: who held it has gone with the session's scope
	}
	return fmt.Errorf("cannot do it: the floor has no such operation")
}

// jobs begins one job for each unit that exists, and waits until all have ended.
func (l *link) jobs(ctx context.Context, method, mode string, units ...string) error {
	open := map[dbus.ObjectPath]bool{}
	for _, unit := range units {
		var path dbus.ObjectPath
		err := l.manager(ctx, &path, method, unit, mode)
		switch {
		case len(units) > 1 && named(err, systemd+".NoSuchUnit"):
			continue
		case err != nil:
			return err
		}
		open[path] = true
	}
	return l.removed(ctx, open)
}

// removed waits until none of the jobs is left.
func (l *link) removed(ctx context.Context, open map[dbus.ObjectPath]bool) error {
	for len(open) > 0 {
		s, err := l.next(ctx, systemd+".Manager.JobRemoved")
		if err != nil {
			return err
		}
		var id uint32
		var path dbus.ObjectPath
		var unit, result string
		if err := dbus.Store(s.Body, &id, &path, &unit, &result); err != nil {
			return err
		}
		if open[path] && result != "done" {
			return fmt.Errorf("the job of %s ended as %s", unit, result)
		}
		delete(open, path)
	}
	return nil
}

// isolate waits, after the target's own job, for every stop that it began.
func (h *host) isolate(ctx context.Context, target string) error {
	if err := h.system.jobs(ctx, "StartUnit", "isolate", target); err != nil {
		return err
	}
	var rows []struct {
		ID                uint32
		Unit, Type, State string
		Path, UnitPath    dbus.ObjectPath
	}
	if err := h.system.manager(ctx, &rows, "ListJobs"); err != nil {
		return err
	}
	open := map[dbus.ObjectPath]bool{}
	for _, r := range rows {
		if r.Type == "stop" {
			open[r.Path] = true
		}
	}
	return h.system.removed(ctx, open)
}

// pause is the time between two looks at what no signal tells.
const pause = time.Millisecond

// endSession terminates a session and waits for logind's signal and for the end
// of the session's scope.
func (h *host) endSession(ctx context.Context, id string) error {
	if err := h.system.call(ctx, nil, logind, "/org/freedesktop/login1", logind+".Manager.TerminateSession", id); err != nil {
		return err
	}
	for gone := ""; gone != id; {
		s, err := h.system.next(ctx, logind+".Manager.SessionRemoved")
		if err != nil {
			return err
		}
		gone, _ = s.Body[0].(string)
	}
	for {
		up, err := h.up(ctx, fsm.SessionScope(id))
		if err != nil || !up {
			return err
		}
		time.Sleep(pause)
	}
}

// up tells whether a unit is loaded and neither inactive nor failed.
func (h *host) up(ctx context.Context, unit string) (bool, error) {
	var path dbus.ObjectPath
	err := h.system.manager(ctx, &path, "GetUnit", unit)
	if named(err, systemd+".NoSuchUnit") {
		return false, nil
	}
	var state dbus.Variant
	if err == nil {
		err = h.system.call(ctx, &state, systemd, path, properties+".Get", systemd+".Unit", "ActiveState")
	}
	if named(err, "org.freedesktop.DBus.Error.UnknownObject") {
		return false, nil
	}
	return state.Value() != "inactive" && state.Value() != "failed", err
}

func (h *host) audio(ctx context.Context, method, uid string, units []string) error {
	l, err := dialUser(uid)
	if err != nil {
		return err
	}
	defer l.close()
	return l.jobs(ctx, method, "replace", units...)
}

// notBySocket leaves out the services that a socket of the list starts.
func notBySocket(units []string) []string {
	sockets := map[string]bool{}
	for _, u := range units {
		if name, ok := strings.CutSuffix(u, ".socket"); ok {
			sockets[name+".service"] = true
		}
	}
	var out []string
	for _, u := range units {
		if !sockets[u] {
			out = append(out, u)
		}
	}
	return out
}

// budgets gives each slice all its properties in one call.
func (h *host) budgets(ctx context.Context, list []fsm.Budget) error {
	type property struct {
		Name  string
		Value dbus.Variant
	}
	slices := map[string][]property{}
	for _, b := range list {
		slices[b.Slice] = append(slices[b.Slice], property{b.Property, dbus.MakeVariant(b.Value)})
	}
	for slice, set := range slices {
		if err := h.system.manager(ctx, nil, "SetUnitProperties", slice, true, set); err != nil {
			return err
		}
	}
	return nil
}

// answers asks until the server says 200.
func (h *host) answers(ctx context.Context, url string) error {
	for ctx.Err() == nil {
		if resp, err := h.client.Get(url); err == nil {
			_, err := io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if err == nil && resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		time.Sleep(pause)
	}
	return fmt.Errorf("%s does not answer: %w", url, ctx.Err())
}
