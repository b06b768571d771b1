// Package siteguards runs the executables of guards.d: a site's own guards. They
// can only add refusals (D14). Each gets the wanted mode in MODEWATCH_TO, exits
// 0 to pass, 10-19 to block and anything else when it cannot tell, and says why
// in its first line of output, plain or as JSON {"reason": "..."}.
package siteguards

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// CannotTell is the code of a guard that could not be run or did not answer.
const CannotTell = 20

// Source runs the guards in Dir, each for at most Timeout.
type Source struct {
	Dir     string
	Timeout time.Duration
	Owner   int // uid that must own the folder and each guard; 0 but in tests
}

// New returns the source for dir.
func New(dir string, timeout time.Duration) *Source { return &Source{Dir: dir, Timeout: timeout} }

// Run asks all guards, side by side, about going to the mode to; a folder that
// does not exist has none. A guard that must not be trusted is not run and
// cannot tell, by name; an untrusted folder is an error.
func (s *Source) Run(ctx context.Context, to fsm.Mode) ([]fsm.SiteVerdict, error) {
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	out := make([]fsm.SiteVerdict, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() { out[i] = s.ask(ctx, name, to) })
	}
	wg.Wait()
	return out, nil
}

// names lists the guards in order; names with a leading dot are left out.
func (s *Source) names() ([]string, error) {
	fi, err := os.Stat(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot look for site guards: %w", err)
	}
	if why := s.distrust(fi); why != "" {
		return nil, fmt.Errorf("cannot trust the site guards in %s: it %s", s.Dir, why)
	}
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		return nil, fmt.Errorf("cannot look for site guards: %w", err)
	}
	var out []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			out = append(out, e.Name())
		}
	}
	return out, nil
}

// distrust says why a file or folder is not to be trusted, "" if it is.
func (s *Source) distrust(fi fs.FileInfo) string {
	st, ok := fi.Sys().(*syscall.Stat_t)
	switch {
	case !ok || int(st.Uid) != s.Owner:
		return fmt.Sprintf("is not owned by uid %d", s.Owner)
	case fi.Mode().Perm()&0o022 != 0:
		return fmt.Sprintf("may be written by others (mode %04o)", fi.Mode().Perm())
	}
	return ""
}

// ask checks one guard and runs it. Links are followed: a configuration may
// live in a read-only store.
func (s *Source) ask(ctx context.Context, name string, to fsm.Mode) fsm.SiteVerdict {
	path := filepath.Join(s.Dir, name)
	cannot := func(why string) fsm.SiteVerdict {
		return fsm.SiteVerdict{Name: name, Code: CannotTell, Reason: "cannot run the site guard " + path + ": " + why}
	}
	fi, err := os.Stat(path)
	switch {
	case err != nil:
		return cannot(err.Error())
	case !fi.Mode().IsRegular():
		return cannot("it is not a regular file")
	case fi.Mode().Perm()&0o111 == 0:
		return cannot("it is not executable")
	}
	if why := s.distrust(fi); why != "" {
		return cannot("it " + why)
	}
	code, said, err := s.execute(ctx, path, to)
	if err != nil {
		return cannot(err.Error())
	}
	return fsm.SiteVerdict{Name: name, Code: code, Reason: said}
}
