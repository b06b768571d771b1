package desired

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/modewatch/modewatch/fsm"
)

func TestSubmitIsNoWishOfItsOwn(t *testing.T) {
	r := watched(t)
	for range 50 {
		w := asked(fsm.Compute)
		r.must(r.Submit(w))
		r.says("compute\n")
		if got, err := r.Standing(); err != nil || got == nil || *got != w {
			t.Fatalf("standing %+v, %v; want %+v", got, err, w)
		}
		r.quiet()
	}
	if got := r.mode(r.path(wordFile)); got != "-rw-rw-r--" {
		t.Errorf("desired is %s", got)
	}
	r.write("compute\n") // the same word by somebody else is a wish
	r.wish(fsm.Compute)
}

// What stands survives a restart; what was handled never acts again; what was
// written meanwhile is a new wish, once.
func TestRestart(t *testing.T) {
	r := watched(t)
	w := asked(fsm.Compute)
	r.must(r.Submit(w))
	r.stop()

	again := newStore(r.Dir)
	if got, err := again.Standing(); err != nil || got == nil || *got != w {
		t.Fatalf("standing after a restart: %+v, %v; want %+v", got, err, w)
	}
	r = start(t, again)
	r.quiet()
	r.stop()

	r.write("compute\n") // the same word, while nobody watches
	r = start(t, newStore(r.Dir))
	mine := r.wish(fsm.Compute)
	r.quiet()
	r.stop()

	r = start(t, newStore(r.Dir))
	r.quiet()
	if got, err := r.Standing(); err != nil || got == nil || got.ID != mine.ID {
		t.Errorf("standing %+v, %v; want %s", got, err, mine.ID)
	}
	r.stop()

	r.write("junk\n")
	r = start(t, newStore(r.Dir))
	r.note("junk", "the wish stays compute")
	r.stop()
	start(t, newStore(r.Dir)).quiet() // a refused one is handled as well
}

// Before the first start of all: an empty file is none, a word is a wish.
func TestFirstStart(t *testing.T) {
	for text, want := range map[string]fsm.Mode{"": "", "compute\n": fsm.Compute} {
		s := newStore(tmpfs(t))
		if err := os.Mkdir(s.Dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(s.path(wordFile), []byte(text), 0o664); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Standing(); got != nil || err != nil {
			t.Errorf("standing %+v, %v before the first start", got, err)
		}
		r := start(t, s)
		if want != "" {
			r.wish(want)
		}
		r.wait("the spool", func() bool { _, err := os.Stat(r.path(spoolName)); return err == nil })
		r.quiet()
	}
}

// Death between the two files of a Submit: the old wish stands and does not act
// again; a word that came in between is new.
func TestDeathWithinSubmit(t *testing.T) {
	r := watched(t)
	old := asked(fsm.Compute)
	r.must(r.Submit(old))
	r.stop()
	next := asked(fsm.Desktop)
	r.must(r.keep(mark{Wish: &next, Key: key{Inode: 1, MTime: 1, Size: 8, Content: "desktop\n"}}, r.now))
	s := newStore(r.Dir)
	if got, err := s.Standing(); err != nil || got == nil || *got != old {
		t.Errorf("standing %+v, %v; want the old wish", got, err)
	}
	r = start(t, s)
	r.quiet()
	r.stop()
	r.must(r.keep(mark{Wish: &next, Key: key{Inode: 1, MTime: 1, Size: 8, Content: "desktop\n"}}, r.now))
	r.write("studio-local\n")
	start(t, newStore(r.Dir)).wish(fsm.StudioLocal)
}

// A wish.json that cannot be read: cannot tell what was handled, so nothing
// that is there acts, and the next write does.
func TestWishFileUnreadable(t *testing.T) {
	for _, text := range []string{"{", `{"schema":99}`, ""} {
		r := watched(t)
		r.must(r.Submit(asked(fsm.Compute)))
		r.stop()
		r.must(os.WriteFile(r.path(wishFile), []byte(text), 0o644))
		if _, err := newStore(r.Dir).Standing(); err == nil {
			t.Errorf("no error for wish.json %q", text)
		}
		r = start(t, newStore(r.Dir))
		r.note("cannot read the last wish", "taken as handled")
		r.quiet()
		r.write("desktop\n")
		r.wish(fsm.Desktop)
		r.stop()
	}
}

// Another process of ours submits: the watcher does not take it for a stranger.
func TestSubmitOfAnotherProcess(t *testing.T) {
	r := watched(t)
	other := newStore(r.Dir)
	for range 50 {
		r.must(other.Submit(asked(fsm.Compute)))
		r.quiet()
	}
	r.write("compute\n")
	r.wish(fsm.Compute)
}

func TestSubmitOverAnythingAndNothing(t *testing.T) {
	r := watched(t)
	r.must(os.Remove(r.path(wordFile)))
	r.must(os.Symlink("/etc/passwd", r.path(wordFile)))
	r.note("a symbolic link")
	r.must(r.Submit(asked(fsm.Compute)))
	r.says("compute\n")
	r.quiet()
	r.stop()
	r.must(os.RemoveAll(r.Dir))
	r.must(newStore(r.Dir).Submit(asked(fsm.Desktop)))
	r.says("desktop\n")
	if err := newStore(r.Dir).Submit(fsm.Wish{Mode: "gaming"}); err == nil {
		t.Error("a wish for no mode was kept")
	}
	r.says("desktop\n")
}

// A replacement that fails at its last step takes wish.json back.
func TestSubmitThatCannotReplace(t *testing.T) {
	r := watched(t)
	old := asked(fsm.Compute)
	r.must(r.Submit(old))
	r.stop()
	r.must(os.Remove(r.path(wordFile)))
	r.must(os.Mkdir(r.path(wordFile), 0o755)) // nothing can be renamed over it
	if err := r.Submit(asked(fsm.Desktop)); err == nil {
		t.Fatal("Submit replaced a directory")
	}
	if got, err := newStore(r.Dir).Standing(); err != nil || got == nil || *got != old {
		t.Errorf("standing %+v, %v; want the old wish", got, err)
	}
}

// A full or read-only disk: an error, and nothing has changed.
func TestSubmitOnFullOrReadOnlyDisk(t *testing.T) {
	dir := filepath.Dir(tmpfs(t))
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k,mode=755"); err != nil {
		t.Skip("only root can mount a small disk: ", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	s := newStore(filepath.Join(dir, "mode-controller"))
	old := asked(fsm.Compute)
	if err := s.Submit(old); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, s.Dir)
	check := func(why string) {
		err := s.Submit(asked(fsm.Desktop))
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("Submit: %v, want %s", err, why)
		}
		if after := snapshot(t, s.Dir); after != before {
			t.Errorf("%s: the folder changed from\n%sto\n%s", why, before, after)
		}
		if got, err := newStore(s.Dir).Standing(); err != nil || got == nil || *got != old {
			t.Errorf("%s: standing %+v, %v; want the old wish", why, got, err)
		}
	}
	filler, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 4096); err == nil; {
		_, err = filler.Write(block)
	}
	filler.Close()
	check("no space left on device")
	// One page is enough for the new desired and not for wish.json.
	if err := os.Truncate(filler.Name(), size(t, filler.Name())-4096); err != nil {
		t.Fatal(err)
	}
	check("no space left on device")
	s.forget() // a removed file that is open keeps the disk writable
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	check("read-only file system")
}

func size(t *testing.T, name string) int64 {
	t.Helper()
	fi, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return fi.Size()
}

// snapshot is every file of dir with inode, mode and content.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := ""
	for _, e := range entries {
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(dir, e.Name()), &st); err != nil {
			t.Fatal(err)
		}
		data, _ := os.ReadFile(filepath.Join(dir, e.Name()))
		line, _ := json.Marshal([]any{e.Name(), st.Ino, st.Mode, st.Mtim.Nano(), string(data)})
		out += string(line) + "\n"
	}
	return out
}

func TestWord(t *testing.T) {
	s := newStore(tmpfs(t))
	if _, err := s.Word(); err == nil {
		t.Error("no error for a missing file")
	}
	r := start(t, s)
	r.wait("desired", func() bool { m, err := r.Word(); return m == "" && err == nil })
	r.write("compute\n")
	if m, err := r.Word(); m != fsm.Compute || err != nil {
		t.Errorf("Word() = %q, %v", m, err)
	}
	r.write("nonsense\n")
	if m, err := r.Word(); err == nil || !strings.Contains(err.Error(), `"nonsense" is no mode`) {
		t.Errorf("Word() = %q, %v", m, err)
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]fsm.Mode{
		"compute": fsm.Compute, "compute\n": fsm.Compute, " desktop \r\n": fsm.Desktop, "studio-local\n\n": fsm.StudioLocal,
		"compute\nocal\n": fsm.Compute, "desktop\nocal\n": fsm.Desktop, "computelocal": fsm.Compute, "desktoplocal\n": fsm.Desktop,
		"": "", "Compute": "", "compute desktop": "", "compute\ndesktop\n": "", "ocal\n": "", "compute\nlocal\n": "", "studio": "",
	} {
		got, _, ok := parse(key{Content: text, Size: int64(len(text))})
		if ok != (want != "") || ok && got != want {
			t.Errorf("parse(%q) = %q, %v; want %q", text, got, ok, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("compute\n")
	f.Add("studio-local\x00")
	f.Fuzz(func(t *testing.T, text string) {
		if m, _, ok := parse(key{Content: text, Size: int64(len(text))}); ok {
			if _, known := fsm.ParseMode(string(m)); !known || !strings.Contains(text, string(m)) {
				t.Errorf("parse(%q) = %q", text, m)
			}
		}
	})
}
