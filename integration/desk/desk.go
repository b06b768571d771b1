// Package desk says how a machine of the lab is furnished that has modewatch on
// it: as make install leaves it, with stand-ins for the model server and the
// cluster, and with deadlines that suit a test.
package desk

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/modewatch/modewatch/integration/lab"
)

// Config is the configuration of every desk: the defaults, with short deadlines.
const Config = `
[transitions.deadlines]
session_term = "3s"
session_kill = "5s"
gpu_release = "15s"
start = "15s"
stop = "15s"
isolate = "20s"

[vllm]
ready = "20s"
drain.deadline = "5s"

[guards.cpu_load_safe]
max_pressure = 100 # the pressure in a container is the whole machine's

[guards.audio_idle]
debounce = "100ms"

[guards.user_jobs_safe]
allow = ["lab-sway@alice.service", "lab-tty@alice.service"] # the stand-in logins are started by hand
`

// VLLM is what the vllm unit runs here: the stand-in, on vLLM's port.
const VLLM = `#!/bin/sh
exec /usr/local/bin/vllm -listen 127.0.0.1:8000 -control /run/vllm.control
`

// k3sUnit stands for the cluster's own unit.
const k3sUnit = `[Unit]
Description=k3s stand-in
[Service]
ExecStart=/usr/local/bin/k3s
[Install]
WantedBy=multi-user.target
`

// Options returns the options of a machine with modewatch, k3s and ssh, of which
// the latter two are enabled. config is modewatch's, such as Config; files are
// further files, or take the place of the desk's own. The test fails if nothing is
// staged.
func Options(tb testing.TB, config string, files map[string]string) lab.Options {
	tb.Helper()
	standins, err := lab.Standins(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	all := map[string]string{
		"/etc/modewatch/config.toml":      config,
		"/etc/modewatch/vllm/compute.env": "VLLM_MODEL=stand-in\nVLLM_PROGRAM=/usr/local/bin/vllm-program\n",
		"/usr/local/bin/vllm-program":     VLLM,
		"/etc/systemd/system/k3s.service": k3sUnit,
	}
	maps.Copy(all, files)
	return lab.Options{Install: []string{Stage(tb), standins}, Files: all, Enable: []string{"k3s.service", "ssh.service"}}
}

// Boot boots a machine with such options. It ends with the test.
func Boot(tb testing.TB, o lab.Options) *lab.Machine {
	tb.Helper()
	m := lab.Boot(tb, o)
	m.Must(tb, "systemd-sysusers") // as the installation tells; the boot only does so after an update
	return m
}

// Stage is the tree that make install DESTDIR= filled: MODEWATCH_STAGE, or
// out/stage in the module's directory. The test fails if there is none.
func Stage(tb testing.TB) string {
	tb.Helper()
	dir := os.Getenv("MODEWATCH_STAGE")
	if dir == "" {
		root, err := Module()
		if err != nil {
			tb.Fatal(err)
		}
		dir = filepath.Join(root, "out", "stage")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "usr/bin/modewatch")); err != nil {
		tb.Fatalf("nothing is staged: run make stage first (%v)", err)
	}
	return dir
}

// Module returns the module's directory: the one above the working directory, or
// that itself, that has the file go.mod.
func Module() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			return "", os.ErrNotExist
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}
