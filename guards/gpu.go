package guards

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/modewatch/modewatch/fsm"
)

// gpuReleased is check_gpu_display_released (section 10.2, G2, D14). Before the
// isolate and before an AI unit starts nobody but named infrastructure may hold
// the display GPU. Earlier it predicts: each holder must be something that the
// plan ends before that proof, so that no session is ended in vain.
var gpuReleased = guard("check_gpu_display_released", 11, hard, fsm.AboutGPU|fsm.AboutSessions, func(in Input) answer {
	gpu, logins := in.Facts.GPU, in.Facts.Logins
	if !gpu.OK {
		return cannotTell("who holds the display GPU", gpu.Why())
	}
	holders := slices.DeleteFunc(gpu.Value.DisplayHolders(), func(h fsm.GPUHolder) bool { return expected(in, h) })
	looked := lookedAt(gpu.Value)
	if len(holders) == 0 {
		return pass("nobody holds the display GPU", looked)
	}
	strict := strictly(in)
	if !strict && !logins.OK {
		return cannotTell("whose sessions hold the display GPU", logins.Why())
	}
	var found []string
	for _, h := range holders {
		if why := staying(in, h); strict {
			found = append(found, h.String())
		} else if why != "" {
			found = append(found, h.String()+": "+why)
		}
	}
	if len(found) > 0 {
		return block(found[0], join(others(found), looked))
	}
	return pass("the plan ends all that holds the display GPU", fmt.Sprintf("%d holders; %s", len(holders), looked))
})

// lookedAt tells what the verdict rests on.
func lookedAt(g fsm.GPU) string {
	nodes := "no GPU device node exists"
	if len(g.Present) > 0 {
		nodes = "device nodes: " + strings.Join(g.Present, ", ")
	}
	return join(strings.Join(g.Looked, ", "), nodes)
}

// strictly tells whether the display GPU must be free now: nothing that is
// still to come before the proof could free it.
func strictly(in Input) bool {
	if in.Before != nil {
		return in.Before.Verb == fsm.Isolate || in.Before.Verb == fsm.Start
	}
	return len(in.Plan.Ends) == 0 && in.Plan.Isolates() == ""
}

// expected tells whether the holder is an AI unit that belongs to compute, on a
// GPU that it shares with the display, once the host is headless.
func expected(in Input, h fsm.GPUHolder) bool {
	isolating := in.Before != nil && in.Before.Verb == fsm.Isolate
	return strictly(in) && !isolating && slices.Contains(in.Policy.Units.AI[fsm.Compute], h.Unit)
}

// staying says why the plan will not have ended the holder by the time the GPU
// must be free; "" means that it will.
func staying(in Input, h fsm.GPUHolder) string {
	if id := sessionOf(h); id != "" {
		return sessionStays(in, id)
	}
	switch {
	case stops(in.Plan.Steps, h.Unit):
		return ""
	case strings.HasPrefix(h.Unit, userManager(h.UID)):
		return managerStays(in, h.UID)
	case slices.Contains(in.Plan.Stops, h.Unit):
		return "isolating " + in.Plan.Isolates() + " would stop it, but the GPU must be free before that"
	}
	return "nothing in this plan ends it"
}

func sessionOf(h fsm.GPUHolder) string {
	if h.Session != "" {
		return h.Session
	}
	id, scope := strings.CutPrefix(h.Unit, "session-")
	id, ok := strings.CutSuffix(id, ".scope")
	if !scope || !ok {
		return ""
	}
	return id
}

func sessionStays(in Input, id string) string {
	if slices.Contains(in.Plan.Ends, id) {
		return ""
	}
	for _, s := range in.Facts.Logins.Value.Sessions {
		switch {
		case s.ID != id:
		case s.Class == "greeter" && in.Plan.Has(fsm.MaskNow):
			return "" // the display manager that is held back takes its greeter along
		case s.Class == "greeter":
			return "this plan holds back no display manager that runs the greeter session " + id
		default:
			return "this plan does not end " + describe(s)
		}
	}
	if in.Before != nil {
		return "" // it ended between two looks: logind drops a session when its scope is empty
	}
	return "logind does not know session " + id
}

// managerStays says why the user's own service manager will outlive the plan:
// logind stops it with the last session, unless the user lingers (D16).
func managerStays(in Input, uid int) string {
	for _, s := range in.Facts.Logins.Value.Sessions {
		if s.UID == uid && s.Class == "user" && !slices.Contains(in.Plan.Ends, s.ID) {
			return "this plan does not end " + describe(s)
		}
	}
	for _, u := range in.Facts.Logins.Value.Users {
		switch {
		case u.UID != uid:
		case u.Linger:
			return u.Name + " lingers, so that " + userManager(uid) + " stays"
		default:
			return ""
		}
	}
	return "logind does not know uid " + strconv.Itoa(uid)
}

func userManager(uid int) string { return "user@" + strconv.Itoa(uid) + ".service" }
