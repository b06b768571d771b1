package sim

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// Observe answers from memory, with the blurs that were planned.
func (h *Host) Observe(ctx context.Context, q fsm.Query) fsm.Facts {
	h.mu.Lock()
	if len(h.blurs) == 0 {
		defer h.mu.Unlock()
		return h.truth(q)
	}
	blurs := h.blurred(q.About)
	h.mu.Unlock()
	if slices.ContainsFunc(blurs, func(b Blur) bool { return b.Kind == Waits }) {
		ctx, cancel := context.WithTimeout(ctx, h.policy.Deadlines.Observe) // a probe has its own
		<-ctx.Done()
		cancel()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.truth(q)
	for _, b := range blurs {
		switch about := b.About & q.About; b.Kind {
		case Lies:
			at := f.At
			f = f.Merge(b.then, about)
			f.At = at
		default:
			f = f.Merge(unread(string(b.Kind)), about)
		}
	}
	f.At = time.Now()
	return f
}

// unread is what looks that went wrong tell.
func unread(how string) fsm.Facts {
	why := "simulated probe " + how
	return fsm.Facts{At: time.Now(), Host: fsm.Reading[fsm.Host]{Cause: why}, Units: fsm.Reading[map[string]fsm.Unit]{Cause: why},
		Logins: fsm.Reading[fsm.Logins]{Cause: why}, StopSets: fsm.Reading[map[string]fsm.StopSet]{Cause: why},
		Audio: fsm.Reading[fsm.Audio]{Cause: why}, GPU: fsm.Reading[fsm.GPU]{Cause: why}, Load: fsm.Reading[fsm.Load]{Cause: why},
		Memory: fsm.Reading[fsm.Memory]{Cause: why}, Jobs: fsm.Reading[[]fsm.UserJob]{Cause: why},
		Inference: fsm.Reading[[]fsm.Inference]{Cause: why}, Placement: fsm.Reading[fsm.Placement]{Cause: why},
		Inhibitors: fsm.Reading[[]fsm.Inhibitor]{Cause: why}, Site: fsm.Reading[[]fsm.SiteVerdict]{Cause: why},
		Budgets: fsm.Reading[[]fsm.Budget]{Cause: why}, Holds: fsm.Reading[[]fsm.Hold]{Cause: why},
		Idle: fsm.Reading[fsm.Idle]{Cause: why}, Workers: fsm.Reading[[]fsm.Worker]{Cause: why}}
}

// truth is what a look without a fault tells.
func (h *Host) truth(q fsm.Query) fsm.Facts {
	f := fsm.Facts{}.Merge(h.facts, q.About)
	f.At = time.Now()
	f.Idle.Value.Quiet = time.Since(h.touched)
	if q.About&fsm.AboutUnits != 0 && !strings.HasPrefix(h.facts.Units.Cause, "broken") {
		f.Units = fsm.Read(maps.Clone(h.units), nil)
	}
	if q.About&fsm.AboutSessions != 0 && !strings.HasPrefix(h.facts.Logins.Cause, "broken") {
		f.Logins = fsm.Read(fsm.Logins{Sessions: slices.Clone(h.logins.Sessions), Users: slices.Clone(h.logins.Users)}, nil)
	}
	if q.About&fsm.AboutStopSets != 0 && h.facts.StopSets.OK {
		sets := map[string]fsm.StopSet{}
		for _, t := range q.Targets {
			sets[t] = h.stopSet(t)
		}
		f.StopSets = fsm.Read(sets, nil)
	}
	return f
}

// Truth returns what a look without a fault would tell of the host now.
func (h *Host) Truth(q fsm.Query) fsm.Facts {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.truth(q)
}
