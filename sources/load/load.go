// Package load reads how busy the host is: pressure-stall information of the
// CPU and the memory that is available (specification section 10.2, G3, G5).
package load

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/modewatch/modewatch/fsm"
)

// Source reads from the /proc tree at Root.
type Source struct{ Root string }

// New returns the source for the /proc tree at root.
func New(root string) *Source { return &Source{Root: root} }

// Load returns the share of the last ten seconds in which some task waited for
// a CPU, in percent.
func (s *Source) Load(context.Context) (fsm.Load, error) {
	proc, err := procfs.NewFS(s.Root)
	if err != nil {
		return fsm.Load{}, fmt.Errorf("cannot read the CPU pressure: %w", err)
	}
	psi, err := proc.PSIStatsForResource("cpu")
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.EOPNOTSUPP):
		return fsm.Load{}, fmt.Errorf("cannot read the CPU pressure: %w (boot the kernel with psi=1)", err)
	case err != nil:
		return fsm.Load{}, fmt.Errorf("cannot read the CPU pressure: %w", err)
	case psi.Some == nil:
		return fsm.Load{}, errors.New("cannot read the CPU pressure: the kernel gives no line \"some\"")
	case !(psi.Some.Avg10 >= 0 && psi.Some.Avg10 <= 100): // nor is what is no number
		return fsm.Load{}, fmt.Errorf("cannot read the CPU pressure: %v is no share in percent", psi.Some.Avg10)
	}
	return fsm.Load{CPUSome: psi.Some.Avg10}, nil
}

// Memory returns what the kernel estimates to be available without swapping.
func (s *Source) Memory(context.Context) (fsm.Memory, error) {
	proc, err := procfs.NewFS(s.Root)
	if err != nil {
		return fsm.Memory{}, fmt.Errorf("cannot read the available memory: %w", err)
	}
	info, err := proc.Meminfo()
	if err != nil {
		return fsm.Memory{}, fmt.Errorf("cannot read the available memory: %w", err)
	}
	if info.MemAvailableBytes == nil {
		return fsm.Memory{}, errors.New("cannot read the available memory: the kernel gives no MemAvailable")
	}
	return fsm.Memory{Available: *info.MemAvailableBytes}, nil
}
