// Package bench measures modewatch on a real systemd, each figure beside its
// floor, which is measured in the same run and in the same container. make bench
// takes the figures in full and holds them to their budgets; without -full this
// is a shorter run of the same, in which only a gross excess of a time fails.
package bench

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/modewatch/modewatch/integration/desk"
	"github.com/modewatch/modewatch/integration/lab"
)

var full = flag.Bool("full", false, "take the figures in full, up to 20 minutes, and hold them to their budgets")

// gross is how many times its budget a time may take in a short run, beside
// whatever else the machine does.
const gross = 5

// TestFigures takes all figures and writes them to docs/figures.md, or, of a short
// run, to out/figures-short.md.
func TestFigures(t *testing.T) {
	lab.Need(t)
	work, rest, storms, mouse := &report{}, &report{}, &report{}, &report{}
	taken := t.Run("taken", func(t *testing.T) {
		for _, part := range []struct {
			name string
			take func(*testing.T, *report)
			into *report
		}{{"at work", atWork, work}, {"at rest", atRest, rest}, {"in storms", inStorms, storms}, {"under a mouse", underAMouse, mouse}} {
			t.Run(part.name, func(t *testing.T) {
				if !*full && part.into != storms { // a storm is nobody's neighbour
					t.Parallel() // a short run has no time for one after the other
				}
				part.take(t, part.into)
			})
		}
	})
	all := report{machine: work.machine, figures: slices.Concat(work.figures, rest.figures, storms.figures, mouse.figures)}
	all.judge(t)
	if taken {
		all.write(t)
	}
}

// kind says what of a figure is held to its budget.
type kind string

const (
	value      kind = "value"
	difference kind = "difference" // value − floor
	ratio      kind = "ratio"      // value / floor
)

// none stands for a floor or a budget that a figure does not have.
var none = math.NaN()

// figure is one measured number beside its floor.
type figure struct {
	name         string
	unit         string
	value, floor float64
	spread       float64 // what the result is uncertain by; 0: by little
	judged       kind
	budget       float64
	exact        bool   // not a matter of timing: must hold in a short run, too
	doubtful     string // why it says little, in a short run
	note         string
}

// result is the number that the budget bounds.
func (f figure) result() float64 {
	switch f.judged {
	case difference:
		return f.value - f.floor
	case ratio:
		return f.value / f.floor
	}
	return f.value
}

// verdict is ok, over, doubtful in between, or – without a budget – nothing.
func (f figure) verdict() string {
	switch {
	case math.IsNaN(f.budget):
		return ""
	case f.doubtful != "":
		return "doubtful: " + f.doubtful
	case f.result()+f.spread <= f.budget:
		return "ok"
	case f.result()-f.spread <= f.budget:
		return "doubtful"
	}
	return "over"
}

// fails tells whether the figure is a failure of this run: over its budget by more
// than it is uncertain by or, of a short run, grossly so. There the difference of
// two times is lost in the noise of both, so that it is held against the floor as
// well, and what it is uncertain by says nothing.
func (f figure) fails() bool {
	if math.IsNaN(f.budget) || f.doubtful != "" {
		return false
	}
	bound := f.budget
	switch {
	case *full:
		bound += f.spread
	case !f.exact:
		bound *= gross
		if f.judged == difference {
			bound += gross * f.floor
		}
	}
	return !(f.result() <= bound) // NaN fails
}

func (f figure) columns() []string {
	judged := ""
	if f.judged != value {
		judged = fmt.Sprintf("%s %s", f.judged, number(f.result()))
	}
	if f.spread > 0 {
		judged = or(judged, string(value)) + " ± " + number(f.spread)
	}
	budget := ""
	if !math.IsNaN(f.budget) {
		budget = "≤ " + number(f.budget)
	}
	name := f.name
	if f.note != "" {
		name += " (" + f.note + ")"
	}
	return []string{name, f.unit, number(f.value), number(f.floor), judged, budget, f.verdict()}
}

func number(v float64) string {
	switch {
	case math.IsNaN(v):
		return "–"
	case v == math.Trunc(v):
		return fmt.Sprintf("%.0f", v)
	case math.Abs(v) >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// report collects figures.
type report struct {
	figures []figure
	machine string // what they were measured on
}

func (r *report) add(f figure) { r.figures = append(r.figures, f) }

// on tells where the figures were taken.
func (r *report) on(m *lab.Machine, t *testing.T) {
	kernel := m.Must(t, "uname", "-r")
	systemd, _, _ := strings.Cut(m.Must(t, "systemctl", "--version"), " (")
	r.machine = fmt.Sprintf("%s in a container, Linux %s, %d CPUs, %s", systemd, kernel, runtime.NumCPU(), runtime.Version())
}

// judge prints every figure, and fails for those that are a failure.
func (r *report) judge(t *testing.T) {
	for _, f := range r.figures {
		c := f.columns()
		t.Logf("figure: %s: %s %s, floor %s, %s, budget %s, %s", c[0], c[2], c[1], c[3], or(c[4], "as it is"), or(c[5], "none"), or(c[6], "told only"))
		if f.fails() {
			t.Errorf("over its budget: %s is %s, which may be %s", f.name, or(c[4], c[2]), c[5])
		}
	}
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// write puts the table where it can be published from.
func (r *report) write(t *testing.T) {
	root, err := desk.Module()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(root, "out", "figures-short.md")
	if *full {
		name = filepath.Join(root, "docs", "figures.md")
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(r.markdown()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// title is what stands above the table.
const title = "# Figures\n\nWritten by `make bench`, in one run, and not edited. Beside each figure stands its floor: the same calls\n" +
	"made by a program that judges nothing, observes nothing and keeps no record, or what the last words of its name say.\n" +
	"The daemon and the floor take turns; medians are held against each other. Where the daemon looks, the floor pauses\n" +
	"for 2 ms, which do not count: systemd is slower for who comes a moment after the end of a job than for who comes\n" +
	"right at it. What the units themselves need to start and stop is in both, and differs from one time to the next;\n" +
	"those of the studio overlay do nothing here, and the model server has no sandbox. Behind ± stands twice the\n" +
	"standard error of what is judged. What is nearer to its budget than that is called doubtful, on either side of it."

func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nMeasured on %s.\n\n", title, r.machine)
	b.WriteString("| figure | unit | modewatch | floor | judged | budget | |\n| --- | --- | ---: | ---: | --- | --- | --- |\n")
	for _, f := range r.figures {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(f.columns(), " | "))
	}
	return b.String()
}
