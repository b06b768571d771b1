package lab

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// made counts how often the recipe of these tests ran in dir.
const counting = `echo x >>"${1%/*}/made"; mkdir "$1"; echo hello >"$1/file"`

func TestRootIsMadeOnce(t *testing.T) {
	c := cache{t.TempDir(), counting}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			dir, inUse, err := c.use(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			defer inUse.Close()
			if _, err := os.Stat(filepath.Join(dir, "file")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if made, err := os.ReadFile(filepath.Join(c.dir, "made")); string(made) != "x\n" {
		t.Errorf("the recipe ran as %q (%v), want once", made, err)
	}
}

func TestRootIsMadeWholeOrNotAtAll(t *testing.T) {
	c := cache{t.TempDir(), `mkdir "$1"; echo half >"$1/file"; echo no network >&2; exit 3`}
	if _, _, err := c.use(t.Context()); err == nil {
		t.Fatal("a recipe that fails gave a root")
	}
	if left, _ := filepath.Glob(filepath.Join(c.dir, "root-*")); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestOldRootsAreRemovedUnlessInUse(t *testing.T) {
	dir := t.TempDir()
	_, unused, err := cache{dir, counting + " # 1"}.use(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	unused.Close()
	second, inUse, err := cache{dir, counting + " # 2"}.use(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	third, inUseToo, err := cache{dir, counting + " # 3"}.use(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer inUseToo.Close()
	wantRoots(t, dir, second, third)
	inUse.Close()
	if err := (cache{dir, counting + " # 3"}).dropOthers(context.Background()); err != nil {
		t.Fatal(err)
	}
	wantRoots(t, dir, third)
}

func wantRoots(t *testing.T, dir string, want ...string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "root-????????????????"))
	if err != nil || len(found) != len(want) {
		t.Fatalf("roots %q (%v), want %q", found, err, want)
	}
	for _, root := range want {
		if _, err := os.Stat(root); err != nil {
			t.Error(err)
		}
	}
}
