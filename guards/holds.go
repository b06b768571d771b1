package guards

import "github.com/modewatch/modewatch/fsm"

// noHolds is check_holds: nobody asked that this host stay in its mode (D14).
var noHolds = guard("check_holds", 13, soft, fsm.AboutHolds, func(in Input) answer {
	holds := in.Facts.Holds
	if !holds.OK {
		return cannotTell("the holds", holds.Why())
	}
	var found []string
	for _, h := range holds.Value {
		found = append(found, h.String())
	}
	if len(found) > 0 {
		return block(found[0], others(found))
	}
	return pass("nobody holds this host in its mode", "looked at the holds of modewatch")
})
