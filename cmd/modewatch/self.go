package main

import (
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/modewatch/modewatch/fsm"
)

// termination is the signal by which a service manager ends a process.
const termination = syscall.SIGTERM

// self is this process as the maker of a wish. The daemon takes the uid from
// the owner of the request and checks the rest (D19).
func self() fsm.Caller {
	c := fsm.Caller{UID: os.Getuid(), PID: os.Getpid()}
	if data, err := os.ReadFile("/proc/self/cgroup"); err == nil {
		c.Unit, c.Session = unitOf(string(data))
	}
	return c
}

// unitOf finds the unit in the text of a cgroup file, and the session if the
// unit is a session's scope.
func unitOf(text string) (unit, session string) {
	_, at, ok := strings.Cut(text, "0::")
	if !ok {
		return "", ""
	}
	at, _, _ = strings.Cut(at, "\n")
	for ; at != "/" && at != "." && at != ""; at = path.Dir(at) {
		base := path.Base(at)
		if strings.HasSuffix(base, ".service") || strings.HasSuffix(base, ".scope") {
			unit = base
			break
		}
	}
	id, scope := strings.CutPrefix(unit, "session-")
	if id, ok = strings.CutSuffix(id, ".scope"); scope && ok {
		session = id
	}
	return unit, session
}

// ownerOf is the uid that a directory belongs to, 0 if that cannot be told.
func ownerOf(dir string) int {
	info, err := os.Stat(dir)
	if err != nil {
		return 0
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return 0
}
