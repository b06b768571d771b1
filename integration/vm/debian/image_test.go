package debian

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/modewatch/modewatch/integration/lab"
)

func TestStatesOfBeforeAreRemoved(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"agent.tar", "up-kvm-1.qcow2.broken", "up-tcg-1.qcow2", "up-tcg-1.qcow2.new.console", "up-tcg-2.qcow2", "up-tcg-2.qcow2.new.console"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := dropOthers(filepath.Join(dir, "up-tcg-2.qcow2")); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	for i := range left {
		left[i] = filepath.Base(left[i])
	}
	want := []string{"agent.tar", "up-kvm-1.qcow2.broken", "up-tcg-2.qcow2", "up-tcg-2.qcow2.new.console"}
	if err != nil || !slices.Equal(left, want) {
		t.Errorf("left are %q, %v; want %q", left, err, want)
	}
}

func TestTheWaitForTheStateEnds(t *testing.T) {
	dir := t.TempDir()
	held, err := lab.Lock(t.Context(), filepath.Join(dir, "state.lock"), unix.LOCK_EX)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := saved(ctx, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}

func TestTheAgentsDiskIsWrittenIfItDiffers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.tar")
	write := func(program string) os.FileInfo {
		t.Helper()
		if err := writeTar(path, []byte(program)); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	one := write("one")
	if again := write("one"); !os.SameFile(one, again) {
		t.Error("the same was written again")
	}
	if two := write("two"); os.SameFile(one, two) {
		t.Error("another was not written")
	}
}
