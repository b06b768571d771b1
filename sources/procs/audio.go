package procs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/modewatch/modewatch/fsm"
)

// audio tells who uses audio. Sound servers keep a node open while nothing
// plays: those of Ignore count only while ALSA says that the stream runs.
func (t *table) audio(p fsm.AudioPolicy) (fsm.Audio, error) {
	out := fsm.Audio{Looked: []string{"process names", "holders of " + strings.Join(p.Nodes, ", ")}}
	seen := map[int]bool{}
	use := func(pid int, comm, how string) {
		if !seen[pid] || pid == 0 {
			seen[pid] = true
			out.Users = append(out.Users, fsm.AudioUse{PID: pid, UID: t.owner(pid), Comm: comm, How: how})
		}
	}
	nodes, err := compile(p.Nodes)
	if err != nil {
		return fsm.Audio{}, err
	}
	for _, pr := range t.procs {
		if name := pr.known(p.Processes); name != "" {
			use(pr.pid, pr.comm, "configured process "+name)
		}
		for _, node := range pr.nodes {
			if nodes.match(node) && !pr.certainly(p.Ignore) {
				use(pr.pid, pr.comm, "holds "+node)
			}
		}
	}
	streams, cards, err := t.streams()
	if err != nil {
		return fsm.Audio{}, err
	}
	for _, s := range streams {
		use(s.pid, t.comm(s.pid), s.node+" is "+s.state)
	}
	if cards {
		out.Looked = append(out.Looked, "ALSA streams")
	} else {
		out.Looked = append(out.Looked, "no ALSA card")
	}
	return out, nil
}

// stream is one ALSA stream that moves sound.
type stream struct {
	node  string // pcmC0D0p
	state string
	pid   int // 0: not known
}

// moving are ALSA's states of a stream that moves sound, or just failed to.
var moving = []string{"RUNNING", "DRAINING", "XRUN"}

// streams reads /proc/asound; cards is false on a host without ALSA.
func (t *table) streams() (out []stream, cards bool, err error) {
	base := filepath.Join(t.root, "asound")
	if _, err := os.Stat(base); errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	} else if err != nil {
		return nil, false, fmt.Errorf("cannot look at the sound cards: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(base, "card*", "pcm*", "sub*", "status"))
	if err != nil {
		return nil, true, fmt.Errorf("cannot look at the sound cards: %w", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
			continue // the card was unplugged
		}
		if err != nil {
			return nil, true, fmt.Errorf("cannot read the state of a sound stream: %w", err)
		}
		s := parseStream(string(data))
		if !slices.Contains(moving, s.state) {
			continue
		}
		pcm, card := filepath.Base(filepath.Dir(filepath.Dir(file))), filepath.Base(filepath.Dir(filepath.Dir(filepath.Dir(file))))
		s.node = "pcmC" + strings.TrimPrefix(card, "card") + "D" + strings.TrimPrefix(pcm, "pcm")
		s.pid = t.leader(s.pid)
		out = append(out, s)
	}
	return out, true, nil
}

// parseStream reads a status file: "closed", or lines of "name : value".
func parseStream(text string) stream {
	var s stream
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(name) {
		case "state":
			s.state = strings.TrimSpace(value)
		case "owner_pid":
			s.pid, _ = strconv.Atoi(strings.TrimSpace(value))
		}
	}
	return s
}

// leader returns the process of a thread: ALSA names the thread.
func (t *table) leader(tid int) int {
	data, err := t.read(strconv.Itoa(tid) + "/status")
	if err != nil {
		return tid
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, "Tgid:"); ok {
			if pid, err := strconv.Atoi(strings.TrimSpace(value)); err == nil {
				return pid
			}
		}
	}
	return tid
}

func (t *table) comm(pid int) string {
	for _, p := range t.procs {
		if p.pid == pid {
			return p.comm
		}
	}
	return "unknown"
}
