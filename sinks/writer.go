package sinks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sinks/history"
	"github.com/modewatch/modewatch/sinks/journal"
	"github.com/modewatch/modewatch/sinks/notify"
	"github.com/modewatch/modewatch/sinks/runfiles"
)

// writer puts records on disk and keeps what a disk did not take.
type writer struct {
	dirs    runfiles.Dirs
	history *history.Log
	journal *journal.Journal
	ahead   *ahead

	// What is to be written; nil and empty when it has been.
	transition *fsm.Attempt
	judged     *fsm.Attempt
	backlog    []fsm.Attempt // for the history, oldest first
	settled    int64         // the intent that is to go, by its number; 0 for none
	snap       *fsm.Snapshot

	trouble map[string]string // by file, the cause told last
}

const (
	// backlogMost bounds the attempts kept in memory for a disk that is full.
	backlogMost = 256
	// journalLead is how long an attempt's files wait for the journal to be
	// told first, as D6 orders it.
	journalLead = 100 * time.Millisecond
)

// write writes in the order of the story. Its error is what is still to be
// written; it has been told to the journal already.
func (w *writer) write(p posted) error {
	if len(p.ends) > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), journalLead)
		_ = w.journal.Flush(ctx) // a journal that hangs only loses its place in the order
		cancel()
	}
	for i := range p.ends {
		w.take(&p.ends[i])
	}
	if p.snap != nil {
		w.snap = p.snap
	}
	w.settled = max(w.settled, p.settled)
	return errors.Join(w.putTransition(), w.putGuards(), w.putHistory(), w.settle(), w.putSnapshot())
}

func (w *writer) take(a *fsm.Attempt) {
	w.transition = a
	if len(a.Verdicts) > 0 {
		w.judged = a
	}
	if len(w.backlog) == backlogMost {
		w.note(fmt.Sprintf("cannot keep attempt %s for the history: %d others wait for the disk", w.backlog[0].ID, backlogMost))
		w.backlog = w.backlog[1:]
	}
	w.backlog = append(w.backlog, *a)
}

func (w *writer) putTransition() error {
	if w.transition == nil {
		return nil
	}
	err := w.told("last-transition.json", w.dirs.WriteTransition(*w.transition))
	if err == nil {
		w.transition = nil
	}
	return err
}

func (w *writer) putGuards() error {
	if w.judged == nil {
		return nil
	}
	err := w.told("last-guards.json", w.dirs.WriteGuards(w.judged.Ended, w.judged.Verdicts))
	if err == nil {
		w.judged = nil
	}
	return err
}

func (w *writer) putHistory() error {
	for len(w.backlog) > 0 {
		if err := w.told("the history", w.history.Append(w.backlog[0])); err != nil {
			return err
		}
		w.backlog = w.backlog[1:]
	}
	w.backlog = nil
	return nil
}

// settle follows the records, also where a disk did not take them: they are in the
// journal, and what the intent asks of a successor is done.
func (w *writer) settle() error {
	if w.settled == 0 {
		return nil
	}
	err := w.told("intent.json", w.ahead.settle(w.settled))
	if err == nil {
		w.settled = 0
	}
	return err
}

// putSnapshot ends with state.json, for which readers wait.
func (w *writer) putSnapshot() error {
	if w.snap == nil {
		return nil
	}
	s := *w.snap
	err := errors.Join(
		w.told("current", w.dirs.WriteCurrent(fsm.Mode(s.Current()), s.At)),
		w.told("state.json", w.dirs.WriteState(s)))
	if err == nil {
		w.snap = nil
	}
	_ = w.told("the status line", notify.Status(s)) // the next snapshot brings another
	return err
}

// told tells the journal of a write that failed, once for each cause, and of the
// first that went well after it.
func (w *writer) told(what string, err error) error {
	before, bad := w.trouble[what]
	switch {
	case err == nil && bad:
		delete(w.trouble, what)
		w.note(what + " is written again")
	case err != nil && (!bad || before != err.Error()):
		w.trouble[what] = err.Error()
		w.note(err.Error())
	}
	return err
}

func (w *writer) note(text string) {
	w.journal.Record(fsm.Note{What: fsm.NoteSource, Text: text, At: time.Now()})
}
