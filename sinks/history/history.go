// Package history keeps the finished attempts in Lib/history.jsonl, one JSON
// document a line, oldest first (D19). The file survives reboots, is bounded,
// and a line that a crash has torn costs only that line.
package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sinks/runfiles"
)

const (
	// Name is the name of the file.
	Name = "history.jsonl"
	// DefaultMax is how many attempts are kept where nothing else is said.
	DefaultMax = 1000

	fileMode = 0o644
)

// Log is the history of one host. Append is for the holder of the lock alone,
// one call at a time; Read is for everybody.
type Log struct {
	path string
	max  int
	seen index
}

// index is what Append knows of the file, without its text.
type index struct {
	ids   map[string]bool
	lines int
	whole int64 // bytes up to the end of the last whole line
	size  int64
	inode uint64
}

// New returns the history in folder dir that keeps at least the newest max
// attempts (0: DefaultMax), and at most a quarter more. It touches no file.
func New(dir string, max int) *Log {
	if max <= 0 {
		max = DefaultMax
	}
	return &Log{path: filepath.Join(dir, Name), max: max}
}

// Append adds an attempt and returns when the disk has it. An attempt whose id
// is there already is not added again, so that a caller may repeat what failed.
func (l *Log) Append(a fsm.Attempt) error {
	a.Schema = fsm.Schema
	line, err := json.Marshal(a)
	if err != nil {
		return l.fail(err)
	}
	if err := l.append(a.ID, append(line, '\n')); err != nil {
		return l.fail(err)
	}
	if l.seen.lines > l.max+l.max/4 {
		return l.trim()
	}
	return nil
}

func (l *Log) fail(err error) error {
	return fmt.Errorf("cannot write %s: %w", l.path, runfiles.Cause(err))
}

// append writes one line at the end of the last whole line: a torn one there is
// overwritten. What cannot be written whole is taken back.
func (l *Log) append(id string, line []byte) error {
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, fileMode)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := l.learn(f); err != nil {
		return err
	}
	if l.seen.ids[id] {
		return nil
	}
	created := l.seen.size == 0
	if l.seen.size > l.seen.whole {
		if err := f.Truncate(l.seen.whole); err != nil {
			return err
		}
	}
	if _, err = f.WriteAt(line, l.seen.whole); err == nil {
		err = f.Sync()
	}
	if err != nil {
		whole := l.seen.whole
		l.seen = index{} // look again next time, whatever is left of the line
		return errors.Join(err, f.Truncate(whole))
	}
	l.seen.add(id, len(line))
	if created {
		return l.created(f)
	}
	return nil
}

// created gives a new file its mode and its folder entry for good.
func (l *Log) created(f *os.File) error {
	if err := f.Chmod(fileMode); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(l.path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (x *index) add(id string, size int) {
	x.ids[id] = true
	x.lines++
	x.whole += int64(size)
	x.size = x.whole
}

// learn reads the file's ids anew if it is not the file that we left.
func (l *Log) learn(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is not a regular file")
	}
	inode := info.Sys().(*syscall.Stat_t).Ino
	if l.seen.ids != nil && l.seen.inode == inode && l.seen.size == info.Size() {
		return nil
	}
	x := index{ids: map[string]bool{}, inode: inode}
	err = lines(f, func(n line) {
		if n.whole {
			var a struct{ ID string }
			_ = json.Unmarshal(n.text, &a) // a damaged line has no id, but has its place
			x.add(a.ID, n.size)
		}
	})
	x.size = info.Size()
	delete(x.ids, "")
	l.seen = x
	return err
}

// trim keeps the newest max lines.
func (l *Log) trim() error {
	f, err := os.Open(l.path)
	if err != nil {
		return l.fail(err)
	}
	defer func() { _ = f.Close() }()
	drop := l.seen.lines - l.max
	var kept bytes.Buffer
	err = lines(f, func(n line) {
		if drop--; drop < 0 && n.whole && n.size == len(n.text) {
			kept.Write(n.text)
		}
	})
	if err != nil {
		return l.fail(err)
	}
	l.seen = index{}
	return runfiles.Replace(l.path, kept.Bytes(), true)
}
