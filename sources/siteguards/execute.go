package siteguards

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

const (
	// maxSaid is how much of a guard's output is read.
	maxSaid = 4096
	// linger is how long what a guard left running may hold its output open.
	linger = 200 * time.Millisecond
	path   = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin"
)

// execute runs one guard in a process group of its own, which is killed at the
// deadline. An error means that there is no answer.
func (s *Source) execute(ctx context.Context, file string, to fsm.Mode) (code int, said string, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	var out, errs head
	cmd := exec.CommandContext(ctx, file)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + path, "MODEWATCH_TO=" + string(to), "LANG=C"}
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = linger
	err = cmd.Run()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it left running
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it has answered; what it left running held its output
	}
	said = reason(out.text)
	if said == "" {
		said = reason(errs.text)
	}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil && err != nil:
		return 0, "", fmt.Errorf("it did not answer within %v", s.Timeout)
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode(), said, nil
	case err != nil:
		return 0, "", err
	}
	return 0, said, nil
}

// head keeps the first bytes of what is written to it.
type head struct{ text []byte }

func (h *head) Write(p []byte) (int, error) {
	h.text = append(h.text, p[:min(len(p), maxSaid-len(h.text))]...)
	return len(p), nil
}

// reason is the first line of a guard's output, or the reason in its JSON.
func reason(out []byte) string {
	var doc struct {
		Reason string `json:"reason"`
	}
	if json.Unmarshal(out, &doc) == nil && doc.Reason != "" {
		return clean(doc.Reason)
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if json.Unmarshal([]byte(line), &doc) == nil && doc.Reason != "" {
		return clean(doc.Reason)
	}
	return clean(line)
}

// clean makes text safe to print: one line, no control characters.
func clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return ' '
		}
		return r
	}, s))
}
