package runfiles

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/modewatch/modewatch/fsm"
)

func TestFullDiskLeavesTheOldFiles(t *testing.T) {
	d := dirs(t)
	mount(t, d.Run, "size=64k")
	mount(t, d.Lib, "size=64k")
	old, first := snapshot(1), intent()
	if err := errors.Join(d.WriteState(old), d.WriteIntent(first)); err != nil {
		t.Fatal(err)
	}
	freeRun, freeLib := fill(t, d.Run), fill(t, d.Lib)
	if err := d.WriteState(snapshot(2)); !errors.Is(err, syscall.ENOSPC) || err.Error() != "cannot write "+d.run(stateName)+": no space left on device" {
		t.Errorf("state: %v", err)
	}
	next := intent()
	next.Step = 0
	if err := d.WriteIntent(next); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("intent: %v", err)
	}
	if s, err := d.ReadState(); err != nil || !reflect.DeepEqual(s, old) {
		t.Errorf("state is %+v, %v", s, err)
	}
	if i, err := d.ReadIntent(); err != nil || !reflect.DeepEqual(*i, first) {
		t.Errorf("intent is %+v, %v", i, err)
	}
	wantFiles(t, d.Run, "ballast", stateName)
	wantFiles(t, d.Lib, "ballast", intentName)
	if err := d.ClearIntent(); err != nil {
		t.Errorf("clearing needs no room: %v", err)
	}
	if _, err := d.Lock("x", "boot", at); !errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), holderName+"1") {
		t.Errorf("lock without room to tell who has it: %v", err)
	}
	if alive(t, d) {
		t.Error("a failed lock is held")
	}
	freeRun()
	freeLib()
	if err := errors.Join(d.WriteState(snapshot(2)), d.WriteIntent(next)); err != nil {
		t.Error(err)
	}
}

func TestReadOnlyDisk(t *testing.T) {
	d := dirs(t)
	mount(t, d.Lib, "size=64k")
	if err := d.WriteIntent(intent()); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", d.Lib, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if err := d.WriteIntent(intent()); !errors.Is(err, syscall.EROFS) {
		t.Errorf("write: %v", err)
	}
	if err := d.ClearIntent(); !errors.Is(err, syscall.EROFS) {
		t.Errorf("clear: %v", err)
	}
	if i, err := d.ReadIntent(); err != nil || i == nil {
		t.Errorf("read: %v, %v", i, err)
	}
	wantFiles(t, d.Lib, intentName)
}

func TestFolderWithoutTheRight(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("playing another user needs root")
	}
	root, err := os.MkdirTemp("", "modewatch-runfiles")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	d := Dirs{Run: filepath.Join(root, "run"), Lib: filepath.Join(root, "lib")}
	self := filepath.Join(root, "self")
	program, err := os.ReadFile(os.Args[0])
	if err == nil {
		err = errors.Join(os.Chmod(root, 0o755), os.Mkdir(d.Run, 0o755), os.Mkdir(d.Lib, 0o755), os.WriteFile(self, program, 0o755))
	}
	if err == nil {
		err = d.WriteState(snapshot(1))
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := child(t, d, "write")
	cmd.Path, cmd.Dir = self, root
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.Output()
	if want := "cannot write " + d.run(stateName) + ": permission denied\n"; err != nil || string(out) != want {
		t.Errorf("nobody is told %q, %v", out, err)
	}
	if s, err := d.ReadState(); err != nil || s.PID != 7 {
		t.Errorf("state is %+v, %v", s, err)
	}
	wantFiles(t, d.Run, stateName)
}

func TestDamagedIntentIsMovedAside(t *testing.T) {
	cases := map[string]string{
		"no id":       `{"schema":1,"boot":"b","step":0}`,
		"beyond":      `{"schema":1,"boot":"b","id":"a","step":4,"plan":{"steps":[]}}`,
		"before":      `{"schema":1,"boot":"b","id":"a","step":-1}`,
		"wrong shape": `{"schema":1,"boot":"b","id":"a","plan":[]}`,
	}
	for name, c := range damagedFiles {
		cases[name] = c.text
	}
	for name, text := range cases {
		t.Run(name, func(t *testing.T) {
			d := dirs(t)
			if err := os.WriteFile(d.lib(intentName), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			in, err := d.ReadIntent()
			if in != nil || err == nil {
				t.Fatalf("%+v, %v", in, err)
			}
			for _, part := range []string{d.lib(intentName), d.lib(badIntentName), "modewatch status"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error does not name %s: %v", part, err)
				}
			}
			kept, _ := os.ReadFile(d.lib(badIntentName))
			if string(kept) != text {
				t.Error("what was damaged is not kept")
			}
			if in, err := d.ReadIntent(); in != nil || err != nil {
				t.Errorf("the second reading: %v, %v", in, err)
			}
		})
	}
}

func TestIntentThatCannotBeResumedIsNotWritten(t *testing.T) {
	d := dirs(t)
	for _, change := range []func(*fsm.Intent){
		func(i *fsm.Intent) { i.ID = "" },
		func(i *fsm.Intent) { i.Boot = "" },
		func(i *fsm.Intent) { i.Step = 2 },
	} {
		i := intent()
		change(&i)
		if err := d.WriteIntent(i); err == nil {
			t.Errorf("%+v was written", i)
		}
	}
	wantFiles(t, d.Lib)
}

func FuzzReaders(f *testing.F) {
	for _, c := range damagedFiles {
		if len(c.text) < 1000 {
			f.Add([]byte(c.text))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var s fsm.Snapshot
		var a fsm.Attempt
		var g Guards
		var i fsm.Intent
		for _, v := range []any{&s, &a, &g, &i} {
			if err := parse(data, v); err != nil && !errors.As(err, &damaged{}) {
				t.Errorf("%T: %v is no damage", v, err)
			}
		}
		if parse(data, &i) == nil && checkIntent(i) == nil {
			_ = i.Plan.Undo(i.Step) // what a reader does with it first
		}
		if parse(data, &s) == nil && s.Schema != fsm.Schema {
			t.Errorf("schema %d was taken", s.Schema)
		}
	})
}

func BenchmarkWriteState(b *testing.B) {
	d := Dirs{Run: b.TempDir()}
	s := snapshot(500)
	for b.Loop() {
		if err := d.WriteState(s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWriteIntent(b *testing.B) {
	d := Dirs{Lib: b.TempDir()}
	i := intent()
	i.Begun = time.Now()
	for b.Loop() {
		if err := d.WriteIntent(i); err != nil {
			b.Fatal(err)
		}
	}
}
