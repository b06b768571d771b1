package nix

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The package's vendorHash is the hash of what "go mod vendor" makes of the
// package's source. It changes with go.mod, and with what is imported.
func TestTheVendorHashIsRight(t *testing.T) {
	tool(t, "nix")
	src := packageSource(t)
	vendor := exec.Command("go", "mod", "vendor")
	vendor.Dir, vendor.Env = src, append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	output(t, vendor)
	hash := command(t, "nix", "--extra-experimental-features", "nix-command", "hash", "path", filepath.Join(src, "vendor"))
	got := strings.TrimSpace(string(output(t, hash)))
	want := between(t, "nix/package.nix", `vendorHash = "([^"]+)"`)[0]
	if got != want {
		t.Errorf("vendorHash in nix/package.nix is %s, write %s", want, got)
	}
}

// packageSource is a copy of what nix/source.nix lists.
func packageSource(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range between(t, "nix/source.nix", `"([^"]+)"`) {
		from, to := filepath.Join(root, name), filepath.Join(dir, name)
		info, err := os.Stat(from)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			err = os.CopyFS(to, os.DirFS(from))
		} else {
			var data []byte
			if data, err = os.ReadFile(from); err == nil {
				write(t, to, string(data))
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// between returns what the group of a pattern matches in a file of the tree.
func between(t *testing.T, name, pattern string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(data), -1) {
		out = append(out, m[1])
	}
	if len(out) == 0 {
		t.Fatalf("%s has nothing like %s", name, pattern)
	}
	return out
}
