package child

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// memory is a file without a name that cannot grow beyond limit bytes.
func memory(limit int64) (*os.File, error) {
	fd, err := unix.MemfdCreate("output", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("cannot make a file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), "output")
	if err := f.Truncate(limit); err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot make a file in memory: %w", err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_GROW|unix.F_SEAL_SHRINK); err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot bound a file in memory: %w", err)
	}
	return f, nil
}

// written returns what was written to a file, by the offset that it shares with
// whoever wrote.
func written(f *os.File) ([]byte, error) {
	size, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, fmt.Errorf("cannot read from memory: %w", err)
	}
	out := make([]byte, size)
	if _, err := f.ReadAt(out, 0); err != nil && size > 0 {
		return nil, fmt.Errorf("cannot read from memory: %w", err)
	}
	return out, nil
}
