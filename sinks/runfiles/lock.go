package runfiles

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/modewatch/modewatch/fsm"
)

// Holder is who holds the lock, as told in reconcile.pid.
type Holder struct {
	Schema int       `json:"schema"`
	PID    int       `json:"pid"`
	Boot   string    `json:"boot"` // boot id
	Since  time.Time `json:"since"`
	Who    string    `json:"who"` // the unit, or what was run
}

// Held is the error of Lock when somebody else has it (exit 43, D6). PID is 0
// where the holder is not known.
type Held struct {
	PID   int
	Who   string
	Since time.Time
}

func (h Held) Error() string {
	if h.PID == 0 {
		return "the lock is held by another process"
	}
	return fmt.Sprintf("the lock is held by %s (PID %d) since %s", h.Who, h.PID, h.Since.Local().Format(time.DateTime))
}

// ExitCode returns the exit code that D6 gives to a held lock.
func (h Held) ExitCode() int { return fsm.ExitLocked }

// Lock is the right to move this host. It ends with Release, or with the
// process.
type Lock struct {
	file *os.File
	dirs Dirs
}

// A reader's look (Alive) holds the lock shared for microseconds; Lock outlasts
// many of them before it believes that somebody really has it.
const (
	lockTries = 50
	lockPause = 2 * time.Millisecond
)

// Lock takes the lock, makes the folders if they are missing and tells in
// reconcile.pid who has it. It does not wait for another holder: that is the
// error Held.
func (d Dirs) Lock(who, boot string, now time.Time) (*Lock, error) {
	for _, dir := range []string{d.Run, d.Lib} {
		if err := os.MkdirAll(dir, dirMode); err != nil {
			return nil, fmt.Errorf("cannot make %s: %w", dir, Cause(err))
		}
	}
	f, err := openLock(d.run(lockName))
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", d.run(lockName), Cause(err))
	}
	if err := flockPatiently(f); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, d.held()
		}
		return nil, fmt.Errorf("cannot lock %s: %w", d.run(lockName), err)
	}
	l := &Lock{file: f, dirs: d}
	d.sweep()
	h := Holder{Schema: fsm.Schema, PID: os.Getpid(), Boot: boot, Since: now, Who: who}
	if err := writeJSON(d.run(holderName), h, false); err != nil {
		_ = l.Release()
		return nil, err
	}
	return l, nil
}

func openLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, fileMode)
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(fileMode); err != nil { // whatever the umask was
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func flockPatiently(f *os.File) error {
	for try := 1; ; try++ {
		err := flock(f, unix.LOCK_EX)
		if !errors.Is(err, unix.EWOULDBLOCK) || try == lockTries {
			return err
		}
		time.Sleep(lockPause)
	}
}

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// Release gives the lock up. It may be called once.
func (l *Lock) Release() error {
	err := os.Remove(l.dirs.run(holderName))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, l.file.Close())
}

// Alive tells whether somebody holds the lock, that is whether what the files
// say is kept up to date. It never waits and keeps nobody from the lock.
func (d Dirs) Alive() (bool, error) {
	f, err := os.OpenFile(d.run(lockName), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot open %s: %w", d.run(lockName), Cause(err))
	}
	defer func() { _ = f.Close() }() // which also ends the shared lock
	err = flock(f, unix.LOCK_SH)
	if err != nil && !errors.Is(err, unix.EWOULDBLOCK) {
		return false, fmt.Errorf("cannot look at %s: %w", d.run(lockName), err)
	}
	return err != nil, nil
}

// held tells who has the lock. What reconcile.pid says counts only if that
// process is still there.
func (d Dirs) held() Held {
	var h Holder
	if readJSON(d.run(holderName), &h) != nil || h.PID < 1 {
		return Held{}
	}
	if _, err := os.Stat(filepath.Join("/proc", strconv.Itoa(h.PID))); err != nil {
		return Held{}
	}
	return Held{PID: h.PID, Who: h.Who, Since: h.Since}
}

// sweep removes the temporary files that a killed holder has left. Only the
// holder of the lock may call it.
func (d Dirs) sweep() {
	for _, name := range []string{holderName, stateName, currentName, transitionName, guardsName} {
		sweep(d.Run, name)
	}
	sweep(d.Lib, intentName)
}

func sweep(dir, name string) {
	prefix := filepath.Join(dir, "."+name)
	left, _ := filepath.Glob(prefix + "[0-9]*")
	for _, path := range left {
		if _, err := strconv.ParseUint(path[len(prefix):], 10, 64); err == nil {
			_ = os.Remove(path)
		}
	}
}

// BootID returns the id of the running boot; root is "" or "/" but in tests.
func BootID(root string) (string, error) {
	path := filepath.Join("/", root, "proc/sys/kernel/random/boot_id")
	data, err := readFile(path)
	if err != nil {
		return "", fmt.Errorf("cannot read the boot id from %s: %w", path, Cause(err))
	}
	id := strings.TrimSpace(string(data))
	if len(id) != 36 || strings.ContainsAny(id, " \n") {
		return "", fmt.Errorf("cannot read the boot id from %s: %q is none", path, id)
	}
	return id, nil
}
