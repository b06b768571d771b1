package guards

import "github.com/modewatch/modewatch/fsm"

// studioLocal is check_studio_capability_local: the studio capability is placed
// on this host and was not moved to another (sections 4.2 and 10.2, G7).
var studioLocal = guard("check_studio_capability_local", 19, hard, fsm.AboutPlacement, func(in Input) answer {
	placement := in.Facts.Placement
	if !placement.OK {
		return cannotTell("where the studio capability is placed", placement.Why())
	}
	switch where := placement.Value.Studio; where {
	case "local":
		return pass("the studio capability is on this host", "")
	case "":
		return cannotTell("where the studio capability is placed", "the placement does not name it")
	default:
		return block("the studio capability is placed on "+where, "")
	}
})
