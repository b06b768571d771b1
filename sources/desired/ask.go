package desired

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/modewatch/modewatch/fsm"
)

// Ask puts a request into the spool, for the daemon to take. Whoever runs it is
// the caller: of c.By only the PID is written. An error that is fs.ErrPermission says
// that the caller may not ask (exit 32), one that is fs.ErrNotExist that no
// daemon ever ran since the host came up.
func (s *Store) Ask(c fsm.Command) error {
	if err := check(c); err != nil {
		return fmt.Errorf("cannot ask the daemon: %w", err)
	}
	err := s.deposit(c)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("cannot ask the daemon: %w: you are not in group %s; use sudo, or have root add you with "+
			"\"usermod -aG %s USER\" and log in again", err, GroupName, GroupName)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("cannot ask the daemon: %w: has modewatch.service been started?", err)
	case err != nil:
		return fmt.Errorf("cannot ask the daemon: %w", err)
	}
	return nil
}

// deposit writes the request under a name that is not looked at, then renames.
func (s *Store) deposit(c fsm.Command) (err error) {
	data, err := json.Marshal(request{Schema: fsm.Schema, Verb: c.Verb, Mode: c.Mode, ID: c.ID, PID: c.By.PID})
	if err != nil {
		return err
	}
	name := s.path(spoolName + "/." + c.ID)
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, requestMode)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(name)
		}
	}()
	_, err = f.Write(append(data, '\n'))
	// Whatever the umask said: the daemon refuses what others may write.
	if err = errors.Join(err, f.Chmod(requestMode), f.Close()); err != nil {
		return err
	}
	return os.Rename(name, s.path(spoolName+"/"+c.ID+suffix))
}
