package procs

import "github.com/modewatch/modewatch/fsm"

// multiplexers keep a person's terminals alive while nobody looks.
var multiplexers = []string{"tmux", "screen", "zellij", "dtach", "abduco"}

// What a job that matched no configured name matched.
const (
	patternMultiplexer = "terminal multiplexer"
	patternNohup       = "nohup"
)

// jobs lists what users run: configured programs in their sessions or under
// their managers, whoever they run as; servers of terminal multiplexers; and
// what outlived its terminal in a session's scope because it ignores SIGHUP.
// That a process was orphaned is not enough: compositors start everything so.
func (t *table) jobs(p fsm.JobPolicy) []fsm.UserJob {
	parents := map[int]proc{}
	for _, pr := range t.procs {
		parents[pr.pid] = pr
	}
	orphan := func(pr proc) bool {
		parent := parents[pr.ppid]
		return pr.ppid == 1 || parent.ppid == 1 && parent.comm == "systemd"
	}
	var out []fsm.UserJob
	for _, pr := range t.procs {
		pattern, scopeOnly := pr.known(p.Processes), false
		switch {
		case pattern != "":
		case pr.known(multiplexers) != "" && (pr.comm == "tmux: server" || orphan(pr)):
			pattern = patternMultiplexer
		case pr.noHup && orphan(pr):
			pattern, scopeOnly = patternNohup, true
		default:
			continue
		}
		at := t.place(pr.pid)
		if !at.user() || scopeOnly && at.session == "" {
			continue
		}
		out = append(out, fsm.UserJob{What: pr.comm, PID: pr.pid, UID: t.owner(pr.pid),
			Unit: at.inner, Session: at.session, Pattern: pattern})
	}
	return out
}
