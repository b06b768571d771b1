package procs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A storm of real programs, two shells beside each other, every fiftieth of interest.
const (
	stormEach   = 500
	stormWanted = 50
	stormScript = `i=0; while [ $i -lt $2 ]; do i=$((i+1)); "$1/other" </dev/null; [ $((i % $3)) -ne 0 ] || "$1/modewatch-tune" </dev/null; done`
)

// A storm of programs costs little and hides nothing: the watcher is woken as
// often as its pause allows, and hears every start of interest.
func TestLiveStormFigures(t *testing.T) {
	b := watched(t)
	b.storm("programs", 2*stormEach+2*stormEach/stormWanted, 2*stormEach/stormWanted,
		exec.Command("sh", "-c", stormScript, "sh", b.dir, strconv.Itoa(stormEach), strconv.Itoa(stormWanted)),
		exec.Command("sh", "-c", stormScript, "sh", b.dir, strconv.Itoa(stormEach), strconv.Itoa(stormWanted)))
}

// Five thousand a second are more than a small machine can execute: here each is
// an exec that the kernel begins, tells, and refuses, for the file is empty.
func TestLiveFloodFigures(t *testing.T) {
	b := watched(t)
	b.storm("execs begun", floodExecs, floodExecs/floodWanted, b.flood(floodExecs, floodPerTick, floodWanted))
}

// More than the kernel keeps, faster than they are read, are made up for: all that
// is of interest is looked at again.
func TestLiveOverflow(t *testing.T) {
	b := watched(t)
	x, err := openExecs([]string{b.dir})
	if err != nil {
		t.Fatal(err)
	}
	defer x.close()
	if out, err := b.flood(queue+1000, queue+1000, queue).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	n := 0
	lost, err := x.drain(func([]byte) { n++ })
	if !lost || err != nil || n < queue-1 || n > queue+bulk {
		t.Errorf("%d told, lost %v, %v", n, lost, err)
	}
}

const (
	floodExecs   = 10000
	floodWanted  = 500
	floodTick    = 10 * time.Millisecond
	floodPerTick = 50 // 5,000 a second
	floodMark    = "MODEWATCH_FLOOD"
)

// flood is a command that begins execs of empty files, so many per tick, and runs a
// program of interest every so many of them. Each file has a name of its own: the
// kernel makes one event of what one process does to one file.
func (b *bench) flood(execs, perTick, every int) *exec.Cmd {
	b.t.Helper()
	empty := filepath.Join(b.dir, "empty")
	if err := os.WriteFile(empty, nil, 0o755); err != nil {
		b.t.Fatal(err)
	}
	for i := range execs {
		if err := os.Link(empty, fmt.Sprint(empty, i)); err != nil {
			b.t.Fatal(err)
		}
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestFlooding$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %d %d", floodMark, b.dir, execs, perTick, every))
	return cmd
}

// TestFlooding is the child of flood.
func TestFlooding(t *testing.T) {
	if os.Getenv(floodMark) == "" {
		t.Skip("it is run by other tests")
	}
	var dir string
	var execs, perTick, every int
	if _, err := fmt.Sscan(os.Getenv(floodMark), &dir, &execs, &perTick, &every); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for i := range execs {
		if i%perTick == 0 {
			time.Sleep(time.Until(began.Add(time.Duration(i/perTick) * floodTick)))
		}
		if i%every == 0 {
			if err := exec.Command(dir + "/modewatch-tune").Run(); err != nil {
				t.Fatal(err)
			}
		}
		if err := syscall.Exec(fmt.Sprint(dir, "/empty", i), []string{"empty"}, nil); err != syscall.ENOEXEC {
			t.Fatal(err)
		}
	}
}

// storm runs commands that begin so many execs, wanted of them of interest, and
// tells what that cost.
func (b *bench) storm(what string, execs, wanted int, storm ...*exec.Cmd) {
	t := b.t
	t.Helper()
	before, rss, began, c0 := used(t), rssKiB(t), time.Now(), b.w.Counts()
	for _, cmd := range storm {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for _, cmd := range storm {
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	lasted := time.Since(began)
	b.start("modewatch-tune")() // told after all that came before
	wanted, execs = wanted+1, execs+1
	for b.w.Counts().Starts < int64(wanted) { // each is followed by a hint
		b.until(audio, func() bool { return true })
	}
	took, after, c := time.Since(began), used(t), b.w.Counts()
	b.end()
	cpu := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
	t.Logf("figure: storm of %d %s, %.0f a second: %.1f ms CPU in %d ms, %d wake-ups, %d passes over all processes, %d context switches, %+d KiB RSS",
		execs, what, float64(execs)/lasted.Seconds(), float64(cpu.Microseconds())/1000, took.Milliseconds(), c.Wakes-c0.Wakes, c.Passes-c0.Passes,
		after.Nvcsw+after.Nivcsw-before.Nvcsw-before.Nivcsw, rssKiB(t)-rss)
	if c.Execs < int64(execs) || c.Starts != int64(wanted) || c.Lost != 0 {
		t.Errorf("%+v, want %d execs, %d of interest and none lost", c, execs, wanted)
	}
	if most := int64(took/DefaultPause) + 2; c.Wakes > most || c.Passes > c.Wakes+1 {
		t.Errorf("%d wake-ups and %d passes in %v, at most %d", c.Wakes, c.Passes, took, most)
	}
}

func used(t *testing.T) syscall.Rusage {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return u
}

func rssKiB(t *testing.T) int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("/proc/self", "statm"))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(data))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize() / 1024
}
