package idle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// folder tells of changes in a directory, or in the nearest one above it while it
// does not exist. It is inotify itself: a watch of fsnotify also tells of every
// write to a node, and a game writes to a gamepad that rumbles many times in a
// second.
type folder struct {
	fd int
	wd int
}

const (
	aboutDir   = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR
	aboutNodes = aboutDir | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_ATTRIB
)

func newFolder() (*folder, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("cannot make an inotify instance: %w", err)
	}
	return &folder{fd: fd, wd: -1}, nil
}

func (f *folder) close() { unix.Close(f.fd) }

// follow watches dir, anew where it was made again. What happens from now on is
// told; a directory that came while its parent was taken is found here.
func (f *folder) follow(dir string) error {
	for range 8 {
		at, err := nearest(dir)
		if err != nil {
			return err
		}
		if err := f.watch(at, dir); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("cannot watch %s: %w", at, err)
		}
		if again, err := nearest(dir); err == nil && again == at {
			return nil
		}
	}
	return fmt.Errorf("cannot watch %s: it comes and goes", dir)
}

func (f *folder) watch(at, dir string) error {
	mask := uint32(aboutDir)
	if at == dir {
		mask = aboutNodes
	}
	wd, err := unix.InotifyAddWatch(f.fd, at, mask)
	if err != nil {
		return err
	}
	if f.wd >= 0 && f.wd != wd {
		_, _ = unix.InotifyRmWatch(f.fd, uint32(f.wd)) // its directory may be gone
	}
	f.wd = wd
	return nil
}

// nearest is dir if it exists, else the nearest directory above it that does.
func nearest(dir string) (string, error) {
	for {
		_, err := os.Stat(dir)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return dir, err
		}
		dir = filepath.Dir(dir)
	}
}
