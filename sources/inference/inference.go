// Package inference asks the model servers of running AI units whether they are
// ready and how many requests they hold: vLLM's /health and its Prometheus
// /metrics, on the loopback only (specification section 10.2, G6; D14, D16).
package inference

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// patience bounds a probe whose context has no deadline of its own.
const patience = 5 * time.Second

// The gauges of vLLM that count requests; several engines or models give each
// once more, with other labels.
const (
	gaugeRunning = "vllm:num_requests_running"
	gaugeWaiting = "vllm:num_requests_waiting"
)

// Running returns the addresses to ask: of every AI unit of p that is not down.
// A unit without an address is in it with "", so that nobody takes it for idle.
func Running(p fsm.Policy, units map[string]fsm.Unit) map[string]string {
	out := map[string]string{}
	for _, name := range p.Units.AIUnits() {
		if u, ok := units[name]; !ok || !u.Gone() {
			out[name] = p.Inference.URL[name]
		}
	}
	return out
}

// Probe asks each server, all side by side, within ctx; for nothing but whether it
// is ready if ready is set. urls has the base address by unit. What one server does
// not tell is said in its own answer; the error is that of a ctx that ended before
// there was time to ask.
func Probe(ctx context.Context, urls map[string]string, ready bool) ([]fsm.Inference, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("cannot ask the AI units: %w", err)
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	units := slices.Sorted(maps.Keys(urls))
	out := make([]fsm.Inference, len(units))
	var wg sync.WaitGroup
	for i, unit := range units {
		wg.Go(func() { out[i] = ask(ctx, unit, urls[unit], ready) })
	}
	wg.Wait()
	return out, nil
}

func ask(ctx context.Context, unit, base string, ready bool) fsm.Inference {
	out := fsm.Inference{Unit: unit}
	if base == "" {
		out.Cause = "no address of its server is configured"
		return out
	}
	at, err := parseAddress(base)
	if err != nil {
		out.Cause = err.Error()
		return out
	}
	healthy := func() { got, err := get(ctx, at, "/health"); out.Ready = err == nil && got.status == statusOK }
	if ready {
		out.Cause = "its requests were not asked for"
		healthy()
		return out
	}
	var health sync.WaitGroup
	health.Go(healthy) // side by side: a hung /health must not take the time for /metrics
	running, waiting, err := requests(ctx, unit, at)
	health.Wait()
	out.Running, out.Waiting = running, waiting
	if err != nil {
		out.Cause = err.Error()
		return out
	}
	out.Known = true
	return out
}

// requests returns the requests that a server works on and those that wait.
func requests(ctx context.Context, unit string, at address) (running, waiting float64, err error) {
	got, err := get(ctx, at, "/metrics")
	if errors.Is(err, syscall.ECONNREFUSED) {
		if up, looked := listens("/proc", unit); looked == nil && !up {
			return 0, 0, nil
		}
	}
	if err != nil {
		return 0, 0, fmt.Errorf("cannot read %s/metrics: %w", at, err)
	}
	if got.status != statusOK {
		return 0, 0, fmt.Errorf("cannot read %s/metrics: status %d", at, got.status)
	}
	sums, err := sum(string(got.body), gaugeRunning, gaugeWaiting)
	if err != nil {
		return 0, 0, fmt.Errorf("cannot read %s/metrics: %w", at, err)
	}
	return sums[0], sums[1], nil
}
