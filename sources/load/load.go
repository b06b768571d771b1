// Package load reads how busy the host is: pressure-stall information and the
// memory that is to be had.
package load

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/prometheus/procfs"

	"github.com/modewatch/modewatch/fsm"
)

// Proc reads the /proc tree at a root. Use New.
type Proc struct{ root string }

// New returns the source for the /proc tree at root.
func New(root string) *Proc { return &Proc{root} }

// Load returns the share of the last ten seconds in which some task waited for
// a CPU, in percent.
func (p *Proc) Load(context.Context) (fsm.Load, error) {
	proc, err := procfs.NewFS(p.root)
	if err != nil {
		return fsm.Load{}, fmt.Errorf("cannot read the load: %w", err)
	}
	psi, err := proc.PSIStatsForResource("cpu")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fsm.Load{}, fmt.Errorf("cannot read the load: %s/pressure/cpu does not exist: boot with psi=1", p.root)
	case err != nil:
		return fsm.Load{}, fmt.Errorf("cannot read the load: %w", err)
	case psi.Some == nil:
		return fsm.Load{}, fmt.Errorf("cannot read the load: %s/pressure/cpu has no line \"some\"", p.root)
	}
	return fsm.Load{CPUSome: psi.Some.Avg10}, nil
}

// Memory returns what the kernel says is available without swapping.
func (p *Proc) Memory(context.Context) (fsm.Memory, error) {
	proc, err := procfs.NewFS(p.root)
	if err != nil {
		return fsm.Memory{}, fmt.Errorf("cannot read the memory: %w", err)
	}
	info, err := proc.Meminfo()
	if err != nil {
		return fsm.Memory{}, fmt.Errorf("cannot read the memory: %w", err)
	}
	if info.MemAvailableBytes == nil {
		return fsm.Memory{}, fmt.Errorf("cannot read the memory: %s/meminfo has no MemAvailable", p.root)
	}
	return fsm.Memory{Available: *info.MemAvailableBytes}, nil
}
