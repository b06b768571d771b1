package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestThreeSideBySide(t *testing.T) {
	t.Parallel()
	Need(t)
	var all sync.WaitGroup
	machines := make([]*Machine, 3)
	for i := range machines {
		all.Go(func() {
			m, err := Start(t.Context(), Options{Files: map[string]string{"/etc/number": strconv.Itoa(i)}})
			if err != nil {
				t.Error(err)
				return
			}
			machines[i] = m
			if _, err := m.StartSway(t.Context(), "alice", Sway{}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	ids := map[string]bool{}
	for i, m := range machines {
		if m == nil {
			continue
		}
		if got := m.Must(t, "cat", "/etc/number"); got != strconv.Itoa(i) {
			t.Errorf("machine %d has number %s", i, got)
		}
		ids[m.Must(t, "cat", "/etc/machine-id")] = true
		if err := m.Stop(); err != nil {
			t.Error(err)
		}
		if left := traces(t, m.Name); len(left) != 0 {
			t.Errorf("left behind: %q", left)
		}
	}
	if len(ids) != len(machines) {
		t.Errorf("%d machine ids for %d machines", len(ids), len(machines))
	}
}

func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	Need(t)
	m, err := Start(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.StartSway(t.Context(), "alice", Sway{Stubborn: true}); err != nil {
		t.Error(err)
	}
	if left := traces(t, m.Name); len(left) < 3 {
		t.Errorf("a running machine has the traces %q only: this test is blind", left)
	}
	leader := m.LeaderPID()
	for range 2 {
		if err := m.Stop(); err != nil {
			t.Error(err)
		}
	}
	if left := traces(t, m.Name); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
	err = WaitFor(t.Context(), "the end of the machine's PID 1", func() bool {
		return errors.Is(syscall.Kill(leader, 0), syscall.ESRCH)
	})
	if err != nil {
		t.Error(err)
	}
}

func TestNothingIsLeftOfAMachineThatCannotBe(t *testing.T) {
	t.Parallel()
	Need(t)
	trees, err := hierarchies()
	if err != nil {
		t.Fatal(err)
	}
	name, err := newName()
	if err != nil {
		t.Fatal(err)
	}
	inUse, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer inUse.Close()
	_, err = keep(name, "/no/such/root", inUse, trees)
	if err == nil || !strings.Contains(err.Error(), "/no/such/root") && !strings.Contains(err.Error(), "mount") {
		t.Errorf("error %v, want mount's", err)
	}
	if left := traces(t, name); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestOwnerDies boots a machine in a process that is then ended by a signal.
func TestOwnerDies(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(signal.String(), func(t *testing.T) {
			owner, name, _ := startOwner(t)
			kill(t, owner.Process.Pid, signal)
			_ = owner.Wait() // it ends by the signal
			wantNoTrace(t, name)
		})
	}
}

func TestOwnerAndKeeperDie(t *testing.T) {
	t.Parallel()
	owner, name, keeper := startOwner(t)
	kill(t, keeper, syscall.SIGKILL)
	kill(t, owner.Process.Pid, syscall.SIGKILL)
	_ = owner.Wait() // it ends by the signal
	if left := traces(t, name); len(left) == 0 {
		t.Error("nothing was left: this test is blind")
	}
	if err := sweepNow(); err != nil {
		t.Error(err)
	}
	wantNoTrace(t, name)
}

// ownerVariable in the environment makes the test binary the owner of a machine.
const ownerVariable = "LAB_TEST_OWNER"

func TestMain(m *testing.M) {
	if os.Getenv(ownerVariable) != "" {
		own()
	}
	os.Exit(m.Run())
}

// own boots a machine, says so, and ends without stopping it when a signal comes. (It
// takes the signals itself, as they may be ignored where the tests were started.)
func own() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	m, err := Start(context.Background(), Options{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Printf("booted %s %d\n", m.Name, m.keeper.cmd.Process.Pid)
	select {
	case <-signals:
	case <-time.After(time.Minute):
	}
	os.Exit(1)
}

// startOwner returns the process, its machine's name and its keeper's pid.
func startOwner(t *testing.T) (*exec.Cmd, string, int) {
	t.Helper()
	Need(t)
	owner := exec.Command(os.Args[0])
	owner.Env = append(os.Environ(), ownerVariable+"=1")
	owner.Stderr = os.Stderr
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	var name string
	var keeper int
	if _, scanErr := fmt.Sscanf(line, "booted %s %d", &name, &keeper); scanErr != nil {
		t.Fatalf("the owner says %q, %v", line, err)
	}
	return owner, name, keeper
}

func kill(t *testing.T, pid int, signal syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, signal); err != nil {
		t.Fatal(err)
	}
}

// traces is all on the host that bears a machine's name.
func traces(t *testing.T, name string) []string {
	t.Helper()
	trees, err := hierarchies()
	if err != nil {
		t.Fatal(err)
	}
	places := []string{home, "/run/systemd/nspawn/propagate", "/run/systemd/nspawn/unix-export", os.TempDir()}
	var found []string
	for _, place := range append(places, trees.all...) {
		match, err := filepath.Glob(filepath.Join(place, "*"+name+"*"))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, match...)
	}
	tables, err := filepath.Glob("/proc/[0-9]*/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		if mounts, err := os.ReadFile(table); err == nil && strings.Contains(string(mounts), name) {
			found = append(found, table)
		}
	}
	return found
}

func wantNoTrace(t *testing.T, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := WaitFor(ctx, "the end of "+name, func() bool { return len(traces(t, name)) == 0 })
	if err != nil {
		t.Errorf("%v; left behind: %q", err, traces(t, name))
	}
}

// BenchmarkCycle is what a test pays for a machine: boot until running, and stop.
func BenchmarkCycle(b *testing.B) {
	Need(b)
	for b.Loop() {
		m, err := Start(b.Context(), Options{})
		if err != nil {
			b.Fatal(err)
		}
		if err := m.Stop(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRun is what a command in a machine costs.
func BenchmarkRun(b *testing.B) {
	m := Boot(b, Options{})
	for b.Loop() {
		m.Must(b, "true")
	}
}
