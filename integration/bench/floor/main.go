// Command floor is what the bench holds the daemon against: it makes the bare
// calls of a plan on systemd and logind, in the plan's order, and waits until each
// has taken effect. It judges nothing, observes nothing besides, keeps no record.
//
//	floor transitions        a job a line on stdin, {"to": MODE, "ops": [...]}; for
//	                         each a line on stdout, the nanoseconds of each operation
//	floor watch FILE         for each write to FILE the time at which it was read,
//	                         in nanoseconds since 1970
//
// Its connections stand before the first job, as the daemon's do.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/config"
)

// lull comes before each operation and does not count: about what a look of the
// daemon takes. A job that systemd is asked for right at the end of another takes
// half the time that it takes a moment later.
const lull = 2 * time.Millisecond

// jobTime bounds one job.
const jobTime = time.Minute

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "transitions":
		return transitions(os.Stdin, os.Stdout)
	case len(args) == 2 && args[0] == "watch":
		return watch(args[1], os.Stdout)
	}
	return errors.New("usage: floor transitions | floor watch FILE")
}

// asked is one job.
type asked struct {
	To  fsm.Mode `json:"to"`
	Ops []fsm.Op `json:"ops"`
}

// transitions does the jobs of in until it ends. It says "ready" first.
func transitions(in io.Reader, out io.Writer) error {
	cfg, err := config.Load(config.Path)
	if err != nil {
		return err
	}
	h, err := newHost(cfg.Policy)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "ready")
	for lines := json.NewDecoder(in); ; {
		var job asked
		if err := lines.Decode(&job); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("cannot read the job: %w", err)
		}
		took, err := h.transition(job.Ops)
		if err != nil {
			return fmt.Errorf("cannot move to %s: %w", job.To, err)
		}
		if err := json.NewEncoder(out).Encode(took); err != nil {
			return err
		}
	}
}

// transition does the operations and returns what each took.
func (h *host) transition(ops []fsm.Op) ([]time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), jobTime)
	defer cancel()
	var took []time.Duration
	for _, op := range ops {
		time.Sleep(lull)
		began := time.Now()
		if err := h.do(ctx, op); err != nil {
			return nil, fmt.Errorf("%s: %w", op, err)
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}
