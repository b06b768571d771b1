package desired

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sort"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/modewatch/modewatch/fsm"
)

// request is a Command as a file. Of its caller it names the process alone: the
// uid is the owner of the file, and the rest is looked up, not believed.
type request struct {
	Schema int      `json:"schema"`
	Verb   string   `json:"verb"`
	Mode   fsm.Mode `json:"mode,omitempty"`
	ID     string   `json:"id"`
	PID    int      `json:"pid,omitempty"`
}

const (
	maxRequest  = 4096
	requestMode = 0o640
	suffix      = ".json"
	staleDraft  = time.Minute
)

// validID tells whether an id is one to 64 letters, digits and hyphens. (No
// regular expression: to compile one would cost every command half a
// millisecond.)
func validID(id string) bool {
	for _, r := range id {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-') {
			return false
		}
	}
	return id != "" && len(id) <= 64
}

// check tells what of a command makes no sense.
func check(c fsm.Command) error {
	switch c.Verb {
	case fsm.VerbRequest, fsm.VerbForce:
		if _, ok := fsm.ParseMode(string(c.Mode)); !ok {
			return fmt.Errorf("%.64q is no mode", c.Mode)
		}
	case fsm.VerbReconcile, fsm.VerbCancel:
	default:
		return fmt.Errorf("%.64q is no verb", c.Verb)
	}
	if !validID(c.ID) {
		return fmt.Errorf("%.64q is no id", c.ID)
	}
	return nil
}

// waiting lists the requests that are in the spool already, oldest first, and
// clears away drafts whose writers died.
func (s *Store) waiting() []string {
	entries, err := os.ReadDir(s.path(spoolName))
	if err != nil {
		return nil // it is gone: the watch tells
	}
	age := map[string]time.Time{}
	var out []string
	for _, e := range entries {
		if draft(e.Name()) {
			s.clearDraft(spoolName, e)
		} else if fi, err := e.Info(); err == nil {
			age[e.Name()] = fi.ModTime()
			out = append(out, e.Name())
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return age[out[i]].Before(age[out[j]]) })
	return out
}

// clearDraft removes a draft whose writer died, as far as we may.
func (s *Store) clearDraft(dir string, e os.DirEntry) {
	if fi, err := e.Info(); err == nil && draft(e.Name()) && time.Since(fi.ModTime()) > staleDraft {
		_ = os.Remove(s.path(dir + "/" + e.Name()))
	}
}

// draft tells whether a client still writes the file.
func draft(name string) bool { return strings.HasPrefix(name, ".") }

// fetch reads one request and removes it, whatever it was; nil without an error
// says that there is none.
func (s *Store) fetch(name string) (*fsm.Command, error) {
	if draft(name) {
		return nil, nil
	}
	path := s.path(spoolName + "/" + name)
	data, uid, err := readRequest(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // taken by an earlier look
	}
	if rm := os.Remove(path); rm != nil && err == nil {
		// Acting on what cannot be removed would act again at the next start.
		err = rm
	}
	var c fsm.Command
	if err == nil {
		c, err = s.decode(data, uid)
	}
	if err != nil {
		return nil, fmt.Errorf("refused the request %.80q of uid %d: %w", name, uid, err)
	}
	return &c, nil
}

// readRequest returns the content of a request and its owner, -1 if unknown.
func readRequest(path string) ([]byte, int, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return nil, -1, err
	}
	if kind := notRegular(st.Mode); kind != "" {
		return nil, int(st.Uid), fmt.Errorf("it is %s, not a regular file", kind)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, int(st.Uid), err
	}
	defer f.Close()
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, -1, err
	}
	uid := int(st.Uid)
	switch {
	case notRegular(st.Mode) != "":
		return nil, uid, errors.New("it is not a regular file")
	case st.Nlink > 1 || st.Mode&0o022 != 0:
		// A link to a file of root's that the group may write, such as desired,
		// would speak for root.
		return nil, uid, errors.New("others than its owner may write it")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxRequest+1))
	if err == nil && len(data) > maxRequest {
		err = fmt.Errorf("it holds more than %d bytes", maxRequest)
	}
	return data, uid, err
}

func (s *Store) decode(data []byte, uid int) (fsm.Command, error) {
	var r request
	if err := json.Unmarshal(data, &r); err != nil {
		return fsm.Command{}, fmt.Errorf("it is no JSON request: %w", err)
	}
	if r.Schema != fsm.Schema {
		return fsm.Command{}, fmt.Errorf("schema %d is not known", r.Schema)
	}
	c := fsm.Command{Verb: r.Verb, Mode: r.Mode, ID: r.ID, By: s.caller(uid, r.PID)}
	return c, check(c)
}

// caller returns what is certain of the caller: the owner's uid, and the rest
// if the claimed process lives and belongs to that uid.
func (s *Store) caller(uid, pid int) fsm.Caller {
	if s.Who != nil && pid > 0 {
		if c, err := s.Who(pid); err == nil && c.UID == uid {
			return c
		}
	}
	return fsm.Caller{UID: uid}
}
