package guards

import (
	"fmt"

	"github.com/modewatch/modewatch/fsm"
)

// nobodyThere is check_idle: nobody has touched the machine, nor a terminal of it,
// for as long as it takes to count as idle, and its GPUs rest. It guards what an idle
// host does by itself alone (section 16, D13); that nothing plays, computes or waits
// is for the other guards to say.
var nobodyThere = guard("check_idle", 13, soft, fsm.AboutIdle|fsm.AboutGPU, func(in Input) answer {
	idle, after := in.Facts.Idle, in.Policy.Idle.After
	switch {
	case !idle.OK:
		return cannotTell("the input devices", idle.Why())
	case !in.Facts.GPU.OK:
		return cannotTell("how busy the GPUs are", in.Facts.GPU.Why())
	case after == 0:
		return pass("no time makes this host idle", "triggers.idle.after is 0s")
	}
	var found []string
	if i := idle.Value; i.Quiet < after && i.Device == "" {
		found = append(found, fmt.Sprintf("watching for %s only, since %s", i.For(), i.Why))
	} else if i.Quiet < after {
		found = append(found, fmt.Sprintf("input on %s %s ago", i.Device, i.For()))
	}
	found = append(found, typing(in)...)
	for _, c := range in.Facts.GPU.Value.Cards {
		if c.Utilization > in.Policy.Idle.MaxGPU {
			found = append(found, fmt.Sprintf("%s is %d %% busy, more than %d %%", c, c.Utilization, in.Policy.Idle.MaxGPU))
		}
	}
	if len(found) > 0 {
		return block(found[0], others(found))
	}
	return pass("no input for "+idle.Value.For(), fmt.Sprintf("devices watched: %d", idle.Value.Devices))
})

// typing lists the terminals that were typed on lately: who works by ssh touches no
// device of this machine.
func typing(in Input) []string {
	var out []string
	for _, t := range in.Facts.Idle.Value.Terminals {
		if ago := in.Facts.At.Sub(t.Typed); ago < in.Policy.Idle.After+fsm.TerminalGrain {
			out = append(out, fmt.Sprintf("uid %d typed on %s %s ago", t.UID, t.Name, max(ago, 0).Round(1e9)))
		}
	}
	return out
}
