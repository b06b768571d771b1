package runfiles

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/modewatch/modewatch/fsm"
)

// role is set in the environment of a child that plays another process.
const role = "MODEWATCH_TEST_ROLE"

func TestMain(m *testing.M) {
	d := Dirs{Run: os.Getenv("MODEWATCH_TEST_RUN"), Lib: os.Getenv("MODEWATCH_TEST_LIB")}
	switch os.Getenv(role) {
	case "hold": // takes the lock, says so and keeps it until killed
		if _, err := d.Lock("child.service", "boot", time.Now()); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("held")
		time.Sleep(time.Hour) // not select {}: the runtime would call that a deadlock
	case "write": // tries to replace state.json, as a user without the right
		fmt.Println(d.WriteState(fsm.Snapshot{State: fsm.AtCompute}))
	case "lock":
		_, err := d.Lock("other.service", "boot", time.Now())
		fmt.Println(err)
	default:
		os.Exit(m.Run())
	}
}

func dirs(t *testing.T) Dirs {
	t.Helper()
	root := t.TempDir()
	d := Dirs{Run: filepath.Join(root, "run"), Lib: filepath.Join(root, "lib")}
	for _, dir := range []string{d.Run, d.Lib} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// child returns this test binary in a role.
func child(t *testing.T, d Dirs, as string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), role+"="+as, "MODEWATCH_TEST_RUN="+d.Run, "MODEWATCH_TEST_LIB="+d.Lib)
	cmd.Stderr = os.Stderr
	return cmd
}

// hold starts a child that has the lock.
func hold(t *testing.T, d Dirs) *exec.Cmd {
	t.Helper()
	cmd := child(t, d, "hold")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("the child says %q", line)
	}
	return cmd
}

// mount puts a small tmpfs at dir, or skips where that is not allowed.
func mount(t *testing.T, dir, options string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting a small tmpfs needs root")
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("cannot mount a tmpfs here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("cannot unmount %s: %v", dir, err)
		}
	})
}

// fill leaves no room on the file system of dir, and returns what frees it.
func fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	ballast := filepath.Join(dir, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for size := 1 << 12; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	return func() { _ = os.Remove(ballast) }
}

// wantFiles wants exactly these names in dir: no temporary file is left.
func wantFiles(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		t.Errorf("%s holds %v, want %v", dir, got, names)
	}
}
