package nix

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEveryNixFileParses(t *testing.T) {
	files := nixFiles(t)
	if len(files) < 2 {
		t.Fatalf("only %q were found", files)
	}
	output(t, command(t, "nix-instantiate", append([]string{"--parse"}, files...)...))
}

// A flake sees only nixpkgs' revision that its lock names. The lock can only be
// made where nixpkgs can be fetched.
func TestTheFlakeIsLocked(t *testing.T) {
	if _, err := os.Stat(filepath.Join(root, "flake.lock")); err != nil {
		t.Skip(`SKIP-REASON: flake.lock is not there yet; "nix flake lock" makes it, where nixpkgs can be fetched`)
	}
	lock, err := os.ReadFile(filepath.Join(root, "flake.lock"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"narHash": "sha256-`, `"rev": "`, `"nixpkgs"`} {
		if !strings.Contains(string(lock), want) {
			t.Errorf("flake.lock has no %s", want)
		}
	}
}

// A module that sets overlays breaks hosts with a nixpkgs of their own.
func TestTheModuleLeavesNixpkgsAlone(t *testing.T) {
	for _, name := range nixFiles(t) {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, never := range []string{"nixpkgs.overlays", "nixpkgs.config", "import <nixpkgs>", "with lib;"} {
			if strings.Contains(string(data), never) {
				t.Errorf("%s has %q", name, never)
			}
		}
	}
}

func nixFiles(t *testing.T) []string {
	t.Helper()
	files := []string{filepath.Join(root, "flake.nix")}
	for _, dir := range []string{"nix", "integration/nix"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
			if strings.HasSuffix(path, ".nix") {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}
