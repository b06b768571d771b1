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
	src := vendoredSource(t)
	hash := command(t, "nix", "--extra-experimental-features", "nix-command", "hash", "path", filepath.Join(src, "vendor"))
	got := strings.TrimSpace(string(output(t, hash)))
	want := between(t, "nix/package.nix", `vendorHash = "([^"]+)"`)[0]
	if got != want {
		t.Errorf("vendorHash in nix/package.nix is %s, write %s", want, got)
	}
}

// The package's source builds without a network, and what is installed knows of no
// directory but its own: there is no /usr on NixOS.
func TestThePackageBuildsFromItsSource(t *testing.T) {
	src, out := vendoredSource(t), filepath.Join(t.TempDir(), "out")
	build := exec.Command("make", "-s", "build", "install", "VERSION=0", "PREFIX="+out, "SYSCONFDIR="+out+"/share/modewatch/etc")
	build.Dir, build.Env = src, append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=vendor", "GOPROXY=off")
	output(t, build)
	files := 0
	for _, dir := range []string{"lib", "libexec"} {
		for name, f := range read(t, filepath.Join(out, dir)) {
			files++
			if strings.Contains(f.Text, "/usr/") && !strings.HasPrefix(f.Text, "\x7fELF") {
				t.Errorf("%s/%s names something in /usr", dir, name)
			}
		}
	}
	if files < 20 {
		t.Errorf("only %d files were installed", files)
	}
	if said, err := run(filepath.Join(out, "bin/mode"), "version"); err != nil || !strings.Contains(said, "modewatch 0 ") {
		t.Errorf("mode version: %q, %v", said, err)
	}
}

// vendoredSource is the package's source with the modules that it needs.
func vendoredSource(t *testing.T) string {
	t.Helper()
	src := packageSource(t)
	vendor := exec.Command("go", "mod", "vendor")
	vendor.Dir, vendor.Env = src, append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	output(t, vendor)
	return src
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
