package desired

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// FuzzDesired writes into desired while a wish stands. What is found is the mode
// that stands there, or the old wish stands, and a refusal names the file; a
// successor finds the same.
func FuzzDesired(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		s := prepared(t)
		old := asked(fsm.Desktop)
		if err := s.Submit(old); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(s.path(wordFile), text, wordMode); err != nil {
			t.Fatal(err)
		}
		s.pending.first = time.Now().Add(-patience) // its writer has had the time
		found := s.look()
		want := old
		switch w := found.wish; {
		case w != nil && (!isMode(w.Mode) || !strings.Contains(string(text), string(w.Mode)) || w.By != fsm.NoCaller || w.Reason != fsm.ByFile):
			t.Errorf("%q gave the wish %+v", text, w)
		case w != nil:
			want = *w
		case len(text) > 0 && string(text) != "desktop\n" && len(found.notes) == 0:
			t.Errorf("%q is silently no wish", text)
		}
		for _, n := range found.notes {
			if !strings.Contains(n.Text, s.path(wordFile)) || strings.ContainsAny(n.Text, "\x1b\n") {
				t.Errorf("%q was refused by %q", text, n.Text)
			}
		}
		for who, s := range map[string]*Store{"it": s, "its successor": newStore(s.Dir)} {
			if w, err := s.Standing(); err != nil || w == nil || w.Mode != want.Mode || w.ID != want.ID {
				t.Errorf("after %q %s has %+v, %v; want %+v", text, who, w, err, want)
			}
		}
		if again := s.look(); again.wish != nil {
			t.Errorf("%q acts again", text)
		}
	})
}

// FuzzWishFile reads any wish.json. What it gives names a mode; what cannot be
// read is told by the name of the file, and makes no wish of what desired says.
func FuzzWishFile(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		s := prepared(t)
		for name, data := range map[string][]byte{wishFile: text, wordFile: []byte("compute\n")} {
			if err := os.WriteFile(s.path(name), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		s = newStore(s.Dir)
		w, err := s.Standing()
		switch {
		case err != nil && (w != nil || !strings.Contains(err.Error(), s.path(wishFile))):
			t.Errorf("%q: %+v, %v", text, w, err)
		case w != nil && !isMode(w.Mode):
			t.Errorf("%q gave the wish %+v", text, w)
		}
		found := s.look()
		if found.wish != nil && (err != nil || found.wish.Mode != fsm.Compute) {
			t.Errorf("%q (%v) and then a wish for %s", text, err, found.wish.Mode)
		}
		if w, err := newStore(s.Dir).Standing(); found.wish != nil && (err != nil || w == nil || w.Mode != fsm.Compute) {
			t.Errorf("%q: after the new wish %+v, %v stands", text, w, err)
		}
	})
}

// FuzzRequest reads any request of the spool, once: it is a whole command of the
// file's owner, or is refused by the name of the file.
func FuzzRequest(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		s := prepared(t)
		path := s.path(spoolName + "/x" + suffix)
		if err := os.WriteFile(path, text, requestMode); err != nil {
			t.Fatal(err)
		}
		c, err := s.fetch("x" + suffix)
		switch {
		case err != nil && (c != nil || !strings.Contains(err.Error(), "x"+suffix)):
			t.Errorf("%q: %+v, %v", text, c, err)
		case err == nil && (c == nil || check(*c) != nil || c.By.UID != os.Getuid()):
			t.Errorf("%q gave %+v", text, c)
		}
		if c, err := s.fetch("x" + suffix); c != nil || err != nil {
			t.Errorf("%q came again: %+v, %v", text, c, err)
		}
	})
}

// FuzzHold reads any hold. One that cannot be read is an error that names it, for
// nobody knows what it keeps safe, and stays; one that ended is cleared away; one
// in force can be told on.
func FuzzHold(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		s := prepared(t)
		path := s.path(holdsName + "/x" + suffix)
		if err := os.WriteFile(path, text, holdMode); err != nil {
			t.Fatal(err)
		}
		list, err := s.Holds(t.Context())
		_, gone := os.Lstat(path)
		switch {
		case err != nil && (len(list) > 0 || gone != nil || !strings.Contains(err.Error(), "x"+suffix)):
			t.Errorf("%q: %+v, %v, %v", text, list, err, gone)
		case err == nil && (len(list) == 0) != (gone != nil):
			t.Errorf("%q: %+v, and the file: %v", text, list, gone)
		}
		if _, err := json.Marshal(list); err != nil {
			t.Errorf("%q cannot be told on: %v", text, err)
		}
		for _, h := range list {
			if h.ID != "x" || h.By.UID != os.Getuid() || h.Until.Before(time.Now().Add(-time.Second)) {
				t.Errorf("%q is the hold %+v", text, h)
			}
		}
	})
}

func isMode(m fsm.Mode) bool {
	_, ok := fsm.ParseMode(string(m))
	return ok
}
