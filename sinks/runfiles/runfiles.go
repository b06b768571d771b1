// Package runfiles keeps the small files by which other processes see the
// controller (specification section 21, D19) and the write-ahead record by which
// its successor does (D6, D11). Every file is replaced whole: a reader sees the
// old text or the new one, never a part, and a write that fails leaves the old
// text and nothing else behind.
package runfiles

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"github.com/modewatch/modewatch/fsm"
)

// The names of the files (section 21.1 and D19).
const (
	lockName       = "lock"
	holderName     = "reconcile.pid"
	stateName      = "state.json"
	currentName    = "current"
	transitionName = "last-transition.json"
	guardsName     = "last-guards.json"
	intentName     = "intent.json"
	badIntentName  = "intent.json.bad"
)

const (
	fileMode = 0o644
	dirMode  = 0o755
	// readLimit bounds what is read of a file, in bytes; the largest honest
	// one, an attempt with a long stop set, stays far below.
	readLimit = 4 << 20
)

// Dirs is where the files are: Run is lost at reboot, Lib is not.
type Dirs struct{ Run, Lib string }

func (d Dirs) run(name string) string { return filepath.Join(d.Run, name) }
func (d Dirs) lib(name string) string { return filepath.Join(d.Lib, name) }

// Replace puts data at path in one stroke, readable by all whatever the umask.
// If durable is true it returns only after the disk has it. An error leaves
// what was there before and no temporary file.
func Replace(path string, data []byte, durable bool) error {
	if err := replace(path, data); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, Cause(err))
	}
	if !durable {
		return nil
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("cannot sync the folder of %s: %w", path, Cause(err))
	}
	return nil
}

func replace(path string, data []byte) error {
	f, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithStaticPermissions(fileMode))
	if err != nil {
		return err
	}
	defer func() { _ = f.Cleanup() }() // removes it unless it has replaced path
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Cause strips the operation and the name of a temporary file from an error,
// so that the same trouble always reads the same.
func Cause(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}

func writeJSON(path string, v any, durable bool) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return Replace(path, append(data, '\n'), durable)
}

// readJSON reads a document into v and checks its schema first. A missing file
// is an error for which errors.Is(err, fs.ErrNotExist) holds; a damaged one is a
// damaged error.
func readJSON(path string, v any) error {
	data, err := readFile(path)
	if err == nil {
		err = parse(data, v)
	}
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", path, Cause(err))
	}
	return nil
}

// damaged is the error of a file that is there and can be opened, but does not
// hold what it should.
type damaged struct{ cause string }

func (e damaged) Error() string { return e.cause }

func parse(data []byte, v any) error {
	var head struct {
		Schema *int `json:"schema"`
	}
	err := json.Unmarshal(data, &head)
	switch {
	case len(data) == 0:
		return damaged{"it is empty"}
	case err != nil:
		return damaged{"it is not valid JSON: " + err.Error()}
	case head.Schema == nil || *head.Schema < 1:
		return damaged{"it has no schema"}
	case *head.Schema > fsm.Schema:
		return damaged{fmt.Sprintf("it has schema %d, but this modewatch knows none above %d: a newer modewatch wrote it", *head.Schema, fsm.Schema)}
	}
	if err := json.Unmarshal(data, v); err != nil {
		return damaged{"it does not hold what it should: " + err.Error()}
	}
	return nil
}

// readFile reads a regular file of bounded size. It follows no link, and a pipe
// in its place does not block it.
func readFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, damaged{"it is a symbolic link"}
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, damaged{"it is not a regular file"}
	}
	data, err := io.ReadAll(io.LimitReader(f, readLimit+1))
	if len(data) > readLimit {
		return nil, damaged{fmt.Sprintf("it is larger than %d bytes", readLimit)}
	}
	return data, err
}
