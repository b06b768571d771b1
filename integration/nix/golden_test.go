package nix

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/modewatch/modewatch/integration/desk"
)

// booted are the scenarios whose files are in testdata.
var booted = []string{"single", "dual", "external", "cluster"}

const (
	reference = root + "/docs/nixos-options.md"
	madeFrom  = "testdata/made-from.txt"
)

func TestGoldenFilesAreCurrent(t *testing.T) {
	e := evaluated(t)
	if *update {
		write(t, reference, e.Reference)
	}
	if got, err := os.ReadFile(reference); err != nil || string(got) != e.Reference {
		t.Errorf("docs/nixos-options.md is not what the module says (%v): run this with -update", err)
	}
	for _, name := range booted {
		dir := filepath.Join("testdata", name)
		want := e.Scenarios[name].tree(t)
		if *update {
			put(t, dir, want)
		}
		got := read(t, dir)
		for path := range maps.Keys(want) {
			if got[path] != want[path] {
				t.Errorf("%s of %s is\n%q\nwant\n%q", path, name, got[path], want[path])
			}
		}
		for path := range got {
			if _, ok := want[path]; !ok {
				t.Errorf("%s has %s, which the module does not make", name, path)
			}
		}
	}
	if *update {
		write(t, madeFrom, sources(t))
	}
}

// TestGoldenFilesAreOfThisModule needs no Nix: it tells that something changed of
// what testdata and the options' reference are made from, and they were not.
func TestGoldenFilesAreOfThisModule(t *testing.T) {
	got, err := os.ReadFile(madeFrom)
	if err != nil || string(got) != sources(t) {
		t.Errorf("nix/, dist/config.toml or the scenarios changed since testdata was made (%v):\n"+
			"NIXPKGS_LIB=.../nixpkgs/lib go test ./integration/nix -run Golden -update", err)
	}
}

// sources is the hash of all that an evaluation reads.
func sources(t *testing.T) string {
	t.Helper()
	names := append(nixFiles(t), filepath.Join(root, "dist/config.toml"))
	slices.Sort(names)
	sum := sha256.New()
	for _, name := range names {
		if filepath.Base(name) == "package.nix" || filepath.Base(name) == "flake.nix" {
			continue // not evaluated here
		}
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sum.Write([]byte(name + "\x00"))
		sum.Write(data)
	}
	return hex.EncodeToString(sum.Sum(nil)) + "\n"
}

// read returns the files below a directory.
func read(t *testing.T, dir string) map[string]file {
	t.Helper()
	out := map[string]file{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if d.Type()&fs.ModeSymlink != 0 {
			to, err := os.Readlink(path)
			out[name] = file{Link: to}
			return err
		}
		data, err := os.ReadFile(path)
		out[name] = file{Text: string(data)}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// put makes a directory of the files, and of nothing else.
func put(t *testing.T, dir string, files map[string]file) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for name, f := range files {
		path := filepath.Join(dir, name)
		if f.Link == "" {
			write(t, path, f.Text)
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(f.Link, path); err != nil {
			t.Fatal(err)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// stage is where make stage installed the program.
func stage(t *testing.T) string {
	t.Helper()
	return desk.Stage(t)
}

func run(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	return string(out), err
}
