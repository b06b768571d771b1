package bench

import (
	"testing"
	"time"
)

// spans is how long the daemon is watched at rest.
var spans = map[bool]time.Duration{true: 10 * time.Minute, false: 30 * time.Second}

// calm is how long nothing must have happened before rest is measured: logind's
// source looks at a new session once more after ten seconds.
const calm = 12 * time.Second

// atRest takes the figures of a daemon that has nothing to do, its triggers off,
// beside those of systemd-logind, which has nothing to do either.
func atRest(t *testing.T, r *report) {
	m := newMachine(t, "")
	peer := m.main("systemd-logind.service")
	m.daemon.settleFor(calm) // the login and what follows it is over
	ours, theirs := watchRest(m.daemon), watchRest(peer)
	select {
	case <-time.After(spans[*full]):
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
	mine, other := ours(), theirs()
	doubt := ""
	if !*full {
		doubt = "half a minute only"
	}
	const note = "floor: systemd-logind"
	r.add(figure{name: "at rest, memory", unit: "MiB RSS", judged: value, budget: 15, exact: true, note: note, value: mine.rss, floor: other.rss})
	r.add(figure{name: "at rest, CPU", unit: "ms per minute", judged: value, budget: 1, doubtful: doubt, note: note, value: mine.cpu, floor: other.cpu})
	r.add(figure{name: "at rest, context switches", unit: "per minute", judged: value, budget: 5, doubtful: doubt, note: note,
		value: mine.switches, floor: other.switches})
	if polls := 60.0; mine.switches > polls { // a second's timer, at the least
		t.Errorf("something polls: %.1f context switches per minute", mine.switches)
	}
	m.othersJobs(r, peer)
}

// othersJobs is what the daemon at rest does while the host has work that is none
// of its business: nothing, if nothing of it is listened to.
func (m *machine) othersJobs(r *report, peer process) {
	m.t.Helper()
	ours, theirs := m.daemon.switches(), peer.switches()
	m.Must(m.t, "sh", "-c", "for i in $(seq 50); do systemctl start bench-other.service; systemctl stop bench-other.service; done")
	m.daemon.settle()
	f := figure{name: "at rest, context switches in 100 jobs of others", judged: value, budget: none, note: "floor: systemd-logind",
		value: float64(m.daemon.switches() - ours), floor: float64(peer.switches() - theirs)}
	if r.add(f); f.value > 100 {
		m.t.Errorf("jobs of others wake the daemon: %.0f context switches in 100 jobs", f.value)
	}
}

// rest is what a process did in a minute.
type rest struct{ rss, cpu, switches float64 }

// watchRest begins to watch a process; the returned function ends it.
func watchRest(p process) func() rest {
	p.t.Helper()
	began, cpu, switches := time.Now(), p.cpu(), p.switches()
	return func() rest {
		p.t.Helper()
		minutes := time.Since(began).Minutes()
		return rest{rss: p.rss(), cpu: ms(p.cpu()-cpu) / minutes, switches: float64(p.switches()-switches) / minutes}
	}
}
