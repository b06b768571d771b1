package guards

import (
	"fmt"

	"github.com/modewatch/modewatch/fsm"
)

// cpuLoadSafe is check_cpu_load_safe: the host is not in the middle of heavy
// work (specification section 10.2, G3), by pressure-stall information.
var cpuLoadSafe = guard("check_cpu_load_safe", 12, soft, fsm.AboutLoad, func(in Input) answer {
	load := in.Facts.Load
	if !load.OK {
		return cannotTell("the CPU pressure", load.Why())
	}
	is, most := load.Value.CPUSome, in.Policy.Load.CPUSome
	numbers := fmt.Sprintf("CPU pressure (some, avg10) %.1f %%, at most %.1f %%", is, most)
	switch {
	case !(is >= 0): // also not a number
		return cannotTell("the CPU pressure", fmt.Sprintf("%v is no percentage", is))
	case is > most:
		return block(fmt.Sprintf("tasks waited for a CPU in %.1f %% of the last ten seconds", is), numbers)
	}
	return pass("the CPU load is low enough", numbers)
})
