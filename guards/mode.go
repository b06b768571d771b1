package guards

import "github.com/modewatch/modewatch/fsm"

// CannotTellMode is the verdict on a host whose mode could not be observed: no
// plan starts from there (D2), so that its target cannot be said to be reachable.
func CannotTellMode(why string) fsm.Verdict {
	return fsm.Verdict{Guard: targetReachable.Name, Code: targetReachable.Code + 10, Reason: why, Hard: true}
}
