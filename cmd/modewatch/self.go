package main

import (
	"os"
	"syscall"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sources/procs"
)

// termination is the signal by which a service manager ends a process.
const termination = syscall.SIGTERM

// self is this process as the maker of a wish. The daemon takes the uid from
// the owner of the request and looks the rest up itself (D19).
func self() fsm.Caller { return procs.CallerSelf() }

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
