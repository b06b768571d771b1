package guards

import (
	"fmt"

	"github.com/modewatch/modewatch/fsm"
)

// sessionAbsent is check_graphical_session_absent: no user is at a graphical
// session when the host is about to become headless (section 24.1, D3).
var sessionAbsent = guard("check_graphical_session_absent", 17, hard, fsm.AboutSessions, func(in Input) answer {
	if !in.Facts.Logins.OK {
		return cannotTell("logind's sessions", in.Facts.Logins.Why())
	}
	var found []string
	for _, s := range in.Facts.Logins.Value.Graphical() {
		found = append(found, describe(s)+": "+s.Why)
	}
	if len(found) > 0 {
		return block("a graphical session is there, "+found[0], others(found))
	}
	return pass("no user has a graphical session", sessionCount(in))
})

// sessionPresent is check_graphical_session_present: studio-local is an overlay
// on a desktop that somebody uses (sections 4.1 and 24.1).
var sessionPresent = guard("check_graphical_session_present", 16, hard, fsm.AboutSessions, func(in Input) answer {
	if !in.Facts.Logins.OK {
		return cannotTell("logind's sessions", in.Facts.Logins.Why())
	}
	gui := in.Facts.Logins.Value.Graphical()
	if len(gui) == 0 {
		return block("no user has a graphical session: log in first", sessionCount(in))
	}
	return pass(describe(gui[0])+" is graphical", gui[0].Why)
})

func describe(s fsm.Session) string {
	out := fmt.Sprintf("session %s of %s", s.ID, s.User)
	if s.Service != "" {
		out += " (" + s.Service + ")"
	}
	return out
}

func sessionCount(in Input) string {
	return fmt.Sprintf("logind lists %d sessions", len(in.Facts.Logins.Value.Sessions))
}
