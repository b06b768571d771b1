package desired

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"github.com/modewatch/modewatch/fsm"
)

// mark is a wish and the key of the content of desired that carries it. After
// a refusal the key is the refused content's and the wish is the one before.
type mark struct {
	Wish *fsm.Wish `json:"wish"`
	Key  key       `json:"key"`
}

// document is wish.json. It is written before desired is replaced, so Before
// tells a reader whose desired is still the old one what stands.
type document struct {
	Schema int `json:"schema"`
	mark
	Before mark `json:"before"`
}

// load reads wish.json once. If it cannot be read, nothing is known of what was
// handled, and what desired says now is taken as handled: cannot tell never acts.
func (s *Store) load() error {
	if s.loaded {
		return nil
	}
	doc, err := s.readDocument()
	c := readWord(s.path(wordFile), s.Owner)
	defer c.close()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	case err != nil:
		s.now = mark{Key: c.key}
	case c.key == doc.Before.Key && c.key != (key{}):
		s.now = doc.Before // it died between the two files
	default:
		s.now = doc.mark
	}
	s.loaded = true
	return err
}

func (s *Store) readDocument() (document, error) {
	var doc document
	data, err := os.ReadFile(s.path(wishFile))
	if err != nil {
		return doc, fmt.Errorf("cannot read the last wish: %w", err)
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return doc, fmt.Errorf("cannot read the last wish in %s: %w", s.path(wishFile), err)
	}
	if doc.Schema != fsm.Schema {
		return doc, fmt.Errorf("cannot read the last wish in %s: schema %d is not known", s.path(wishFile), doc.Schema)
	}
	for _, w := range []*fsm.Wish{doc.Wish, doc.Before.Wish} {
		if w == nil {
			continue
		}
		if _, ok := fsm.ParseMode(string(w.Mode)); !ok {
			return doc, fmt.Errorf("cannot read the last wish in %s: %.64q is no mode", s.path(wishFile), w.Mode)
		}
	}
	return doc, nil
}

// keep writes wish.json: m stands, and before it stood before.
func (s *Store) keep(m, before mark) error {
	doc := document{Schema: fsm.Schema, mark: m, Before: before}
	data, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	return renameio.WriteFile(s.path(wishFile), append(data, '\n'), wishMode,
		renameio.WithTempDir(s.Dir), renameio.WithStaticPermissions(wishMode))
}

// submit is Submit under the lock; a run directory that is gone is made again.
func (s *Store) submit(w fsm.Wish) error {
	err := s.replace(w)
	if errors.Is(err, fs.ErrNotExist) {
		if err = s.prepare(); err == nil {
			err = s.replace(w)
		}
	}
	return err
}

// replace puts w into both files, wish.json first: whoever sees the new desired
// finds its key there, and whoever finds the old one finds Before.
func (s *Store) replace(w fsm.Wish) error {
	if _, ok := fsm.ParseMode(string(w.Mode)); !ok {
		return fmt.Errorf("%q is no mode", w.Mode)
	}
	f, err := s.pendingWord()
	if err != nil {
		return err
	}
	defer f.Cleanup()
	k, err := s.fill(f.File, string(w.Mode)+"\n")
	if err != nil {
		return err
	}
	next, before := mark{Wish: &w, Key: k}, s.now
	if err := s.keep(next, before); err != nil {
		return err
	}
	old, _ := os.OpenFile(s.path(wordFile), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err := f.CloseAtomicallyReplace(); err != nil {
		if old != nil {
			old.Close()
		}
		return errors.Join(err, s.keep(before, mark{}))
	}
	s.now, s.healed, s.told, s.pending = next, k.Inode, "", pending{}
	s.leave(old)
	return nil
}

// pendingWord is a new desired under a name that nobody watches.
func (s *Store) pendingWord() (*renameio.PendingFile, error) {
	return renameio.NewPendingFile(s.path(wordFile),
		renameio.WithTempDir(s.Dir), renameio.WithStaticPermissions(wordMode))
}

// fill writes text into a new desired and returns its key.
func (s *Store) fill(f *os.File, text string) (key, error) {
	if _, err := f.WriteString(text); err != nil {
		return key{}, err
	}
	if err := s.own(f); err != nil {
		return key{}, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return key{}, err
	}
	return newKey(st, []byte(text)), nil
}

// own gives an open desired its owner, group and mode (D19).
func (s *Store) own(f *os.File) error {
	if err := f.Chown(s.Owner, s.Group); err != nil {
		return err
	}
	return f.Chmod(wordMode)
}
