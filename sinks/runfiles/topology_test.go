package runfiles

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

func TestTopology(t *testing.T) {
	d := Dirs{Run: t.TempDir()}
	path := filepath.Join(d.Run, topologyName)
	if got, err := d.ReadTopology(); got != nil || err != nil {
		t.Errorf("%+v, %v where there is none", got, err)
	}
	// An older installation had a link there, to a file that was written by hand.
	elsewhere := filepath.Join(t.TempDir(), "by-hand.json")
	if err := os.WriteFile(elsewhere, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, path); err != nil {
		t.Fatal(err)
	}
	minor := 0
	doc := Topology{Planned: 2, Present: []TopologyGPU{{UUID: "GPU-a", PCI: "0000:01:00.0", Minor: &minor, Name: "One", Nodes: []string{"/dev/nvidia0"}}},
		Display: []string{"GPU-a"}, AI: map[fsm.Mode]TopologyAI{fsm.Compute: {Units: []string{"x.service"}, GPUs: []string{"GPU-a"}}}}
	if err := d.WriteTopology(doc); err != nil {
		t.Fatal(err)
	}
	got, err := d.ReadTopology()
	if doc.Schema = fsm.Schema; err != nil || !reflect.DeepEqual(*got, doc) {
		t.Errorf("%+v, %v; want %+v", got, err, doc)
	}
	if old, err := os.ReadFile(elsewhere); err != nil || string(old) != "{}" {
		t.Errorf("the file behind the link is %q, %v", old, err)
	}
	before := time.Unix(1000, 0)
	if err := os.Chtimes(path, before, before); err != nil {
		t.Fatal(err)
	}
	if err := d.WriteTopology(doc); err != nil || !modified(t, path).Equal(before) {
		t.Errorf("the same was written again at %v, %v", modified(t, path), err)
	}
	doc.Planned = 1
	if err := d.WriteTopology(doc); err != nil || modified(t, path).Equal(before) {
		t.Errorf("a change was not written: %v", err)
	}
	if err := (Dirs{Run: "/nonexistent"}).WriteTopology(doc); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func modified(t *testing.T, path string) time.Time {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.ModTime()
}
