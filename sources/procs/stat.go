package procs

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// stat is what matters of /proc/PID/stat.
type stat struct {
	comm    string
	state   byte
	ppid    int
	sid     int // of the session of processes that it is in, as setsid(2) has it
	threads int
	started uint64 // clock ticks since the boot
	kernel  bool
	noHup   bool
}

// dead tells whether the first thread has ended and waits to be reaped.
func (s stat) dead() bool { return s.state == 'Z' || s.state == 'X' || s.state == 'x' }

// over tells whether all threads have ended.
func (s stat) over() bool { return s.dead() && s.threads < 2 }

// Fields of /proc/PID/stat after the name, from 0 (proc_pid_stat(5)).
const (
	fieldState     = 0
	fieldPPID      = 1
	fieldSID       = 3
	fieldFlags     = 6
	fieldThreads   = 17
	fieldStarted   = 19
	fieldSigIgnore = 30
	kernelThread   = 0x00200000 // PF_KTHREAD
)

func parseStat(data []byte) (stat, error) {
	var s stat
	from, to := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	if from < 0 || to < from {
		return s, fmt.Errorf("its stat has no name: %.40q", data)
	}
	s.comm = string(data[from+1 : to])
	f := bytes.Fields(data[to+1:])
	if len(f) <= fieldSigIgnore {
		return s, fmt.Errorf("its stat has %d fields", len(f))
	}
	s.state = f[fieldState][0]
	var bad error
	number := func(i int) uint64 {
		n, err := strconv.ParseUint(string(f[i]), 10, 64)
		bad = errors.Join(bad, err)
		return n
	}
	s.ppid, s.threads = int(number(fieldPPID)), int(number(fieldThreads))
	s.started = number(fieldStarted)
	s.kernel = number(fieldFlags)&kernelThread != 0
	s.noHup = number(fieldSigIgnore)&(1<<(unix.SIGHUP-1)) != 0
	sid, err := strconv.Atoi(string(f[fieldSID]))
	s.sid = sid // -1 while it exits
	return s, errors.Join(bad, err)
}
