package idle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// Terminals lists the pseudo-terminals in a directory, /dev/pts, and when each was
// last read from by what runs on it, which is when somebody typed: the kernel stamps
// the file's time of access, every eight seconds at most.
func Terminals(dir string) ([]fsm.Terminal, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot look at the terminals: %w", err)
	}
	var out []fsm.Terminal
	for _, e := range entries {
		fi, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) || e.Name() == "ptmx" {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("cannot look at a terminal: %w", err)
		}
		if st, ok := fi.Sys().(*syscall.Stat_t); ok {
			out = append(out, fsm.Terminal{Name: filepath.Join(dir, e.Name()), UID: int(st.Uid), Typed: time.Unix(st.Atim.Unix())})
		}
	}
	return out, nil
}
