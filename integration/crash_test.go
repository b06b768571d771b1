package integration

import (
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

var (
	whole      = flag.Bool("whole", false, "try every event at every step of every plan, not a sample")
	sampleSeed = flag.Uint64("seed", 0, "the seed of the sample; 0: made of what is tested, MODEWATCH_VERSION")
	reportFile = flag.String("report", "", "write the figures of the crashes to this file")
	onlyEvents = flag.String("event", "", "only the events whose name has this in it")
)

// sampleTime is how long each of the two hosts of a sample begins new cells.
const sampleTime = 60 * time.Second

// way is an ordered pair of modes.
type way struct{ from, to fsm.Mode }

func (w way) String() string { return fmt.Sprintf("%s to %s", w.from, w.to) }

// moment is a step of a plan.
type moment struct {
	fsm.Step
	n    int  // its number
	past bool // the point of no return, then
}

// cell is one event at one step of one plan.
type cell struct {
	way
	moment
	event
	plan fsm.Plan
}

func (c cell) String() string { return fmt.Sprintf("%s at %s (%d)", c.name, c.Op, c.n) }

// worlds are the two kinds of hosts.
var worlds = map[string]struct {
	events []event
	files  map[string]string
	enable []string
}{
	"whole disk":  {events: onEvents},
	"small disks": {smallEvents, small(), []string{`run-mode\x2dcontroller.mount`, `var-lib-mode\x2dcontroller.mount`}},
}

// Whatever befalls the host at any step of any plan, what modewatch tells is true,
// nobody loses a session who was not to, nothing is left behind, and the next wish
// is followed.
func TestCrash(t *testing.T) {
	figures := newFigures(t)
	ways := allWays()
	if !*whole {
		n := seedOf(*sampleSeed, os.Getenv("MODEWATCH_VERSION"))
		t.Logf("the seed is %d", n)
		source := rand.New(rand.NewPCG(n, n))
		source.Shuffle(len(ways), func(i, j int) { ways[i], ways[j] = ways[j], ways[i] })
		for name := range worlds {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := newStage(t, name, figures)
				until := time.Now().Add(sampleTime)
				for _, w := range ways {
					cells := s.cells(w)
					rand.New(rand.NewPCG(n, uint64(len(name)))).Shuffle(len(cells), func(i, j int) { cells[i], cells[j] = cells[j], cells[i] })
					s.tries(cells[:min(len(cells), 3)], until)
				}
			})
		}
		return
	}
	for name := range worlds {
		for _, w := range ways {
			t.Run(name+", "+w.String(), func(t *testing.T) {
				t.Parallel()
				s := newStage(t, name, figures)
				s.tries(s.cells(w), time.Time{})
			})
		}
	}
}

// seedOf has each version try other cells, and the same ones each time.
func seedOf(seed uint64, version string) uint64 {
	if seed == 0 {
		h := fnv.New64a()
		_, _ = h.Write([]byte(version)) // never fails
		seed = h.Sum64()
	}
	return seed
}

func allWays() (out []way) {
	for _, from := range fsm.Modes {
		for _, to := range fsm.Modes {
			if from != to {
				out = append(out, way{from, to})
			}
		}
	}
	return out
}

// stage is a host on which cells are tried one after another.
type stage struct {
	*desk
	world   string
	figures *figures
	clean   string // what was masked or linked at the start
}

func newStage(t *testing.T, world string, f *figures) *stage {
	s, w := mortal(), worlds[world]
	maps.Copy(s.files, w.files)
	s.enable = w.enable
	s.edit = []string{`isolate = "20s"`, `isolate = "8s"`, `gpu_release = "15s"`, `gpu_release = "11s"`}
	s.files["/usr/local/bin/vllm-program"] = strings.Replace(vllmProgram, "-listen", "-ready-after 1s -listen", 1) // a wait that can be met
	s.files["/etc/modewatch/guards.d/slow"] = "#!/bin/sh\nexec sleep 0.1\n"                                        // a child that can be met
	d := &stage{newDesk(t, s), world, f, ""}
	d.rests(fsm.AtDesktop)
	d.clean = d.masks()
	return d
}

// cells are those of a plan, of which the host itself tells the steps.
func (s *stage) cells(w way) (out []cell) {
	s.t.Helper()
	var plan fsm.Plan
	s.apart("the steps of "+w.String(), func() {
		s.comesTo(w.from)
		plan = s.plan(w.to)
	})
	past := false
	for i, step := range plan.Steps {
		past = past || step.Final
		for _, e := range worlds[s.world].events {
			if strings.Contains(e.name, *onlyEvents) {
				out = append(out, cell{w, moment{step, i + 1, past}, e, plan})
			}
		}
	}
	s.figures.plans(len(out))
	return out
}

// plan is that of a dry run.
func (d *desk) plan(m fsm.Mode) fsm.Plan {
	d.t.Helper()
	var doc struct {
		Plan fsm.Plan `json:"plan"`
	}
	out := d.want(0, "dry-run", string(m), "--json").Stdout
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		d.t.Fatalf("%v: %s", err, out)
	}
	return doc.Plan
}

// tries tries cells until a time, if that is not zero. After one that failed the host
// is booted anew.
func (s *stage) tries(cells []cell, until time.Time) {
	s.t.Helper()
	for _, c := range cells {
		if !until.IsZero() && time.Now().After(until) {
			return
		}
		if ok := s.apart(c.String(), func() {
			defer s.figures.tried(s, c, time.Now())
			s.try(c)
		}); !ok {
			s.apart("a boot after that", func() {
				s.must(s.Crash(patiently(s.desk)))
				s.logsIn()
			})
		}
	}
}

// apart does something as a test of its own, whose failure is not one of what follows.
func (s *stage) apart(name string, do func()) bool {
	outer := s.t
	defer func() { s.t = outer }()
	return outer.Run(name, func(t *testing.T) {
		s.t = t
		do()
	})
}

// logsIn has alice at her desk after a boot: anew, as the boot has logged her in
// before her GPU was there.
func (s *stage) logsIn() {
	s.t.Helper()
	s.rests(fsm.AtDesktop)
	s.Must(s.t, "systemctl", "stop", "display-manager.service")
	s.eventually("alice to be gone", func() bool { return len(s.graphical()) == 0 })
	s.sit(setup{login: "dm"})
	s.rests(fsm.AtDesktop)
	s.atDesk()
}

// comesTo has the host rest in a mode, by an ordinary wish.
func (s *stage) comesTo(m fsm.Mode) {
	s.t.Helper()
	if s.observed() == fsm.Desktop { // whoever was logged out may still be on the way
		s.want(0, "request", string(fsm.Desktop))
		s.atDesk()
	}
	s.want(0, "request", string(m))
	s.rests(fsm.Resting(m))
	s.sees(m)
	s.atDeskUnless(m)
	if m == fsm.Desktop {
		if now := s.masks(); now != s.clean {
			s.t.Fatalf("masked or linked are\n%s\nand were\n%s", now, s.clean)
		}
	}
}

// masks are the masks and links that there are at run time.
func (s *stage) masks() string {
	return s.Must(s.t, "sh", "-c", "find /run/systemd/system /run/systemd/system.control /run/systemd/transient -type l -printf '%p %l\n' 2>/dev/null | sort || true")
}

// try has the event happen at the step, and wants all to be well after it.
func (s *stage) try(c cell) {
	s.t.Helper()
	s.comesTo(c.from)
	if steps := s.plan(c.to).Steps; len(steps) < c.n || steps[c.n-1].Op != c.Op {
		s.must(s.Crash(patiently(s.desk))) // what came before, such as audio that is up, makes another plan
		s.logsIn()
		s.comesTo(c.from)
	}
	w := s.witness()
	daemon := s.pid("modewatch.service")
	records := s.records()
	held := s.heldAt(c)
	s.want(0, "request", string(c.to), "--detach")
	if lacks := held(); lacks != "" {
		s.figures.lacks(c, lacks)
		return
	}
	if lacks := c.happen(s.desk, daemon); lacks != "" {
		s.figures.lacks(c, lacks)
	}
	if !c.boots {
		s.eventually("the attempt's end to be told after "+c.String(), func() bool { return len(s.endsSince(w.at)) > 0 })
	}
	ahead := records()
	s.Must(s.t, "bash", "-c", "true; "+c.heal)
	if c.boots {
		s.logsIn()
	}
	s.settles(c.String())
	s.agrees(c, w, ahead)
	s.comesTo(c.from)
}

// heldAt has the daemon stand still at the step, and returns what waits for that.
// What only waits is on record, but for the first step of a plan, only in the state.
func (s *stage) heldAt(c cell) func() (lacks string) {
	s.t.Helper()
	if !c.Waits() || c.n == 1 {
		gone := s.signalledAt(c.n, "eve", "STOP")
		return func() string { gone(); return "" }
	}
	daemon, before := s.pid("modewatch.service"), s.snapshot().Last
	return func() (lacks string) {
		s.t.Helper()
		s.eventually("the wait to begin", func() bool {
			now := s.snapshot()
			switch a := now.Attempt; {
			case a != nil && a.Doing == "step" && a.Step == c.n && a.Op == c.Op:
				s.Must(s.t, "kill", "-STOP", daemon)
				return true
			case a != nil && (a.Step > c.n || a.Doing == "undo"), a == nil && now.Last != nil && (before == nil || now.Last.ID != before.ID):
				lacks = "the wait was over before it could be seen"
				return true
			}
			return false
		})
		return lacks
	}
}

// endsSince are the ends of attempts that the journal has told since a moment, by id.
func (s *stage) endsSince(at time.Time) map[string]int {
	s.t.Helper()
	entries, err := s.Journal(s.t.Context(), "-t", "modewatch", fmt.Sprintf("--since=@%d.%06d", at.Unix(), at.Nanosecond()/1000))
	s.must(err)
	out := map[string]int{}
	for _, e := range entries {
		if e["MODEWATCH_EXIT"] != "" {
			out[e["MODEWATCH_ATTEMPT"]]++
		}
	}
	return out
}
