package nix

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestEveryNixFileParses(t *testing.T) {
	files := nixFiles(t)
	if len(files) < 15 {
		t.Fatalf("only %q were found", files)
	}
	output(t, command(t, "nix-instantiate", append([]string{"--parse"}, files...)...))
}

// The lock names one revision of nixpkgs, by its hash.
func TestTheFlakeIsLocked(t *testing.T) {
	locked := between(t, "flake.lock", `"narHash": "(sha256-[A-Za-z0-9+/]{43}=)"`)
	revisions := between(t, "flake.lock", `"rev": "([0-9a-f]{40})"`)
	if len(locked) != 1 || len(revisions) != 1 {
		t.Errorf("flake.lock has %q of %q, want one input: nixpkgs", locked, revisions)
	}
}

// What only a machine with Nix and nixpkgs can do: build the package, evaluate a whole
// NixOS, and boot the virtual machines of nix/tests.
func TestTheFlakeChecks(t *testing.T) {
	if os.Getenv("MODEWATCH_NIX") != "flake" {
		t.Skip("SKIP-REASON: nix flake check, with the virtual machines of nix/tests, needs Nix and nixpkgs; MODEWATCH_NIX=flake runs it")
	}
	check := exec.Command(tool(t, "nix"), "--extra-experimental-features", "nix-command flakes", "flake", "check", "-L", root)
	output(t, check)
}

// A module that sets overlays breaks hosts with a nixpkgs of their own. The example
// is such a host.
func TestTheModuleLeavesNixpkgsAlone(t *testing.T) {
	for _, name := range nixFiles(t) {
		if strings.Contains(name, "nix/example") {
			continue
		}
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
