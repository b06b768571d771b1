package desired

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

const (
	// hold is how long an unfinished desired is given to its writer.
	hold = 150 * time.Millisecond
	// patience is how long it is given while it keeps changing.
	patience = 2 * time.Second
	// maxStrays bounds the replaced files that are kept open.
	maxStrays = 4
)

// pending is an unfinished face of desired: missing, or no word yet.
type pending struct {
	face  string
	first time.Time
	due   time.Time
}

// stray is a desired that Submit replaced. A shell that had opened it before
// may write after: its wish came last and must not be lost.
type stray struct {
	file *os.File
	key  key
}

// finding is what one look led to.
type finding struct {
	wish  *fsm.Wish
	notes []fsm.Note
	again time.Duration // look again after this time; 0: no need
}

func (f *finding) note(what, format string, a ...any) {
	f.notes = append(f.notes, fsm.Note{What: what, Text: fmt.Sprintf(format, a...), At: time.Now()})
}

// look reads desired and what was left behind by a replacement.
func (s *Store) look() finding {
	s.mu.Lock()
	defer s.mu.Unlock()
	var f finding
	c := readWord(s.path(wordFile), s.Owner)
	defer c.close()
	s.judge(c, &f)
	s.lookBehind(&f)
	return f
}

// judge is the table of the package comment.
func (s *Store) judge(c content, f *finding) {
	switch {
	case c.missing:
		s.healed = 0
		if s.ripe("missing", f) {
			s.restored(f)
		}
		return
	case c.kind != "":
		s.refuse(c.key, c.fault, f)
		return
	case c.file == nil || c.fault != "" && c.key == (key{}):
		s.unreadable(c.fault, f)
		return
	}
	s.heal(c, f)
	switch {
	case c.key == s.now.Key || c.key.Size == 0 || s.others(c.key):
		s.pending = pending{}
	case c.fault != "":
		s.dismiss(c.key, c.fault, f)
	case s.continues(c.key):
		s.handled(mark{Wish: s.now.Wish, Key: c.key}, f)
	default:
		s.word(c.key, f)
	}
}

// word takes a content as a wish, or holds it back, or refuses it.
func (s *Store) word(k key, f *finding) {
	mode, mixed, ok := parse(k)
	if !ok {
		if s.ripe(fmt.Sprint(k), f) {
			s.dismiss(k, describe(k), f)
		}
		return
	}
	w := fileWish(mode)
	f.wish = &w
	s.handled(mark{Wish: &w, Key: k}, f)
	if mixed {
		s.rewrite(w, f)
	}
}

// handled remembers m, on disk too: it never acts again.
func (s *Store) handled(m mark, f *finding) {
	s.now, s.told, s.pending = m, "", pending{}
	if err := s.keep(m, mark{}); err != nil {
		f.note(fsm.NoteSource, "cannot remember on disk that %s was handled: %v", s.path(wordFile), err)
	}
}

// rewrite puts a clean desired in place of one that carries w otherwise.
func (s *Store) rewrite(w fsm.Wish, f *finding) {
	if err := s.replace(w); err != nil {
		f.note(fsm.NoteSource, "cannot rewrite %s: %v", s.path(wordFile), err)
	}
}

// dismiss refuses a content for good: putting right its mode later does not
// make it a wish.
func (s *Store) dismiss(k key, why string, f *finding) {
	s.handled(mark{Wish: s.now.Wish, Key: k}, f)
	s.refuse(k, why, f)
}

// refuse tells once that k is no wish.
func (s *Store) refuse(k key, why string, f *finding) {
	s.pending = pending{}
	id := fmt.Sprint(k, why)
	if id == s.told {
		return
	}
	s.told = id
	f.note(fsm.NoteBadWish, "refused %s: %s; %s", s.path(wordFile), why, s.stands())
}

func (s *Store) stands() string {
	if s.now.Wish == nil {
		return "there is no wish yet"
	}
	return "the wish stays " + string(s.now.Wish.Mode)
}

func (s *Store) unreadable(why string, f *finding) {
	if s.told != why {
		s.told = why
		f.note(fsm.NoteSource, "cannot read %s: %s", s.path(wordFile), why)
	}
}

// ripe tells whether desired showed this face for the hold time; until then it
// asks for another look.
func (s *Store) ripe(face string, f *finding) bool {
	now := time.Now()
	if s.pending.first.IsZero() {
		s.pending.first = now
	}
	if s.pending.face != face {
		s.pending.face, s.pending.due = face, now.Add(hold)
	}
	if !now.Before(s.pending.due) || now.Sub(s.pending.first) >= patience {
		return true
	}
	f.again = s.pending.due.Sub(now)
	return false
}

// others tells whether another process of ours wrote k (D18).
func (s *Store) others(k key) bool {
	doc, err := s.readDocument()
	if err != nil || doc.Key != k || doc.Wish == nil {
		return false
	}
	s.now = doc.mark
	return true
}

// continues tells whether k is the handled content with a line end that its
// writer added in a write of its own.
func (s *Store) continues(k key) bool {
	old := s.now.Key
	return k.Inode == old.Inode && k.MTime-old.MTime < int64(hold) && old.Size > 0 && k.Size > old.Size &&
		strings.TrimRight(k.Content, " \t\r\n") == old.Content
}

// heal gives a desired that somebody else created its group and mode back.
func (s *Store) heal(c content, f *finding) {
	if c.stat.Ino == s.healed || c.fault != "" {
		return
	}
	s.healed = c.stat.Ino
	if int(c.stat.Gid) == s.Group && c.stat.Mode&0o7777 == wordMode {
		return
	}
	if err := s.own(c.file); err != nil {
		f.note(fsm.NoteSource, "cannot give %s back to group %s: %v", s.path(wordFile), GroupName, err)
	}
}

// leave keeps the replaced desired in sight.
func (s *Store) leave(old *os.File) {
	if old == nil {
		return
	}
	c := content{file: old}.read(s.Owner)
	if c.fault != "" {
		old.Close()
		return
	}
	if len(s.strays) == maxStrays {
		s.strays[0].file.Close()
		s.strays = s.strays[1:]
	}
	s.strays = append(s.strays, stray{old, c.key})
}

// lookBehind takes a word that was written into a replaced desired after its
// replacement: it is newer than what replaced it.
func (s *Store) lookBehind(f *finding) {
	for i := range s.strays {
		old := &s.strays[i]
		c := content{file: old.file}.read(s.Owner)
		if c.fault != "" || c.key == old.key || c.key.Size == 0 {
			continue
		}
		old.key = c.key
		mode, _, ok := parse(c.key)
		if !ok {
			f.note(fsm.NoteBadWish, "refused %s: %s; %s", s.path(wordFile), describe(c.key), s.stands())
			continue
		}
		if c.key.MTime < s.now.Key.MTime {
			continue // superseded before it was seen
		}
		w := fileWish(mode)
		f.wish = &w
		s.rewrite(w, f)
		return
	}
}

// restored makes a missing desired again, with the wish that stands.
func (s *Store) restored(f *finding) {
	if err := s.prepare(); err != nil {
		s.unreadable(err.Error(), f)
	}
}

// restore creates desired if it is missing, with the word that stands. What
// somebody else creates meanwhile is left alone.
func (s *Store) restore() error {
	if _, err := os.Lstat(s.path(wordFile)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := s.pendingWord()
	if err != nil {
		return err
	}
	defer f.Cleanup()
	text := ""
	if s.now.Wish != nil {
		text = string(s.now.Wish.Mode) + "\n"
	}
	k, err := s.fill(f.File, text)
	if err != nil {
		return err
	}
	if err := s.keep(mark{Wish: s.now.Wish, Key: k}, s.now); err != nil {
		return err
	}
	if err := os.Link(f.Name(), s.path(wordFile)); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	s.now.Key, s.healed, s.told, s.pending = k, k.Inode, "", pending{}
	return nil
}
