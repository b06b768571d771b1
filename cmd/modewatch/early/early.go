// Package early answers "modewatch state" before the rest of the program is
// initialised. A status line asks for the state many times a minute, and the
// tables of the packages that only the daemon and the longer verbs need take
// longer to set up than the answer takes. The Go specification initialises
// packages in the order of their import paths once their own imports are done:
// this one imports next to nothing, and its path sorts before those.
//
// What cannot be answered here, for whatever reason, is left to the verb.
package early

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
)

// RunDir is where a controller keeps its files unless told otherwise.
const RunDir = "/run/mode-controller"

// enough of the head of a file: what is looked for stands in its first members.
const enough = 512

func init() {
	dir, ok := asked(os.Args)
	if !ok {
		return
	}
	word, ok := State(dir)
	if !ok {
		return
	}
	if _, err := os.Stdout.WriteString(word + "\n"); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// asked tells whether a command line asks for the state and nothing else, and
// of which directory.
func asked(args []string) (dir string, ok bool) {
	if len(args) == 2 && args[1] == "state" {
		return RunDir, true
	}
	if len(args) == 4 && args[1] == "state" && args[2] == "--run-dir" {
		return args[3], true
	}
	return "", false
}

// State returns the state word of the controller that keeps its files in dir,
// and false where none is known to be alive: nobody holds the lock, or the
// snapshot is not the holder's (D18).
func State(dir string) (word string, ok bool) {
	if !held(dir + "/lock") {
		return "", false
	}
	holder, snapshot := head(dir+"/reconcile.pid"), head(dir+"/state.json")
	owner, ok1 := pid(holder)
	writer, ok2 := pid(snapshot)
	if !ok1 || !ok2 || owner != writer || !Exists(owner) {
		return "", false
	}
	text, ok := member(snapshot, `"state":"`)
	if !ok {
		return "", false
	}
	state, _, whole := bytes.Cut(text, []byte(`"`))
	if !whole || len(state) == 0 {
		return "", false
	}
	return string(state), true
}

// Exists tells whether there is a process. The files of one that was killed stay
// until its successor, which has the lock by then, replaces them.
func Exists(pid int) bool { return pid > 0 && syscall.Kill(pid, 0) != syscall.ESRCH }

// held tells whether somebody has the lock, without keeping anybody from it.
func held(path string) bool {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == syscall.EWOULDBLOCK
}

// head returns the first bytes of a file, none if it cannot be read.
func head(path string) []byte {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	buf := make([]byte, enough)
	n, err := f.Read(buf)
	if err != nil {
		return nil
	}
	return buf[:n]
}

func pid(text []byte) (int, bool) {
	rest, ok := member(text, `"pid":`)
	if !ok {
		return 0, false
	}
	end := bytes.IndexByte(rest, ',')
	if end < 0 {
		return 0, false
	}
	n, err := strconv.Atoi(string(rest[:end]))
	return n, err == nil && n > 0
}

// member returns what follows a name in a document of the schema that is known
// here, as this program's encoder writes it: on one line, without blanks.
func member(text []byte, name string) ([]byte, bool) {
	if !bytes.HasPrefix(text, []byte(`{"schema":1,`)) {
		return nil, false
	}
	_, rest, ok := bytes.Cut(text, []byte(name))
	return rest, ok
}
