package guards

import (
	"fmt"

	"github.com/modewatch/modewatch/fsm"
)

// memoryHeadroom is check_memory_headroom: what is available, with what the
// plan gives back, is enough for the mode (specification section 10.2, G5). It
// is hard once the size of the model is configured.
var memoryHeadroom = guard("check_memory_headroom", 14, modelKnown, fsm.AboutMemory|fsm.AboutUnits|fsm.AboutSessions, func(in Input) answer {
	memory, units := in.Facts.Memory, in.Facts.Units
	if !memory.OK {
		return cannotTell("the available memory", memory.Why())
	}
	need := in.Policy.Memory.Need(destination(in))
	var credit uint64
	if memory.Value.Available < need {
		if !units.OK {
			return cannotTell("the memory of the units that the plan stops", units.Why())
		}
		credit = givenBack(in)
	}
	numbers := fmt.Sprintf("%s available, %s of units that the plan stops, %s needed for %s",
		bytes(memory.Value.Available), bytes(credit), bytes(need), destination(in))
	if memory.Value.Available+credit < need {
		short := need - memory.Value.Available - credit
		return block(fmt.Sprintf("%s of memory is missing for %s", bytes(short), destination(in)), numbers)
	}
	return pass("there is enough memory", numbers)
})

func modelKnown(in Input) bool { return in.Policy.Memory.Model > 0 }

// givenBack sums the memory of the running units that the rest of the plan
// stops. It is a promise, which the judging before the start of the AI unit
// holds against what really became available.
func givenBack(in Input) uint64 {
	var sum uint64
	for _, name := range ending(in) {
		if u := in.Facts.Units.Value[name]; !u.Gone() {
			sum += u.Memory
		}
	}
	return sum
}

func bytes(n uint64) string {
	if n < 1<<30 {
		return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}
