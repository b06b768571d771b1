package guards

import (
	"fmt"

	"github.com/modewatch/modewatch/fsm"
)

// nobodyThere is check_idle: nobody has touched the machine for as long as it takes
// to count as idle. It guards what an idle host does by itself alone (section 16,
// D13); that nothing plays, computes or waits is for the other guards to say.
var nobodyThere = guard("check_idle", 13, soft, fsm.AboutIdle, func(in Input) answer {
	idle, after := in.Facts.Idle, in.Policy.Idle.After
	switch {
	case !idle.OK:
		return cannotTell("the input devices", idle.Why())
	case after == 0:
		return pass("no time makes this host idle", "triggers.idle.after is 0s")
	case idle.Value.Quiet >= after:
		return pass("no input for "+idle.Value.For(), fmt.Sprintf("devices watched: %d", idle.Value.Devices))
	case idle.Value.Device == "":
		return block(fmt.Sprintf("watching for %s only, since %s", idle.Value.For(), idle.Value.Why), "")
	}
	return block(fmt.Sprintf("input on %s %s ago", idle.Value.Device, idle.Value.For()), "")
})
