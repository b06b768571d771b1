package procs

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modewatch/modewatch/fsm"
)

// tree is a made /proc.
type tree struct {
	t    *testing.T
	root string
}

func newTree(t *testing.T) tree {
	tr := tree{t, t.TempDir()}
	tr.add(fake{pid: 1, comm: "systemd", exe: "/usr/lib/systemd/systemd", cgroup: "/init.scope"})
	return tr
}

// fake is one process of a tree.
type fake struct {
	pid, ppid int
	sid       int
	comm, exe string
	state     string // S if empty
	threads   int    // 1 if 0
	flags     uint64
	ignores   uint64 // mask of ignored signals
	cgroup    string
	fds       []string
	uid       int
}

func (tr tree) write(name, text string) {
	tr.t.Helper()
	path := filepath.Join(tr.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tr.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		tr.t.Fatal(err)
	}
}

func (tr tree) link(name, target string) {
	tr.t.Helper()
	path := filepath.Join(tr.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tr.t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		tr.t.Fatal(err)
	}
}

func (tr tree) add(f fake) {
	tr.t.Helper()
	dir := fmt.Sprint(f.pid)
	if f.state == "" {
		f.state = "S"
	}
	f.threads = max(f.threads, 1)
	tr.write(dir+"/stat", fmt.Sprintf("%d (%s) %s %d 1 %d 0 -1 %d 0 0 0 0 0 0 0 0 20 0 %d 0 100 0 0 0 1 1 0 0 0 0 0 %d 0 1 0 0 17 0 0 0\n",
		f.pid, f.comm, f.state, f.ppid, f.sid, f.flags, f.threads, f.ignores))
	tr.write(dir+"/cgroup", "0::"+f.cgroup+"\n")
	if f.exe != "" {
		tr.link(dir+"/exe", f.exe)
	}
	if err := os.MkdirAll(filepath.Join(tr.root, dir, "fd"), 0o755); err != nil {
		tr.t.Fatal(err)
	}
	for i, target := range f.fds {
		tr.link(fmt.Sprintf("%s/fd/%d", dir, i), target)
	}
	if f.uid != 0 {
		if err := os.Chown(filepath.Join(tr.root, dir), f.uid, -1); err != nil && os.Getuid() == 0 {
			tr.t.Fatal(err)
		}
	}
}

// uid is the owner that add could give.
func uid(want int) int {
	if os.Getuid() != 0 {
		return os.Getuid()
	}
	return want
}

func (tr tree) source(p fsm.Policy) *Procs {
	return New(tr.root, func() fsm.Policy { return p })
}

func policy() fsm.Policy {
	return fsm.Policy{
		GPU: fsm.GPUPolicy{Display: []string{"/dev/dri/card*", "/dev/nvidia0"}, AI: []string{"/dev/nvidia0", "/dev/nvidia1"},
			Infra: []string{"systemd-logind", "nvidia-persistenced"}},
		Audio: fsm.AudioPolicy{Processes: []string{"reaper"}, Nodes: []string{"/dev/snd/pcm*"}, Ignore: []string{"pipewire", "wireplumber"}, Servers: []string{"pipewire"}},
		Jobs:  fsm.JobPolicy{Processes: []string{"rsync", "borg", "a-very-long-program-name"}},
	}
}

const (
	session = "/user.slice/user-1000.slice/session-3.scope"
	manager = "/user.slice/user-1000.slice/user@1000.service"
)

// The manager keeps what logind took for a session, and maybe what others gave it.
func TestTheManagerHoldsForLogind(t *testing.T) {
	tr := tree{t, t.TempDir()}
	tr.add(fake{pid: 1, comm: "systemd", exe: "/usr/lib/systemd/systemd", cgroup: "/init.scope",
		fds: []string{"/dev/dri/card1", "/dev/nvidia0", "/dev/nvidia1"}})
	tr.add(fake{pid: 22, ppid: 1, comm: "systemd-logind", exe: "/usr/lib/systemd/systemd-logind", cgroup: "/system.slice/systemd-logind.service",
		fds: []string{"/dev/dri/card1"}})
	tr.add(fake{pid: 24, ppid: 1, comm: "nvidia-persiste", cgroup: "/system.slice/nvidia-persistenced.service", fds: []string{"/dev/nvidia0"}})
	tr.add(fake{pid: 25, ppid: 1, comm: "systemd-logind", exe: "/home/mallory/miner", cgroup: session, uid: 1000, fds: []string{"/dev/nvidia1"}})
	got, err := tr.source(policy()).GPU(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range got.Holders {
		if want := h.PID != 25 && (h.PID != 1 || h.Node == "/dev/dri/card1"); h.Infra != want {
			t.Errorf("%s: infrastructure %v, want %v", h, h.Infra, want)
		}
	}
	if len(got.Holders) != 6 {
		t.Errorf("holders: %v", got.Holders)
	}
}

func TestGPUHolders(t *testing.T) {
	tr := newTree(t)
	tr.add(fake{pid: 20, ppid: 1, comm: "Hyprland", exe: "/nix/store/x/bin/.Hyprland-wrapped", cgroup: session, uid: 1000,
		fds: []string{"/dev/null", "/dev/dri/card1", "/dev/dri/card1", "/dev/dri/renderD128", "socket:[77]"}})
	tr.add(fake{pid: 21, ppid: 1, comm: "vllm", exe: "/usr/bin/python3.12", cgroup: "/ai.slice/vllm@compute.service",
		fds: []string{"/dev/nvidia1", "/dev/nvidia0"}})
	tr.add(fake{pid: 22, ppid: 1, comm: "systemd-logind", exe: "/usr/lib/systemd/systemd-logind (deleted)", cgroup: "/system.slice/systemd-logind.service",
		fds: []string{"/dev/dri/card1"}})
	tr.add(fake{pid: 23, ppid: 1, comm: "nvidia-persiste", exe: "/home/mallory/miner", cgroup: manager + "/app.slice/run-7.scope", uid: 1000,
		fds: []string{"/dev/nvidia0"}})
	tr.add(fake{pid: 24, ppid: 1, comm: "nvidia-persiste", cgroup: "/system.slice/nvidia-persistenced.service", fds: []string{"/dev/nvidia0"}})
	tr.add(fake{pid: 25, ppid: 2, comm: "nvidia-modeset", flags: kernelThread, fds: []string{"/dev/nvidia0"}})
	tr.add(fake{pid: 26, ppid: 1, comm: "zombie", state: "Z", fds: []string{"/dev/nvidia0"}})
	tr.add(fake{pid: 27, ppid: 1, comm: "half (dead)", state: "Z", threads: 2, cgroup: "/system.slice/x.service"})
	tr.link("27/task/28/fd/9", "/dev/nvidia0")
	tr.add(fake{pid: 30, ppid: 1, comm: "bystander", exe: "/bin/b", fds: []string{"/dev/nvidiactl", "/dev/dri/card1x/y", "/tmp/dev/nvidia0"}})

	got, err := tr.source(policy()).GPU(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	want := []fsm.GPUHolder{
		{PID: 20, UID: uid(1000), Comm: "Hyprland", Node: "/dev/dri/card1", Display: true, Unit: "session-3.scope", Session: "3"},
		{PID: 21, UID: uid(0), Comm: "vllm", Node: "/dev/nvidia1", Unit: "vllm@compute.service"},
		{PID: 21, UID: uid(0), Comm: "vllm", Node: "/dev/nvidia0", Display: true, Unit: "vllm@compute.service"},
		{PID: 22, UID: uid(0), Comm: "systemd-logind", Node: "/dev/dri/card1", Display: true, Unit: "systemd-logind.service", Infra: true},
		{PID: 23, UID: uid(1000), Comm: "nvidia-persiste", Node: "/dev/nvidia0", Display: true, Unit: "user@1000.service"},
		{PID: 24, UID: uid(0), Comm: "nvidia-persiste", Node: "/dev/nvidia0", Display: true, Unit: "nvidia-persistenced.service", Infra: true},
		{PID: 27, UID: uid(0), Comm: "half (dead)", Node: "/dev/nvidia0", Display: true, Unit: "x.service"},
	}
	if len(got.Holders) != len(want) {
		t.Fatalf("holders %+v", got.Holders)
	}
	seen := map[fsm.GPUHolder]bool{}
	for _, h := range got.Holders {
		seen[h] = true
	}
	for _, h := range want {
		if !seen[h] {
			t.Errorf("missing %+v in %+v", h, got.Holders)
		}
	}
}

func TestHoldersByPID(t *testing.T) {
	tr := newTree(t)
	tr.add(fake{pid: 20, ppid: 1, comm: "python3", exe: "/usr/bin/python3.12", cgroup: session, uid: 1000})
	tr.add(fake{pid: 24, ppid: 1, comm: "nvidia-persiste", cgroup: "/system.slice/nvidia-persistenced.service"})
	got, err := tr.source(policy()).Holders([]int{20, 24, 99})
	want := map[int]fsm.GPUHolder{
		20: {PID: 20, UID: uid(1000), Comm: "python3", Unit: "session-3.scope", Session: "3"},
		24: {PID: 24, UID: uid(0), Comm: "nvidia-persiste", Unit: "nvidia-persistenced.service", Infra: true},
		99: {PID: 99, UID: -1, Comm: "a process that is not in /proc"},
	}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	tr.write("31/stat", "31 (half")
	if got, err := tr.source(policy()).Holders([]int{20, 31}); err == nil || got != nil {
		t.Errorf("a process that cannot be read is %+v", got)
	}
}

func TestGPUPresent(t *testing.T) {
	dev := t.TempDir()
	for _, name := range []string{"card0", "card1", "nvidia0"} {
		if err := os.WriteFile(filepath.Join(dev, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := policy()
	p.GPU.Display, p.GPU.AI = []string{dev + "/card*", dev + "/nvidia0"}, []string{dev + "/nvidia[0-9]"}
	got, err := newTree(t).source(p).GPU(context.Background())
	want := fmt.Sprint([]string{dev + "/card0", dev + "/card1", dev + "/nvidia0"})
	if err != nil || fmt.Sprint(got.Present) != want || got.Holders != nil {
		t.Errorf("present %v, holders %v, %v; want %v and none", got.Present, got.Holders, err, want)
	}
	p.GPU.AI = []string{"/dev/nvidia["}
	if _, err := newTree(t).source(p).GPU(context.Background()); err == nil {
		t.Error("no error for a bad pattern")
	}
	p = policy()
	p.Audio.Nodes = []string{"/dev/snd/[pcm"}
	if _, err := newTree(t).source(p).Audio(context.Background()); err == nil {
		t.Error("no error for a bad audio pattern")
	}
}

func TestAudioUsers(t *testing.T) {
	const closed, idle = "closed\n", "state: PREPARED\nowner_pid   : 41\n"
	running := func(pid int) string {
		return fmt.Sprintf("state: RUNNING\nowner_pid   : %d\ntrigger_time: 1.2\ntstamp      : 0.0\n", pid)
	}
	pipewire := fake{pid: 41, ppid: 1, comm: "pipewire", exe: "/usr/bin/pipewire", cgroup: manager, uid: 1000, fds: []string{"/dev/snd/pcmC0D0p", "/dev/snd/controlC0"}}
	for name, c := range map[string]struct {
		procs  []fake
		status string
		want   []fsm.AudioUse
	}{
		"nobody":            {status: closed},
		"sound server idle": {procs: []fake{pipewire}, status: idle},
		"sound server plays": {procs: []fake{pipewire}, status: running(41),
			want: []fsm.AudioUse{{PID: 41, UID: uid(1000), Comm: "pipewire", How: "pcmC0D0p is RUNNING"}}},
		"one of its threads": {procs: []fake{pipewire}, status: running(42),
			want: []fsm.AudioUse{{PID: 41, UID: uid(1000), Comm: "pipewire", How: "pcmC0D0p is RUNNING"}}},
		"reaper by wrapper": {procs: []fake{{pid: 50, ppid: 1, comm: ".reaper-wrapped", exe: "/nix/store/x/bin/.reaper-wrapped", uid: 1000}}, status: closed,
			want: []fsm.AudioUse{{PID: 50, UID: uid(1000), Comm: ".reaper-wrapped", How: "configured process reaper"}}},
		"reaper by comm": {procs: []fake{{pid: 50, ppid: 1, comm: "reaper", exe: "/usr/bin/python3"}}, status: closed,
			want: []fsm.AudioUse{{PID: 50, Comm: "reaper", How: "configured process reaper"}}},
		"bare ALSA, paused": {procs: []fake{{pid: 51, ppid: 1, comm: "jackd", exe: "/usr/bin/jackd", fds: []string{"/dev/snd/pcmC0D0p", "/dev/snd/pcmC0D0c"}}},
			status: "state: PAUSED\nowner_pid   : 51\n",
			want:   []fsm.AudioUse{{PID: 51, Comm: "jackd", How: "holds /dev/snd/pcmC0D0p"}}},
		"a stranger called pipewire": {procs: []fake{{pid: 52, ppid: 1, comm: "pipewire", exe: "/home/x/daw", fds: []string{"/dev/snd/pcmC0D0p"}}}, status: closed,
			want: []fsm.AudioUse{{PID: 52, Comm: "pipewire", How: "holds /dev/snd/pcmC0D0p"}}},
		"owner out of sight": {status: running(0), want: []fsm.AudioUse{{PID: 0, UID: -1, Comm: "unknown", How: "pcmC0D0p is RUNNING"}}},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTree(t)
			for _, f := range c.procs {
				tr.add(f)
				tr.write(fmt.Sprint(f.pid, "/environ"), "")
			}
			tr.write("42/status", "Name:\tdata-loop.0\nTgid:\t41\n") // a thread
			tr.write("asound/card0/pcm0p/sub0/status", c.status)
			tr.write("asound/card0/pcm0c/sub0/status", closed)
			got, err := tr.source(policy()).Audio(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Users) != len(c.want) || len(got.Users) > 0 && fmt.Sprint(got.Users) != fmt.Sprint(c.want) {
				t.Errorf("users %+v, want %+v", got.Users, c.want)
			}
			looked := strings.Join(got.Looked, ", ")
			if !strings.Contains(looked, "/dev/snd/pcm*") || !strings.Contains(looked, "ALSA streams") {
				t.Errorf("looked at %q", looked)
			}
		})
	}
}

func TestAudioWithoutALSA(t *testing.T) {
	got, err := newTree(t).source(policy()).Audio(context.Background())
	if err != nil || len(got.Users) != 0 || !strings.Contains(strings.Join(got.Looked, ", "), "no ALSA card") {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestUserJobs(t *testing.T) {
	const hup = 1
	tr := newTree(t)
	tr.add(fake{pid: 5, ppid: 1, comm: "systemd", exe: "/usr/lib/systemd/systemd", cgroup: manager + "/init.scope"})
	for _, f := range []fake{
		{pid: 60, ppid: 7, comm: "rsync", exe: "/usr/bin/rsync", cgroup: session, uid: 1000},
		{pid: 61, ppid: 7, comm: "rsync", exe: "/usr/bin/rsync", cgroup: "/user.slice/user-0.slice/session-9.scope"},
		{pid: 62, ppid: 5, comm: "python3", exe: "/nix/store/x/bin/.borg-wrapped", cgroup: manager + "/app.slice/backup.service", uid: 1000},
		{pid: 63, ppid: 7, comm: "a-very-long-pro", exe: "/usr/bin/python3", cgroup: session},
		{pid: 64, ppid: 1, comm: "tmux: server", exe: "/usr/bin/tmux", cgroup: session, uid: 1000},
		{pid: 65, ppid: 1, comm: "screen", exe: "/usr/bin/screen", cgroup: session},
		{pid: 66, ppid: 1, comm: "long-job", exe: "/bin/long-job", cgroup: session, ignores: hup},
		{pid: 67, ppid: 5, comm: "under-manager", exe: "/bin/x", cgroup: session, ignores: hup},
		// and what is no job
		{pid: 70, ppid: 1, comm: "rsync", exe: "/usr/bin/rsync", cgroup: "/system.slice/rsyncd.service"},
		{pid: 71, ppid: 7, comm: "tmux: client", exe: "/usr/bin/tmux", cgroup: session},
		{pid: 72, ppid: 65, comm: "screen", exe: "/usr/bin/screen", cgroup: session},
		{pid: 73, ppid: 1, comm: "firefox", exe: "/usr/bin/firefox", cgroup: session},
		{pid: 74, ppid: 7, comm: "child", exe: "/bin/child", cgroup: session, ignores: hup},
		{pid: 75, ppid: 1, comm: "daemon", exe: "/bin/daemon", cgroup: "/system.slice/daemon.service", ignores: hup},
		{pid: 76, ppid: 5, comm: "agent", exe: "/bin/agent", cgroup: manager + "/app.slice/agent.service", ignores: hup},
		{pid: 77, ppid: 1, comm: "rsync", state: "Z", cgroup: session},
		{pid: 78, ppid: 2, comm: "rsync", flags: kernelThread, cgroup: session},
	} {
		tr.add(f)
	}
	jobs, err := tr.source(policy()).Jobs(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	got := map[int]fsm.UserJob{}
	for _, j := range jobs {
		got[j.PID] = j
	}
	want := []fsm.UserJob{
		{What: "rsync", PID: 60, UID: uid(1000), Unit: "session-3.scope", Session: "3", Pattern: "rsync"},
		{What: "rsync", PID: 61, UID: uid(0), Unit: "session-9.scope", Session: "9", Pattern: "rsync"},
		{What: "python3", PID: 62, UID: uid(1000), Unit: "backup.service", Pattern: "borg"},
		{What: "a-very-long-pro", PID: 63, UID: uid(0), Unit: "session-3.scope", Session: "3", Pattern: "a-very-long-program-name"},
		{What: "tmux: server", PID: 64, UID: uid(1000), Unit: "session-3.scope", Session: "3", Pattern: patternMultiplexer},
		{What: "screen", PID: 65, UID: uid(0), Unit: "session-3.scope", Session: "3", Pattern: patternMultiplexer},
		{What: "long-job", PID: 66, UID: uid(0), Unit: "session-3.scope", Session: "3", Pattern: patternNohup},
		{What: "under-manager", PID: 67, UID: uid(0), Unit: "session-3.scope", Session: "3", Pattern: patternNohup},
	}
	for _, w := range want {
		if got[w.PID] != w {
			t.Errorf("job %+v, want %+v", got[w.PID], w)
		}
	}
	if len(jobs) != len(want) {
		t.Errorf("%d jobs, want %d: %+v", len(jobs), len(want), jobs)
	}
}

// What cannot be looked at is an error for every question that needs it.
func TestCannotTell(t *testing.T) {
	hidden := newTree(t)
	if err := os.RemoveAll(hidden.root + "/1"); err != nil {
		t.Fatal(err)
	}
	torn := newTree(t)
	torn.write("9/stat", "9 (x) S 1")
	nameless := newTree(t)
	nameless.write("9/stat", "junk")
	stuck := newTree(t)
	stuck.write("9/stat", "")
	asound := newTree(t)
	if err := os.MkdirAll(asound.root+"/asound/card0/pcm0p/sub0/status", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		root, says string
		audioOnly  bool
	}{
		"no /proc":       {t.TempDir() + "/none", "no such file", false},
		"hidepid":        {hidden.root, "process 1 is hidden", false},
		"torn stat":      {torn.root, "process 9", false},
		"nameless stat":  {nameless.root, "no name", false},
		"empty stat":     {stuck.root, "process 9", false},
		"unreadable PCM": {asound.root, "is a directory", true},
	} {
		f := New(c.root, policy).Look(context.Background(), Subjects)
		for what, why := range map[string]string{"audio": f.Audio.Cause, "GPU": f.GPU.Cause, "jobs": f.Jobs.Cause} {
			if c.audioOnly && what != "audio" {
				if why != "" {
					t.Errorf("%s: %s: %s", name, what, why)
				}
				continue
			}
			if !strings.Contains(why, c.says) {
				t.Errorf("%s: %s says %q, want %q", name, what, why, c.says)
			}
		}
		if f.Audio.OK || f.GPU.OK && !c.audioOnly {
			t.Errorf("%s: a reading passed", name)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := newTree(t).source(policy()).GPU(ctx); err == nil {
		t.Error("no error after the context ended")
	}
}

func TestPlaceOf(t *testing.T) {
	for text, want := range map[string]place{
		"0::/system.slice/vllm.service\n":                               {"vllm.service", "vllm.service", ""},
		"0::/system.slice/system-vllm.slice/vllm@compute.service":       {"vllm@compute.service", "vllm@compute.service", ""},
		"0::" + session + "\n":                                          {"session-3.scope", "session-3.scope", "3"},
		"0::" + manager + "/app.slice/app-foo.scope\n":                  {"user@1000.service", "app-foo.scope", ""},
		"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-a.scope": {"cri-containerd-a.scope", "cri-containerd-a.scope", ""},
		"0::/\n": {},
		"":       {},
		"4:memory:/x.service\n1:name=systemd:/user.slice/user-0.slice/session-c2.scope\n0::/\n": {"session-c2.scope", "session-c2.scope", "c2"},
	} {
		if got := placeOf(text); got != want {
			t.Errorf("placeOf(%q) = %+v, want %+v", text, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		comm, exe, want string
		known, certain  bool
	}{
		{"reaper", "reaper", "reaper", true, true},
		{"reaper", "", "reaper", true, true},
		{"reaper", "python3", "reaper", true, false},
		{"main", "reaper", "reaper", true, true},
		{".reaper-wrapped", ".reaper-wrapped", "reaper", true, true},
		{".Hyprland-wrapp", "", "Hyprland", true, true},
		{"x", "..x-wrapped-wrapped", "x", true, true},
		{"nvidia-persiste", "", "nvidia-persistenced", true, true},
		{"nvidia-persiste", "miner", "nvidia-persistenced", true, false},
		{"reaperd", "reaperd", "reaper", false, false},
		{"reape", "reape", "reaper", false, false},
		{"-wrapped", "-wrapped", "", false, false},
	} {
		p := proc{comm: c.comm, exe: c.exe}
		if got := p.known([]string{c.want}) != ""; got != c.known {
			t.Errorf("%+v known as %q: %v", p, c.want, got)
		}
		if got := p.certainly([]string{c.want}); got != c.certain {
			t.Errorf("%+v certainly %q: %v", p, c.want, got)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("1 (a) b) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0 0 1 1 0 0 0 0 0 1 0 1 0 0 17 0 0 0\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := parseStat(data); err == nil && !strings.Contains(string(data), "("+s.comm+")") {
			t.Errorf("%q gave the name %q", data, s.comm)
		}
	})
}
