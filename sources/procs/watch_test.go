package procs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/modewatch/modewatch/fsm"
)

func TestInterests(t *testing.T) {
	p := policy()
	p.Sessions.Compositors, p.Jobs.Processes = []string{"sway"}, []string{"rsync", "reaper"}
	want := map[string]fsm.Subject{"reaper": fsm.AboutAudio | fsm.AboutJobs, "sway": fsm.AboutSessions, "rsync": fsm.AboutJobs}
	if got := Interests(p); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestResolve(t *testing.T) {
	root := t.TempDir()
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		t.Fatal(err)
	}
	put := func(name string, mode os.FileMode) string {
		path := filepath.Join(real, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, mode)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := func(to, name string) {
		path := filepath.Join(real, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink(to, path)); err != nil {
			t.Fatal(err)
		}
	}
	put("bin/rsync", 0o755)
	put("bin/borg", 0o644) // not executable
	link(put("store/1/bin/reaper-7", 0o755), "bin/reaper")
	put("opt/a/tool", 0o755)
	if err := os.Mkdir(filepath.Join(real, "opt/a/rsync"), 0o755); err != nil { // a folder
		t.Fatal(err)
	}
	link("/no/such/file", "opt/a/borg")
	link(filepath.Join(real, "bin"), "sbin")
	got := resolve([]string{filepath.Join(root, "bin"), filepath.Join(root, "sbin"), filepath.Join(root, "opt/*"), filepath.Join(root, "none")},
		map[string]fsm.Subject{"rsync": 1, "reaper": 2, "borg": 4, "a-very-long-program-name": 8})
	if want := []string{filepath.Join(real, "bin"), filepath.Join(real, "store/1/bin")}; !slices.Equal(got.dirs, want) {
		t.Errorf("folders %q, want %q", got.dirs, want)
	}
	for name, want := range map[string]fsm.Subject{"rsync": 1, "reaper": 2, "reaper-7": 2, ".reaper-wrapped": 2, "borg": 4, "tool": 0, "reape": 0, "reaper-": 0, "": 0, ".": 0} {
		if a := got.about([]byte(name)); a != want {
			t.Errorf("%q: %v, want %v", name, a, want)
		}
	}
	names := []string{"rsync", "reaper", "borg", "a-very-long-program-name"}
	for _, p := range []proc{{exe: "rsync"}, {comm: "rsync"}, {exe: ".reaper-wrapped"}, {comm: "a-very-long-pro"}, {comm: ".a-very-long-pr"},
		{exe: "a-very-long-program-name"}, {comm: ".reaper-wrapped"}, {exe: "rsyncd", comm: "rsyncd"}, {}, {comm: "a-very-long"}} {
		if known, ours := p.known(names) != "", got.process(p) != 0; known != ours {
			t.Errorf("%+v: known %v, of interest %v", p, known, ours)
		}
	}
}

// event makes one event as the kernel does.
func event(mask uint64, name string) []byte {
	le := binary.NativeEndian
	record := make([]byte, handleAt+8, 64)
	record[0] = unix.FAN_EVENT_INFO_TYPE_DFID_NAME
	le.PutUint32(record[handleLen:], 8)
	record = append(record, name...)
	record = append(record, 0)
	for len(record)%4 != 0 {
		record = append(record, 0)
	}
	le.PutUint16(record[2:], uint16(len(record)))
	if name == "" {
		record = nil
	}
	out := make([]byte, metaLen)
	le.PutUint32(out, uint32(metaLen+len(record)))
	out[4] = unix.FANOTIFY_METADATA_VERSION
	le.PutUint16(out[6:], metaLen)
	le.PutUint64(out[8:], mask)
	return append(out, record...)
}

func TestParseExecs(t *testing.T) {
	whole := slices.Concat(event(unix.FAN_OPEN_EXEC, "reaper"), event(unix.FAN_Q_OVERFLOW, ""), event(unix.FAN_OPEN_EXEC, "ls"), event(unix.FAN_OPEN_EXEC, ""))
	var names []string
	n, lost, err := parseExecs(whole, func(b []byte) { names = append(names, string(b)) })
	if n != 4 || !lost || err != nil || !slices.Equal(names, []string{"reaper", "ls"}) {
		t.Errorf("%d, %v, %v, %q", n, lost, err, names)
	}
	newer := event(unix.FAN_OPEN_EXEC, "reaper")
	newer[4]++
	for what, data := range map[string][]byte{"half a header": whole[:10], "half an event": whole[:metaLen+4], "another version": newer} {
		if _, _, err := parseExecs(data, func([]byte) {}); !errors.Is(err, errExecs) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func FuzzParseExecs(f *testing.F) {
	f.Add(event(unix.FAN_OPEN_EXEC, "reaper"))
	f.Add(event(unix.FAN_Q_OVERFLOW, ""))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, _, err := parseExecs(data, func([]byte) {})
		if err == nil && (n == 0) != (len(data) == 0) {
			t.Errorf("%d events in %d bytes", n, len(data))
		}
	})
}

// bench is a folder of programs and a watcher of some of them.
type bench struct {
	t     *testing.T
	dir   string
	w     *Watcher
	hints chan fsm.Subject // the latest, or-ed
	mu    sync.Mutex
	end   func()
}

const (
	audio = fsm.AboutAudio
	jobs  = fsm.AboutJobs
)

// watched runs a watcher of "modewatch-tune" and "modewatch-work" in a folder of
// the test's own, and waits until it is armed.
func watched(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), hints: make(chan fsm.Subject, 1)}
	for _, name := range []string{"modewatch-tune", "modewatch-work", "other"} {
		b.program(name)
	}
	b.w = &Watcher{Root: "/proc", Dirs: []string{b.dir, filepath.Join(b.dir, "late")}, Hint: b.hint,
		Names: map[string]fsm.Subject{"modewatch-tune": audio, "modewatch-work": jobs}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.w.Watch(ctx) }()
	b.end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Watch: %v", err)
		}
	})
	select {
	case got := <-b.hints:
		if got != audio|jobs {
			t.Errorf("the first hint is about %v", got)
		}
	case err := <-done:
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOSYS) {
			t.Skipf("the kernel does not tell of programs here: %v", err)
		}
		t.Fatal(err)
	}
	t.Cleanup(b.end)
	return b
}

func (b *bench) hint(about fsm.Subject) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case old := <-b.hints:
		about |= old
	default:
	}
	b.hints <- about
}

// program puts cat into the folder under a name.
func (b *bench) program(name string) string {
	b.t.Helper()
	cat, err := exec.LookPath("cat")
	if err != nil {
		b.t.Fatal(err)
	}
	data, err := os.ReadFile(cat)
	if err != nil {
		b.t.Fatal(err)
	}
	path := filepath.Join(b.dir, name)
	if err := os.WriteFile(path+".new", data, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		b.t.Fatal(err)
	}
	return path
}

// start runs a program of the folder until the returned function ends it.
func (b *bench) start(name string) func() {
	b.t.Helper()
	cmd := exec.Command(filepath.Join(b.dir, name))
	in, err := cmd.StdinPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	if _, err := in.Write([]byte("x")); err != nil {
		b.t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil { // it is cat by now
		b.t.Fatal(err)
	}
	end := sync.OnceFunc(func() { in.Close(); cmd.Wait() })
	b.t.Cleanup(end)
	return end
}

// until waits for a hint about want that is followed by ok.
func (b *bench) until(want fsm.Subject, ok func() bool) {
	b.t.Helper()
	lost := time.After(time.Minute)
	for {
		select {
		case got := <-b.hints:
			if got&^want != 0 {
				b.t.Errorf("a hint about %v, want %v", got, want)
			}
			if got&want != 0 && ok() {
				return
			}
		case <-lost:
			b.t.Fatalf("no hint that shows it; %+v", b.w.Counts())
		}
	}
}

// running tells whether a fresh look finds a program.
func (b *bench) running(name string) func() bool {
	return func() bool {
		tb, err := scan(b.t.Context(), "/proc", wanted{names: true})
		if err != nil {
			b.t.Fatal(err)
		}
		defer tb.close()
		return slices.ContainsFunc(tb.procs, func(p proc) bool { return p.known([]string{name}) != "" })
	}
}

func not(f func() bool) func() bool { return func() bool { return !f() } }

// A look that is made at the last hint sees each start and each end.
func TestLiveStartAndEnd(t *testing.T) {
	if isolated(t) {
		startAndEnd(t)
	}
}

func startAndEnd(t *testing.T) {
	b := watched(t)
	tune, work := b.running("modewatch-tune"), b.running("modewatch-work")
	end := b.start("modewatch-tune")
	b.until(audio, tune)
	b.program("modewatch-work") // replaced, as by an upgrade
	b.start("other")()
	endWork := b.start("modewatch-work")
	b.until(audio|jobs, work)
	end()
	b.until(audio|jobs, not(tune))
	endWork()
	b.until(audio|jobs, not(work))
	if c := b.w.Counts(); c.Starts != 2 || c.Ends != 2 || c.Execs < 3 || c.Lost != 0 {
		t.Errorf("%+v", c)
	}
}

// What ran before is waited for too, folders that come later are found when asked
// to, and nothing stays open afterwards.
func TestLiveSeeded(t *testing.T) {
	if !isolated(t) {
		return
	}
	old := &bench{t: t, dir: t.TempDir()}
	old.program("modewatch-tune")
	end := old.start("modewatch-tune")
	before := held(t)
	b := watched(t)
	if now := held(t); now["fanotify"] != 1 || now["pidfd"] != before["pidfd"]+1 || now["eventpoll"] != before["eventpoll"]+1 {
		t.Errorf("open before %v, while it watches %v", before, now)
	}
	end()
	b.until(audio, not(b.running("modewatch-tune")))
	if err := os.Mkdir(filepath.Join(b.dir, "late"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.program("late/modewatch-tune")
	b.w.Again()
	b.until(audio|jobs, func() bool { return true })
	end = b.start("late/modewatch-tune")
	b.until(audio, b.running("modewatch-tune"))
	end()
	if c := b.w.Counts(); c.Starts != 1 {
		t.Errorf("%+v", c)
	}
	b.end()
	if now := held(t); now["fanotify"] != 0 || now["pidfd"] >= before["pidfd"] || now["eventpoll"] != before["eventpoll"] { // before, os/exec had one
		t.Errorf("open before %v, after %v", before, now)
	}
}

// held counts the open files of a kind.
func held(t *testing.T) map[string]int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, f := range files {
		to, _ := os.Readlink("/proc/self/fd/" + f.Name())
		for _, kind := range []string{"fanotify", "pidfd", "eventpoll"} {
			if strings.Contains(to, kind) {
				out[kind]++
			}
		}
	}
	return out
}

// withoutCapability is in the environment of a child that has lost CAP_SYS_ADMIN.
const withoutCapability = "MODEWATCH_WITHOUT_CAPABILITY"

// The daemon's sandbox leaves it no CAP_SYS_ADMIN: it is not needed.
func TestExecsNeedNoCapability(t *testing.T) {
	if os.Getenv(withoutCapability) == "" {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("setpriv", "--bounding-set=-sys_admin", self, "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), withoutCapability+"=1")
		out, err := cmd.CombinedOutput()
		if errors.Is(err, exec.ErrNotFound) || os.Getuid() != 0 {
			t.Skip("only root can drop a capability, with setpriv")
		}
		if err != nil || !strings.Contains(string(out), "--- PASS") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	if fd, err := unix.FanotifyInit(unix.FAN_CLOEXEC, unix.O_RDONLY); err == nil {
		unix.Close(fd)
		t.Error("the capability is still there")
	}
	b := &bench{t: t, dir: t.TempDir()}
	b.program("other")
	x, err := openExecs([]string{b.dir, "/no/such/folder"})
	if err != nil {
		t.Fatal(err)
	}
	defer x.close()
	b.start("other")()
	var names []string
	lost, err := x.drain(func(name []byte) { names = append(names, string(name)) })
	if lost || err != nil || !slices.Contains(names, "other") {
		t.Errorf("%q, %v, %v", names, lost, err)
	}
}

func TestExits(t *testing.T) {
	b := &bench{t: t, dir: t.TempDir()}
	b.program("other")
	one, two := exec.Command(filepath.Join(b.dir, "other")), exec.Command(filepath.Join(b.dir, "other"))
	var ends []io.Closer
	for _, cmd := range []*exec.Cmd{one, two} {
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, in)
	}
	told, done := make(chan int, 2), make(chan error, 1)
	go func() {
		done <- Exits(t.Context(), []int{one.Process.Pid, two.Process.Pid}, func(pid int) { told <- pid })
	}()
	ends[0].Close()
	if got := <-told; got != one.Process.Pid { // before it is reaped
		t.Errorf("%d ended, want %d", got, one.Process.Pid)
	}
	if err := one.Wait(); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan int, 2)
	left := make(chan error, 1)
	go func() {
		left <- Exits(ctx, []int{one.Process.Pid, two.Process.Pid}, func(pid int) { gone <- pid })
	}()
	if got := <-gone; got != one.Process.Pid { // it was reaped before
		t.Errorf("%d ended, want %d", got, one.Process.Pid)
	}
	cancel()
	if err := <-left; err != nil {
		t.Errorf("cancelled: %v", err)
	}
	ends[1].Close()
	if got, err := <-told, <-done; got != two.Process.Pid || err != nil {
		t.Errorf("%d ended, %v", got, err)
	}
	if err := two.Wait(); err != nil {
		t.Error(err)
	}
}

func TestExitsAreBounded(t *testing.T) {
	e := newExits(nil)
	for pid := range mostExits {
		e.fds[-pid] = -1
	}
	if there, err := e.add(os.Getpid()); !there || !errors.Is(err, errCrowded) {
		t.Errorf("%v, %v", there, err)
	}
}
