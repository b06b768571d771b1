// Package inference asks the AI units' servers, by vLLM's own endpoints, whether
// they serve and how many requests they have.
package inference

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

const (
	// askTime bounds one question to one server.
	askTime = time.Second
	maxBody = 4 << 20

	runningMetric = "vllm:num_requests_running"
	waitingMetric = "vllm:num_requests_waiting"
)

// Servers is the source for the servers of some units. Use New.
type Servers struct {
	url    map[string]string
	client *http.Client
}

// New returns the source; url holds the base address of each unit's server.
func New(url map[string]string) *Servers {
	return &Servers{url: url, client: &http.Client{
		Timeout: askTime,
		// No proxy, no redirect, and no connection that is kept: the server is on
		// this host, and at rest nothing of ours hangs on it.
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Probe asks all servers side by side. That one cannot be asked is told in its
// own answer, not as an error: a unit that does not run has no server.
func (s *Servers) Probe(ctx context.Context) ([]fsm.Inference, error) {
	var units []string
	for unit := range s.url {
		units = append(units, unit)
	}
	slices.Sort(units)
	out := make([]fsm.Inference, len(units))
	var wg sync.WaitGroup
	for i, unit := range units {
		wg.Go(func() { out[i] = s.ask(ctx, unit, strings.TrimSuffix(s.url[unit], "/")) })
	}
	wg.Wait()
	return out, nil
}

func (s *Servers) ask(ctx context.Context, unit, base string) fsm.Inference {
	i := fsm.Inference{Unit: unit}
	_, err := s.get(ctx, base+"/health")
	i.Ready = err == nil
	body, err := s.get(ctx, base+"/metrics")
	if err == nil {
		i.Running, i.Waiting, err = requests(body)
	}
	if err != nil {
		i.Cause = err.Error()
		return i
	}
	i.Known = true
	return i
}

func (s *Servers) get(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", fmt.Errorf("cannot ask %s: %w", url, err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return "", fmt.Errorf("cannot ask the server: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("cannot read %s: %w", url, err)
	case resp.StatusCode != http.StatusOK:
		return "", fmt.Errorf("%s answers %s", url, resp.Status)
	case len(body) > maxBody:
		return "", fmt.Errorf("%s answers more than %d bytes", url, maxBody)
	}
	return string(body), nil
}

// requests reads the number of running and waiting requests, over all models.
// The text form of Prometheus is read here and not by its library, whose
// protocol buffers would make every start of the program a third slower.
func requests(metrics string) (running, waiting float64, err error) {
	if running, err = sum(metrics, runningMetric); err != nil {
		return 0, 0, err
	}
	waiting, err = sum(metrics, waitingMetric)
	return running, waiting, err
}

// sum adds up the samples of one gauge.
func sum(metrics, name string) (float64, error) {
	total, found := 0.0, false
	for line := range strings.Lines(metrics) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), name)
		if !ok {
			continue
		}
		if strings.HasPrefix(rest, "{") {
			end := strings.LastIndex(rest, "}") // a label's value may hold one, a sample's value cannot
			rest = rest[end+1:]
		} else if !strings.HasPrefix(rest, " ") && !strings.HasPrefix(rest, "\t") {
			continue // a longer name
		}
		fields := strings.Fields(rest) // the value, and perhaps a time stamp
		if len(fields) == 0 {
			return 0, errors.New("cannot read the metrics: " + name + " has no value")
		}
		value, err := strconv.ParseFloat(fields[0], 64)
		if err != nil || !(value >= 0) || math.IsInf(value, 0) { // NaN included
			return 0, fmt.Errorf("cannot read the metrics: %s is %.20q", name, fields[0])
		}
		total, found = total+value, true
	}
	if !found {
		return 0, errors.New("cannot read the metrics: there is no " + name)
	}
	return total, nil
}
