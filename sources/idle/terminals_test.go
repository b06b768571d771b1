package idle

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestTerminals(t *testing.T) {
	dir := t.TempDir()
	typed := time.Unix(1e9, 0)
	for _, name := range []string{"0", "ptmx"} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, typed, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Terminals(dir)
	if err != nil || len(got) != 1 || got[0].Name != dir+"/0" || got[0].UID != os.Getuid() || !got[0].Typed.Equal(typed) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := Terminals(dir + "/none"); len(got) != 0 || err != nil {
		t.Errorf("without any: %+v, %v", got, err)
	}
	if _, err := Terminals(dir + "/0"); err == nil {
		t.Error("what is no directory is read")
	}
}
