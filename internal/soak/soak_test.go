package soak

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modewatch/modewatch/internal/assurance"
)

var (
	lasts    = flag.Duration("for", 20*time.Second, "how long trials are run")
	trials   = flag.Int("trials", 0, "how many trials are run, instead of for how long")
	first    = flag.Uint64("first", 0, "the first seed; 0 takes the clock's")
	seed     = flag.Uint64("seed", 0, "the seed of TestSeed")
	keepOn   = flag.Bool("on", false, "go on after a violation, and tell one of each invariant")
	reports  = flag.String("report", "", "a file for the section of docs/assurance.md")
	foundIn  = flag.String("found", scenarios, "the folder in which what shows a violation is kept; empty: it is not")
	scenario = flag.String("scenario", "", "the file of TestScenario")
	detail   = flag.String("figures", "", "a file for the figures in detail")
)

// try runs one trial and returns what did not hold, and its story.
func try(t *testing.T, s script, figs *figures) (w *world) {
	synctest.Test(t, func(*testing.T) {
		w = newWorld(s.fresh(), figs)
		w.run()
		figs.trials++
		if w.root != "" {
			must(os.RemoveAll(w.root))
		}
	})
	return w
}

// TestTrials runs trials on all processors for a while.
func TestTrials(t *testing.T) {
	began, from := time.Now(), *first
	if from == 0 {
		from = uint64(began.UnixNano())
	}
	var next atomic.Uint64
	all, lanes := newFigures(), runtime.GOMAXPROCS(0)
	results := make([]*figures, lanes)
	more := func(i uint64) bool {
		if *trials > 0 {
			return i < uint64(*trials)
		}
		return time.Since(began) < *lasts
	}
	t.Run("lanes", func(t *testing.T) {
		for lane := range lanes {
			results[lane] = newFigures()
			t.Run(fmt.Sprint(lane), func(t *testing.T) {
				t.Parallel()
				told := map[string]int{}
				for i := next.Add(1) - 1; more(i) && (!t.Failed() || *keepOn); i = next.Add(1) - 1 {
					w := try(t, write(from+i), results[lane])
					if len(w.bad) == 0 {
						continue
					}
					if name := w.bad[0].name; told[name] == 0 {
						t.Errorf("trial %d of seed %d, kept as %s:\n%s", i+1, from+i, keep(t, w), w.text())
					}
					told[w.bad[0].name]++
				}
				if len(told) > 0 {
					t.Logf("violations: %s", listed(told))
				}
			})
		}
	})
	for _, f := range results {
		all.add(f)
	}
	fmt.Printf("figure: soak: %s; %.0f attempts per second\n", all, float64(all.attempts)/time.Since(began).Seconds())
	if *reports != "" {
		if err := assurance.Write(*reports, all.section(t, time.Since(began))); err != nil {
			t.Error(err)
		}
	}
	if *detail != "" {
		_ = os.WriteFile(*detail, []byte(all.detail()), 0o644)
	}
}

// TestSeed tells one trial line by line.
func TestSeed(t *testing.T) {
	if *seed == 0 {
		t.Skip("no -seed is given")
	}
	tellAll(t, write(*seed))
}

// tellAll runs one script and tells it line by line.
func tellAll(t *testing.T, s script) {
	w := try(t, s, newFigures())
	t.Log("\n" + w.text())
	if len(w.bad) > 0 {
		t.Errorf("%d violations", len(w.bad))
	}
}

// text is the story of a trial.
func (w *world) text() string {
	var b strings.Builder
	if w.script.Seed != 0 {
		fmt.Fprintf(&b, "go test ./internal/soak -run TestSeed -v -args -seed %d\n", w.script.Seed)
	}
	begun := w.story[0].at
	for i, l := range w.story {
		fmt.Fprintf(&b, "%4d %9.3fs %s\n", i+1, l.at.Sub(begun).Seconds(), fmt.Sprintf(l.what, l.words()...))
	}
	for _, v := range w.bad {
		fmt.Fprintf(&b, "VIOLATION of %s: %s\n", v.name, v.text)
	}
	return b.String()
}
