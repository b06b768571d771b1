package bench

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/modewatch/modewatch/integration/desk"
)

// mouseTold is the figure of TestAMouse.
var mouseTold = regexp.MustCompile(`figure: a mouse that moves (\d+) times in (\S+): the daemon was awake in (\d+) of \d+ half seconds, .* it used (\S+) of CPU time`)

// underAMouse takes the figures of a mouse storm. They need input devices and so a
// machine of its own, where a test takes them; here it is run and read.
func underAMouse(t *testing.T, r *report) {
	if !*full {
		t.Skip("make test-vm takes it")
	}
	root, err := desk.Module()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-timeout", "10m", "-run", "^TestAMouse$", "-v", "./integration/vm/debian")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "MODEWATCH_LAB=require")
	out, err := cmd.CombinedOutput()
	said := mouseTold.FindSubmatch(out)
	if err != nil || said == nil {
		t.Fatalf("the test of a mouse: %v\n%s", err, out)
	}
	moves, lasted, awake, used := string(said[1]), string(said[2]), string(said[3]), string(said[4])
	d, err := time.ParseDuration(lasted)
	if err != nil {
		t.Fatal(err)
	}
	cpu, err := time.ParseDuration(used)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseFloat(awake, 64)
	if err != nil {
		t.Fatal(err)
	}
	const note = "in an emulated machine, ten times as slow"
	name := "a mouse that moves " + moves + " times in " + lasted
	r.add(figure{name: name + ", half seconds in which the daemon was awake", judged: value, value: n, floor: none,
		budget: 2 * (d.Seconds()/5 + 1), note: note})
	r.add(figure{name: name + ", CPU", unit: "ms per second", judged: value, value: ms(cpu) / d.Seconds(), floor: none, budget: none, note: note})
}
