package bench

import (
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// waiting is a configuration whose background triggers are open: what they wait for
// is listened to, which a storm makes most of.
const waiting = "\n[triggers]\nbackground = true\nidle.after = \"0s\"\n"

// storms are how long each lasts, and how many sessions there are.
var (
	stormSeconds  = map[bool]int{true: 10, false: 4}
	stormSessions = map[bool]int{true: 200, false: 50}
)

const (
	stormRate = 5000 // execs a second
	stormCPU  = 100  // ms a second that the daemon may take of one CPU while a storm lasts
	stormRSS  = 40   // MiB
)

// inStorms takes the figures of a daemon on a host where everything happens at once,
// while it waits for a job to end, so that it listens to all it can.
func inStorms(t *testing.T, r *report) {
	m := newMachine(t, waiting)
	peer := m.main("systemd-logind.service")
	m.Must(t, "systemd-run", "--quiet", "--unit=train", "sleep", "infinity")
	m.write(desiredFile, string(fsm.Compute))
	m.eventually("a wish to wait for the job", func() bool {
		var now fsm.Snapshot
		m.read(stateFile, &now)
		return now.Waits != ""
	})
	seconds := strconv.Itoa(stormSeconds[*full])
	m.storm(r, peer, "5,000 execs a second", func() float64 {
		return m.stormed("execs", "/usr/bin", strconv.Itoa(stormRate), seconds)
	})
	m.storm(r, peer, "jobs of another's unit, as fast as systemd makes them", func() float64 {
		return m.stormed("jobs", "bench-other.service", seconds)
	})
	m.storm(r, peer, "jobs of a unit that is watched, as fast as systemd makes them", func() float64 {
		return m.stormed("jobs", "audio-priority.service", seconds)
	})
	sessions := strconv.Itoa(stormSessions[*full])
	m.storm(r, peer, sessions+" sessions that open and close", func() float64 {
		c := m.start("bench-storm", "sessions", "1001", sessions)
		c.want("up")
		m.answers(r, sessions+" sessions")
		if _, err := c.in.Write([]byte("\n")); err != nil {
			t.Fatal(err)
		}
		c.want("down")
		return float64(stormSessions[*full])
	})
}

// stormed runs one storm to its end, and returns how much of it there was.
func (m *machine) stormed(args ...string) float64 {
	m.t.Helper()
	n, err := strconv.ParseFloat(m.Must(m.t, append([]string{"bench-storm"}, args...)...), 64)
	if err != nil {
		m.t.Fatal(err)
	}
	return n
}

// storm takes what a storm costs the daemon, until it is at rest again.
func (m *machine) storm(r *report, peer process, name string, rage func() float64) {
	m.t.Helper()
	m.daemon.settle()
	cpu, switches, theirs, began := m.daemon.cpu(), m.daemon.switches(), peer.cpu(), time.Now()
	n := rage()
	took := time.Since(began).Seconds()
	m.daemon.settleFor(time.Second)
	of := func(d time.Duration) float64 { return ms(d) / took }
	r.add(figure{name: name + ", CPU", unit: "ms per second", judged: value, budget: stormCPU, note: "floor: systemd-logind",
		value: of(m.daemon.cpu() - cpu), floor: of(peer.cpu() - theirs)})
	r.add(figure{name: name + ", context switches for each of " + strconv.FormatFloat(n, 'f', 0, 64), judged: value, budget: none,
		value: float64(m.daemon.switches()-switches) / n, floor: none})
	r.add(figure{name: name + ", memory", unit: "MiB RSS", judged: value, budget: stormRSS, note: "floor: systemd-logind",
		value: m.daemon.rss(), floor: peer.rss()})
}

// answers takes how long a look at the host, and a reader of its state, take now.
func (m *machine) answers(r *report, amid string) {
	m.t.Helper()
	for _, verb := range []string{"state", "observe"} {
		began := time.Now()
		m.Must(m.t, "modewatch", verb)
		r.add(figure{name: "modewatch " + verb + " amid " + amid, unit: "ms", judged: value, budget: none, floor: math.NaN(),
			value: ms(time.Since(began))})
	}
}
