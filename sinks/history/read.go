package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sinks/runfiles"
)

// Filter says which attempts are wanted: those that ended at or after Since,
// and of them the newest Limit. Zero values do not restrict.
type Filter struct {
	Since time.Time
	Limit int
}

// A line that an Append is just writing looks torn for a moment; a reader looks
// again before it says so.
const (
	tornTries = 3
	tornPause = 2 * time.Millisecond
)

// Read returns the attempts that f selects, newest last, and in plain words what
// of the file had to be left out. No file is no attempts.
func (l *Log) Read(f Filter) ([]fsm.Attempt, []string, error) {
	for try := 1; ; try++ {
		p := page{filter: f}
		err := p.read(l.path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil, nil
		}
		if err != nil {
			return nil, nil, fmt.Errorf("cannot read %s: %w", l.path, runfiles.Cause(err))
		}
		if !p.torn || try == tornTries {
			return p.attempts(), p.notes(), nil
		}
		time.Sleep(tornPause)
	}
}

// page collects what one reading finds.
type page struct {
	filter  Filter
	found   []fsm.Attempt
	lines   int
	damaged int
	first   string // what is wrong with the first damaged line
	torn    bool
}

func (p *page) read(path string) error {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return errors.Join(err, errors.New("it is not a regular file"))
	}
	return lines(f, p.take)
}

func (p *page) take(n line) {
	p.lines++
	if !n.whole {
		p.torn = true
		return
	}
	a, err := parse(n)
	if err != nil {
		if p.damaged++; p.damaged == 1 {
			p.first = fmt.Sprintf("line %d: %v", p.lines, err)
		}
		return
	}
	if a.Ended.Before(p.filter.Since) {
		return
	}
	p.found = append(p.found, a)
	if limit := p.filter.Limit; limit > 0 && len(p.found) == 2*limit {
		p.found = append(p.found[:0], p.found[limit:]...)
	}
}

func parse(n line) (fsm.Attempt, error) {
	var a fsm.Attempt
	if n.size > len(n.text) {
		return a, fmt.Errorf("it is longer than %d bytes", lineLimit)
	}
	var head struct {
		Schema int `json:"schema"`
	}
	if err := json.Unmarshal(n.text, &head); err != nil {
		return a, err
	}
	if head.Schema < 1 || head.Schema > fsm.Schema {
		return a, fmt.Errorf("it has schema %d, this modewatch knows %d", head.Schema, fsm.Schema)
	}
	err := json.Unmarshal(n.text, &a)
	return a, err
}

func (p *page) attempts() []fsm.Attempt {
	if limit := p.filter.Limit; limit > 0 && len(p.found) > limit {
		return p.found[len(p.found)-limit:]
	}
	return p.found
}

func (p *page) notes() []string {
	var out []string
	if p.damaged > 0 {
		out = append(out, fmt.Sprintf("%d damaged of %d lines left out, the first is %s", p.damaged, p.lines, p.first))
	}
	if p.torn {
		out = append(out, "the last line is torn, as by a crash, and left out")
	}
	return out
}

// line is one line of the file, with its end. Of one beyond lineLimit text holds
// only the beginning; one that is not whole is the last, without its end.
type line struct {
	text  []byte
	size  int
	whole bool
}

const lineLimit = 4 << 20 // bytes; a longer line is no attempt

// lines calls each for every line of r; text is valid only during the call.
func lines(r io.Reader, each func(line)) error {
	b := bufio.NewReaderSize(r, 64<<10)
	var n line
	for {
		part, err := b.ReadSlice('\n')
		n.size += len(part)
		n.text = append(n.text, part[:min(len(part), lineLimit-len(n.text))]...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err == nil:
			n.whole = true
			each(n)
			n = line{text: n.text[:0]}
			continue
		}
		if n.size > 0 {
			each(n)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
}
