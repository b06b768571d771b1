// Package siteguards runs the site's own guards: executables of one directory,
// each of which may only refuse (D14). Exit code 0 passes, 10 to 19 blocks, and
// everything else, a hang included, cannot tell. The first line of output is
// the reason.
package siteguards

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// maxOutput bounds what is read of a guard's answer.
const maxOutput = 4 << 10

// Site is the directory of guards. Use New.
type Site struct {
	dir   string
	limit time.Duration
	owner int // uid that must own the guards; 0 but in tests
}

// New returns the guards of dir, each of which may take limit.
func New(dir string, limit time.Duration) *Site { return &Site{dir: dir, limit: limit} }

// Judge runs all guards side by side for a wish of mode to; verdicts come in the
// order of the names. No directory means no guards. A file that is not fit to be
// run as root is an error: it may be somebody's refusal.
func (s *Site) Judge(ctx context.Context, to fsm.Mode) ([]fsm.SiteVerdict, error) {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list the site guards: %w", err)
	}
	var paths []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || strings.HasSuffix(e.Name(), "~") {
			continue
		}
		path := filepath.Join(s.dir, e.Name())
		if err := s.fit(path); err != nil {
			return nil, fmt.Errorf("cannot run the site guard %s: %w", path, err)
		}
		paths = append(paths, path)
	}
	out := make([]fsm.SiteVerdict, len(paths))
	var wg sync.WaitGroup
	for i, p := range paths {
		wg.Go(func() { out[i] = s.run(ctx, p, to) })
	}
	wg.Wait()
	return out, nil
}

// fit tells by a nil that a file may be run: regular, executable, and writable
// by its owner alone.
func (s *Site) fit(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	switch mode := info.Mode(); {
	case !mode.IsRegular():
		return errors.New("it is not a regular file")
	case mode&0o111 == 0:
		return errors.New("it is not executable: chmod 755 it, or move it away")
	case mode&0o022 != 0:
		return errors.New("others than its owner may write it: chmod go-w it")
	case !ok || int(st.Uid) != s.owner:
		return errors.New("it does not belong to root")
	}
	return nil
}

// run runs one guard in a process group of its own, which is killed at the
// limit, with next to nothing in its environment.
func (s *Site) run(ctx context.Context, path string, to fsm.Mode) fsm.SiteVerdict {
	v := fsm.SiteVerdict{Name: filepath.Base(path), Code: 20}
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	var out limited
	cmd := exec.CommandContext(ctx, path)
	cmd.Env = []string{"PATH=/run/current-system/sw/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C", "MODEWATCH_TO=" + string(to)}
	cmd.Dir, cmd.Stdout = "/", &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	v.Reason = out.reason()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		v.Reason = fmt.Sprintf("it did not end within %s", s.limit)
	case err == nil:
		v.Code = 0
	case errors.As(err, &exit) && exit.Exited():
		v.Code = exit.ExitCode()
	default:
		v.Reason = "it could not be run: " + err.Error()
	}
	if v.Reason == "" && v.Code != 0 {
		v.Reason = fmt.Sprintf("it ended with exit code %d and gave no reason", v.Code)
	}
	return v
}

// limited keeps the beginning of what is written to it.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	l.Buffer.Write(p[:min(len(p), maxOutput-l.Len())])
	return len(p), nil
}

// reason is the member "reason" of a JSON object, or the first line.
func (l *limited) reason() string {
	var doc struct{ Reason string }
	if json.Unmarshal(l.Bytes(), &doc) == nil && doc.Reason != "" {
		return printable(doc.Reason)
	}
	line, _, _ := strings.Cut(strings.TrimSpace(l.String()), "\n")
	return printable(line)
}

// printable keeps an answer from doing more to a terminal than being read.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
