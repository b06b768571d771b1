package lab

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestBoot(t *testing.T) {
	t.Parallel()
	m := Boot(t, Options{})
	if state := m.Must(t, "systemctl", "is-system-running"); state != "running" {
		t.Errorf("the system is %s", state)
	}
	if comm := m.Must(t, "cat", "/proc/1/comm"); comm != "systemd" {
		t.Errorf("PID 1 is %s", comm)
	}
	for _, bus := range []string{"org.freedesktop.login1", "org.freedesktop.PolicyKit1", "org.freedesktop.systemd1"} {
		m.Must(t, "busctl", "call", bus, "/", "org.freedesktop.DBus.Peer", "Ping")
	}
	if links := m.Must(t, "ls", "/sys/class/net"); links != "lo" {
		t.Errorf("network links: %s", links)
	}
	if groups := m.Must(t, "id", "-nG", "bob"); groups != "bob modewatch" {
		t.Errorf("bob's groups: %s", groups)
	}
	r, err := m.RunAs(t.Context(), "bob", "ssh", "alice@localhost", "echo $SSH_CONNECTION; id -un")
	if err != nil || r.Stdout[strings.LastIndexByte(strings.TrimSpace(r.Stdout), '\n')+1:] != "alice\n" {
		t.Errorf("ssh: %+v, %v", r, err)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	tree, host := t.TempDir(), t.TempDir()
	put(t, filepath.Join(tree, "lib/systemd/system/hello.service"), 0o640, "[Service]\nExecStart=/usr/local/bin/hello\nRemainAfterExit=yes\n[Install]\nWantedBy=multi-user.target\n")
	put(t, filepath.Join(tree, "usr/local/bin/hello"), 0o755, "#!/bin/sh\nexec cat /etc/hello/text >/run/hello\n")
	if err := os.Symlink("hello", filepath.Join(tree, "usr/local/bin/greet")); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(host, "shared"), 0o644, "from the host")
	m := Boot(t, Options{
		Install: []string{tree},
		Files:   map[string]string{"/etc/hello/text": "good morning"},
		Enable:  []string{"hello.service"},
		Binds:   []string{host + ":/shared"},
	})
	if !m.Active(t.Context(), "hello.service") {
		t.Errorf("hello.service: %v", m.Show(t.Context(), "hello.service", "ActiveState", "Result"))
	}
	if got, err := m.ReadFile("/run/hello"); string(got) != "good morning" {
		t.Errorf("hello wrote %q, %v", got, err)
	}
	if got := m.Must(t, "stat", "-c", "%a %U", "/lib/systemd/system/hello.service"); got != "640 root" {
		t.Errorf("mode and owner: %s", got)
	}
	if got := m.Must(t, "readlink", "/usr/local/bin/greet"); got != "hello" {
		t.Errorf("link to %s", got)
	}
	if got := m.Must(t, "cat", "/shared/shared"); got != "from the host" {
		t.Errorf("bound file: %s", got)
	}
}

func TestFailedUnitsFailTheBoot(t *testing.T) {
	t.Parallel()
	Need(t)
	o := Options{
		Files:  map[string]string{"/etc/systemd/system/bad.service": "[Service]\nType=oneshot\nExecStart=false\n[Install]\nWantedBy=multi-user.target\n"},
		Enable: []string{"bad.service"},
	}
	m, err := Start(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "bad.service") {
		t.Errorf("error %v, want one that names bad.service", err)
	}
	if m != nil {
		t.Error(m.Stop())
	}
	o.Degraded = true
	if state := strings.Fields(Boot(t, o).Must(t, "sh", "-c", "systemctl is-system-running; true")); !slices.Equal(state, []string{"degraded"}) {
		t.Errorf("the system is %s", state)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	m := Boot(t, Options{})
	r, err := m.Run(t.Context(), "sh", "-c", "echo out; echo err >&2; exit 7")
	if want := (Result{"out\n", "err\n", 7}); r != want || err != nil {
		t.Errorf("got %+v, %v; want %+v", r, err, want)
	}
	r, err = m.Run(t.Context(), "sh", "-c", "kill -9 $$")
	if r.Code != 128+9 || err != nil {
		t.Errorf("killed: %+v, %v", r, err)
	}
	if r, err = m.RunAs(t.Context(), "bob", "sh", "-c", "id -un; echo $XDG_RUNTIME_DIR $HOME"); r.Stdout != "bob\n/run/user/1001 /home/bob\n" {
		t.Errorf("as bob: %+v, %v", r, err)
	}
	if _, err := m.RunAs(t.Context(), "mallory", "true"); err == nil {
		t.Error("an unknown user ran a command")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := m.Run(ctx, "sleep", "4711"); err == nil {
		t.Error("no error at the deadline")
	}
	if r, err := m.Run(t.Context(), "pgrep", "-f", "sleep 4711"); r.Code != 1 || err != nil {
		t.Errorf("still there after the deadline: %+v, %v", r, err)
	}
}

func TestFilesAndSignals(t *testing.T) {
	t.Parallel()
	m := Boot(t, Options{})
	if err := m.WriteFile("/run/a/b", "first"); err != nil {
		t.Fatal(err)
	}
	if err := m.WriteFile("/run/a/b", "2nd"); err != nil {
		t.Fatal(err)
	}
	if got := m.Must(t, "cat", "/run/a/b"); got != "2nd" {
		t.Errorf("file: %q", got)
	}
	m.Must(t, "ln", "-s", "/etc/passwd", "/run/a/link")
	if err := m.WriteFile("/run/a/link", "x"); err == nil {
		t.Error("an absolute link, which leads to the host, was followed")
	}
	m.Must(t, "systemd-run", "--unit=nap", "--property=Type=exec", "sleep", "infinity")
	pid, err := strconv.Atoi(m.Show(t.Context(), "nap", "MainPID")["MainPID"])
	if err != nil {
		t.Fatal(err)
	}
	if err := m.KillPID(t.Context(), pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	err = WaitFor(t.Context(), "nap.service to fail", func() bool {
		return m.Show(t.Context(), "nap", "Result")["Result"] == "signal"
	})
	if err != nil {
		t.Error(err)
	}
	if err := m.KillPID(t.Context(), pid, syscall.SIGKILL); err == nil {
		t.Error("killed a process that was gone")
	}
	if err := m.StartUnit(t.Context(), "missing.service"); err == nil {
		t.Error("started a unit that does not exist")
	}
}

func TestJournal(t *testing.T) {
	t.Parallel()
	m := Boot(t, Options{})
	m.Must(t, "sh", "-c", "for i in $(seq 50); do echo line $i; done | systemd-cat -t count -p warning")
	entries, err := m.Journal(t.Context(), "-t", "count")
	if err != nil || len(entries) != 50 {
		t.Fatalf("%d entries, %v; want 50", len(entries), err)
	}
	if last := entries[49]; last["MESSAGE"] != "line 50" || last["PRIORITY"] != "4" {
		t.Errorf("last entry: %q", last)
	}
	if entries, err := m.Journal(t.Context(), "-t", "nobody"); len(entries) != 0 || err != nil {
		t.Errorf("of nobody: %q, %v", entries, err)
	}
	if _, err := m.Journal(t.Context(), "--no-such-option"); err == nil {
		t.Error("no error for a bad option")
	}
}

func TestRebootAndCrash(t *testing.T) {
	t.Parallel()
	m := Boot(t, Options{})
	seen := map[string]bool{}
	look := func() {
		seen[m.Must(t, "cat", "/proc/sys/kernel/random/boot_id")] = true
		m.Must(t, "sh", "-c", "echo x >>/var/lib/boots; [ ! -e /run/mark ]; touch /run/mark; sync")
	}
	look()
	if err := m.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	look()
	if err := m.Crash(t.Context()); err != nil {
		t.Fatal(err)
	}
	look()
	if boots := m.Must(t, "cat", "/var/lib/boots"); boots != "x\nx\nx" || len(seen) != 3 {
		t.Errorf("boots %q with %d ids, want 3", boots, len(seen))
	}
	if list := m.Must(t, "journalctl", "--list-boots", "--quiet"); len(strings.Split(list, "\n")) != 3 {
		t.Errorf("boots in the journal, want 3:\n%s", list)
	}
}

// put writes a file of a tree to install, with its directories.
func put(t *testing.T, name string, mode os.FileMode, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}
