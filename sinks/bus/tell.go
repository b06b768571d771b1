package bus

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/modewatch/modewatch/fsm"
)

// mail is what is to be told: the newest of what is a state, and all of what happened.
type mail struct {
	snap     *fsm.Snapshot
	verdicts []fsm.Verdict // judged last; nil: as before
	holds    []fsm.Hold    // nil: as before
	events   []signal
	lost     int // events that found the mailbox full
}

// signal is one signal of the manager.
type signal struct {
	name string
	args []any
}

// mostEvents bounds the mailbox for a bus that takes nothing.
const mostEvents = 256

// Tell has what was recorded told on the bus: the edges that were walked, the attempts
// that ended and then the snapshot, if there is one. It never waits.
func (s *Service) Tell(edges []fsm.Edge, ends []fsm.Attempt, snap *fsm.Snapshot) {
	if news := s.news(snap); !news && len(edges)+len(ends) == 0 {
		return
	}
	s.post(func(m *mail) {
		for _, e := range edges {
			m.add("StateChanged", string(e.Row.From), string(e.Row.On), string(e.Row.To), clean(e.Cause), clean(e.Attempt))
		}
		for _, a := range ends {
			if len(a.Verdicts) > 0 {
				m.verdicts = a.Verdicts
			}
			text, err := json.Marshal(a)
			if err == nil { // it was written to disk just so
				m.add("AttemptEnded", clean(string(text)))
			}
		}
		if snap != nil {
			m.snap = snap
		}
	})
}

// news tells whether a snapshot shows what the one before did not. Most of a host at
// rest that changes fast do not, and to make all properties of each would be in vain.
func (s *Service) news(now *fsm.Snapshot) bool {
	if now == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.shown
	s.shown = *now
	return before.State != now.State || !before.Since.Equal(now.Since) || before.PID != now.PID || before.Waits != now.Waits ||
		before.Wish != now.Wish || before.Attempt != now.Attempt || before.Last != now.Last || // replaced, never changed
		before.Observation.Mode != now.Observation.Mode ||
		!slices.Equal(before.Observation.Evidence, now.Observation.Evidence) || !slices.Equal(before.Observation.Degraded, now.Observation.Degraded)
}

// Held has the holds in force told.
func (s *Service) Held(all []fsm.Hold) {
	s.post(func(m *mail) { m.holds = append([]fsm.Hold{}, all...) })
}

func (s *Service) post(put func(*mail)) {
	s.mu.Lock()
	put(&s.mail)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (m *mail) add(name string, args ...any) {
	if len(m.events) == mostEvents {
		m.lost++
		return
	}
	m.events = append(m.events, signal{name, args})
}

// take empties the mailbox into the properties, and returns what is to be sent.
func (s *Service) take() (events []signal, news dict, lost int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.mail
	s.mail = mail{}
	next := maps.Clone(s.values)
	if m.snap != nil {
		maps.Copy(next, valuesOf(*m.snap))
	}
	if m.verdicts != nil {
		next["Guards"] = verdictsOf(m.verdicts)
	}
	if m.holds != nil {
		next["Holds"] = holdsOf(m.holds)
	}
	news = changed(s.values, next)
	s.values = next
	return m.events, news, m.lost
}

// deliver sends what happened and then what has changed by it. Who reads a property
// before the signal comes finds the new value already.
func (c *client) deliver() error {
	events, news, lost := c.take()
	if lost > 0 {
		c.log(fmt.Sprintf("%d signals were not sent: the bus took none", lost))
	}
	for _, e := range events {
		if err := c.conn.Emit(Path, Face+"."+e.name, e.args...); err != nil {
			return fmt.Errorf("cannot send a signal: %w", err)
		}
	}
	if len(news) == 0 {
		return nil
	}
	if err := c.conn.Emit(Path, props+".PropertiesChanged", Face, news, []string{}); err != nil {
		return fmt.Errorf("cannot send a signal: %w", err)
	}
	return nil
}
