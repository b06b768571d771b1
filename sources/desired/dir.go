package desired

import (
	"fmt"
	"os"
	"syscall"
)

// prepare makes what is missing of the run directory, the spool, the holds and
// desired, and puts their owner and mode right (D19).
func (s *Store) prepare() error {
	if err := os.MkdirAll(s.Dir, dirMode); err != nil {
		return fmt.Errorf("cannot make %s: %w", s.Dir, err)
	}
	// A group of its own would do no harm; a writable directory would.
	if err := s.claim(s.Dir, dirMode, -1); err != nil {
		return err
	}
	for name, mode := range map[string]os.FileMode{spoolName: spoolMode, holdsName: holdsMode} {
		dir := s.path(name)
		if err := os.Mkdir(dir, mode); err != nil && !os.IsExist(err) {
			return fmt.Errorf("cannot make %s: %w", dir, err)
		}
		if err := s.claim(dir, mode|os.ModeSticky, s.Group); err != nil {
			return err
		}
	}
	if err := s.restore(); err != nil {
		return fmt.Errorf("cannot make %s: %w", s.path(wordFile), err)
	}
	return nil
}

// claim gives a directory its mode and group, if it is ours to trust.
func (s *Store) claim(dir string, mode os.FileMode, group int) error {
	fi, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("cannot look at %s: %w", dir, err)
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	switch {
	case !fi.IsDir():
		return fmt.Errorf("cannot use %s: it is not a directory", dir)
	case !ok || int(st.Uid) != s.Owner:
		return fmt.Errorf("cannot use %s: it is not owned by uid %d", dir, s.Owner)
	}
	if group >= 0 && int(st.Gid) != group {
		if err := os.Lchown(dir, s.Owner, group); err != nil {
			return fmt.Errorf("cannot give %s to group %s: %w", dir, GroupName, err)
		}
	}
	if fi.Mode()&(os.ModePerm|os.ModeSticky) == mode {
		return nil
	}
	if err := os.Chmod(dir, mode); err != nil {
		return fmt.Errorf("cannot set the mode of %s: %w", dir, err)
	}
	return nil
}
