package debian

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/modewatch/modewatch/fsm"
)

// budgets are those of the defaults, but for the memory of the AI units and for
// weights that the default of no slice has.
const budgets = `
[triggers.idle]
watch = true
[slices.desktop.ai]
memory_max = "96MiB"
[slices.desktop.interactive]
cpu_weight = 400
[slices.studio-local.ai]
memory_max = "64MiB"
[slices.compute.ai]
memory_max = "192MiB"
[slices.compute.interactive]
cpu_weight = 80
`

// kept says what the kernel must keep in a mode, with such budgets.
type kept struct {
	weights map[string]int // of CPU time, by slice
	memory  int            // what the AI units may have, in MiB
	heavy   string         // the slice that gets most of a CPU …
	light   string         // … that this one wants as well
	times   float64
}

var keptIn = map[fsm.Mode]kept{
	fsm.Compute: {map[string]int{"ai": 800, "interactive": 80, "user": 100}, 192, "ai", "interactive", 10},
	fsm.Desktop: {map[string]int{"ai": 50, "interactive": 400, "user": 300}, 96, "interactive", "ai", 8},
}

// keepsBudgets wants what a mode gives the slices to hold: who of the AI units takes
// more memory is killed for it, and who takes less is not, and the slices share a CPU
// by their weights.
func (s *seat) keepsBudgets(in fsm.Mode) {
	s.t.Helper()
	want := keptIn[in]
	s.sh("systemctl start ai.slice interactive.slice") // to a slice that is not there nothing is given
	for slice, weight := range want.weights {
		s.budget(slice+".slice/cpu.weight", weight)
	}
	s.budget("ai.slice/memory.max", want.memory<<20)
	s.takes(want.memory*2/3, "taken, success")
	s.takes(want.memory*4/3, "oom-kill")
	s.shares(want.heavy, want.light, want.times)
}

// budget wants a number of the control groups.
func (s *seat) budget(file string, want int) {
	s.t.Helper()
	if got := s.sh("cat /sys/fs/cgroup/" + file); got != strconv.Itoa(want) {
		s.t.Errorf("%s is %s, want %d", file, got, want)
	}
}

// takes has a program in the slice of the AI units take memory, and wants it to end
// with a result.
func (s *seat) takes(mebibytes int, want string) {
	s.t.Helper()
	got := s.sh(fmt.Sprintf(`systemd-run --quiet --wait --pipe --unit=taker --slice=ai.slice perl -e 'push @a, "x" x 1048576 for 1..%d; print "taken, "' || true
		systemctl show -P Result taker.service; systemctl reset-failed taker.service 2>/dev/null || true`, mebibytes))
	if got != want {
		s.t.Errorf("to take %d MiB ended with %s, want %s", mebibytes, got, want)
	}
}

// burn takes two seconds of CPU time, once somebody else is there to take the same
// CPU, and tells what that one got of it meanwhile, in microseconds.
const burn = `#!/usr/bin/perl
sub other { open(my $f, "<", "/sys/fs/cgroup/$ARGV[0].slice/other.service/cpu.stat") or die; <$f> =~ /(\d+)/; $1 }
open(my $go, ">", "/run/go") or die;
print $go "go\n";
close $go;
my ($was, $end) = (other(), (times)[0] + (times)[1] + 2);
1 while (times)[0] + (times)[1] < $end;
print other() - $was, "\n";
`

// shares has two slices fight for a CPU, and wants the heavy one to get so many times
// of what the light one gets, by and large.
func (s *seat) shares(heavy, light string, times float64) {
	s.t.Helper()
	got := s.sh(fmt.Sprintf(`rm -f /run/go; mkfifo /run/go
		systemd-run --quiet --collect --unit=other --slice=%[2]s.slice -p CPUAffinity=0 sh -c 'read -r go </run/go; while :; do :; done'
		systemd-run --quiet --wait --pipe --collect --slice=%[1]s.slice -p CPUAffinity=0 /opt/burn %[2]s
		systemctl stop other.service`, heavy, light))
	other, err := strconv.ParseFloat(got, 64)
	if err != nil {
		s.t.Fatal(got, err)
	}
	if is := 2e6 / other; is < times/2 || is > times*2 {
		s.t.Errorf("%s gets %.1f times the CPU of %s, want %.1f", heavy, is, light, times)
	}
}

// keepsDevices wants the sandbox of the daemon to let it read input devices, as it
// does, and neither write to them nor open the disk or the GPU. The kernel lets root.
func (s *seat) keepsDevices() {
	s.t.Helper()
	s.sh("ls -l /proc/$(systemctl show -P MainPID modewatch.service)/fd | grep -q /dev/input/event0")
	const inside = "echo $$ >/sys/fs/cgroup/system.slice/modewatch.service/cgroup.procs; "
	for open, may := range map[string]bool{
		"</dev/null": true, "</dev/input/event0": true, "<>/dev/input/event0": false, "</dev/vda": false, "</dev/dri/card0": false,
	} {
		s.sh("exec 3" + open)
		r, err := s.Run(s.t.Context(), "sh", "-c", inside+"exec 3"+open)
		if err != nil || (r.Code == 0) != may || !may && !strings.Contains(r.Stderr, "Operation not permitted") {
			s.t.Errorf("%s within the sandbox: %+v, %v", open, r, err)
		}
	}
}
