package integration

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// inside are the packages with tests that need a booted systemd around them:
// they skip elsewhere, and are run in a container here.
var inside = []string{"sources/audio", "sources/procs", "sinks/act", "sinks/journal", "sinks/notify"}

func TestPackagesInsideTheLab(t *testing.T) {
	for _, pkg := range inside {
		t.Run(pkg, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, setup{noDaemon: true, login: "none"})
			binary := filepath.Join(t.TempDir(), "inside.test")
			build := exec.Command("go", "test", "-c", "-coverpkg=./sources/...,./sinks/...", "-o", binary, "./"+pkg)
			build.Dir, build.Env = "..", append(os.Environ(), "CGO_ENABLED=0")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("cannot build the tests of %s: %v\n%s", pkg, err, out)
			}
			d.copyIn(binary, "/root/inside.test")
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			r, err := d.Run(ctx, "env", "MODEWATCH_IN_LAB=1", "/root/inside.test", "-test.v", "-test.run", "Lab", "-test.skip", "Figures",
				"-test.coverprofile", "/root/inside.cover")
			if err != nil {
				t.Fatal(err)
			}
			if r.Code != 0 || !strings.Contains(r.Stdout, "--- PASS") || strings.Contains(r.Stdout, "--- SKIP") {
				t.Fatalf("exit %d\n%s%s", r.Code, r.Stdout, r.Stderr)
			}
			t.Logf("%d tests passed inside", strings.Count(r.Stdout, "--- PASS"))
			d.keepCover("/root/inside.cover", "inside-"+strings.ReplaceAll(pkg, "/", "-")+".cover")
			for line := range strings.Lines(r.Stdout) {
				if _, figure, ok := strings.Cut(line, "figure: "); ok {
					t.Logf("figure: %s", figure)
				}
			}
		})
	}
}

// keepCover puts what the tests inside went over beside the profile of the unit
// tests, where one is wanted: make cover adds them up.
func (d *desk) keepCover(from, name string) {
	d.t.Helper()
	dir := os.Getenv("MODEWATCH_COVER")
	if dir == "" {
		return
	}
	data, err := d.ReadFile(from)
	if err == nil {
		err = errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, name), data, 0o644))
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// copyIn puts an executable of the host into the machine.
func (d *desk) copyIn(from, to string) {
	d.t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		d.t.Fatal(err)
	}
	if err := d.WriteFile(to, string(data)); err != nil {
		d.t.Fatal(err)
	}
	d.Must(d.t, "chmod", "755", to)
}
