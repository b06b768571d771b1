package audio

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sources/procs"
)

// studio is a host with real users, whose PipeWire and WirePlumber are started by
// their sockets, with WirePlumber's null sink for a sound card.
type studio struct {
	t      *testing.T
	policy fsm.Policy
	source *Source
	procs  *procs.Procs
	silent string // a file of silence
}

func newStudio(t *testing.T) *studio {
	t.Helper()
	if os.Getenv("MODEWATCH_IN_LAB") != "1" {
		t.Skip("SKIP-REASON: needs the lab (MODEWATCH_IN_LAB=1)")
	}
	s := &studio{t: t, silent: filepath.Join(t.TempDir(), "silence.wav")}
	s.policy = fsm.Policy{Audio: fsm.AudioPolicy{Nodes: []string{"/dev/snd/pcm*"}, Ignore: []string{"pipewire"},
		Servers: []string{"pipewire"}, Program: "pw-dump", Debounce: 2 * time.Second, LowLatency: 6 * time.Millisecond}}
	s.source = New(func() fsm.Policy { return s.policy })
	s.procs = procs.New("/proc", func() fsm.Policy { return s.policy })
	if err := os.WriteFile(s.silent, silence(120), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := errorsOf(os.Chmod(filepath.Dir(s.silent), 0o755), os.Chmod(filepath.Dir(filepath.Dir(s.silent)), 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"alice", "bob"} {
		s.must("loginctl", "enable-linger", who)
		s.must("systemctl", "start", fmt.Sprintf("user@%d.service", uidOf(t, who)))
		s.must("systemctl", "--user", "-M", who+"@", "start", "pipewire.service", "wireplumber.service", "pipewire-pulse.service")
		s.ready(who)
	}
	return s
}

func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// silence is a sound file of that many seconds, 48 kHz, 16 bit, stereo.
func silence(seconds uint32) []byte {
	size := seconds * 48000 * 4
	out := []byte("RIFF")
	out = binary.LittleEndian.AppendUint32(out, size+36)
	out = append(out, "WAVEfmt "...)
	for _, n := range []uint32{16, 2<<16 | 1, 48000, 48000 * 4, 16<<16 | 4} {
		out = binary.LittleEndian.AppendUint32(out, n)
	}
	out = append(out, "data"...)
	return append(binary.LittleEndian.AppendUint32(out, size), make([]byte, size)...)
}

func uidOf(t *testing.T, who string) int {
	t.Helper()
	u, err := user.Lookup(who)
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		t.Fatal(err)
	}
	return uid
}

func dirOf(t *testing.T, who string) string { return "/run/user/" + strconv.Itoa(uidOf(t, who)) }

func (s *studio) must(name string, args ...string) string {
	s.t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// starts runs a program as a user, until the test or what it returns ends it.
func (s *studio) starts(who string, args ...string) (*exec.Cmd, func()) {
	s.t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	uid := uint32(uidOf(s.t, who))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=/tmp", "XDG_RUNTIME_DIR=" + dirOf(s.t, who)}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := false
	end := func() {
		if !ended {
			ended = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	s.t.Cleanup(end)
	return cmd, end
}

// look is the whole way of a guard's question.
func (s *studio) look() (fsm.Audio, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	a, err := s.procs.Audio(ctx)
	if err != nil {
		return a, err
	}
	var g fsm.AudioGraphs
	if g.Servers, err = s.procs.Servers(ctx); err != nil {
		return a, err
	}
	g.Users, err = s.source.Users(ctx, g.Servers)
	return a.WithGraphs(g), err
}

// sees wants audio to be in use by exactly these, as "comm of USER how…".
func (s *studio) sees(when string, want ...string) {
	s.t.Helper()
	a, err := s.look()
	var got []string
	for _, u := range a.Users {
		name := strconv.Itoa(u.UID)
		if found, err := user.LookupId(name); err == nil {
			name = found.Username
		}
		got = append(got, fmt.Sprintf("%s of %s %s", u.Comm, name, u.How))
	}
	slices.Sort(got)
	ok := err == nil && len(got) == len(want)
	for i := 0; ok && i < len(want); i++ {
		ok = strings.HasPrefix(got[i], want[i])
	}
	if !ok {
		s.t.Errorf("%s: %q, %v, want %q", when, got, err, want)
	}
}

// until waits for what another process brings about.
func (s *studio) until(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("waited for %s in vain", what)
		}
	}
}

// node waits for a node of a name to be in a state, and returns its id.
func (s *studio) node(who, name string, states ...string) (id int) {
	s.t.Helper()
	server := fsm.AudioServer{UID: uidOf(s.t, who), Dir: dirOf(s.t, who)}
	s.until(fmt.Sprintf("%s of %s to be %v", name, who, states), func() bool {
		found := false
		err := s.source.follow(s.t.Context(), server, func(g *Graph) (bool, time.Duration) {
			for at, n := range g.nodes {
				if string(n.Props.Name) == name && slices.Contains(states, n.State) {
					id, found = at, true
				}
			}
			return found, time.Second
		})
		return err == nil && found
	})
	return id
}

// ready waits for a user's PipeWire to have its sound card.
func (s *studio) ready(who string) {
	s.t.Helper()
	s.node(who, "auto_null", "suspended", "idle", "running")
}

func (s *studio) service(who string) string {
	return s.must("systemctl", "--user", "-M", who+"@", "show", "-P", "ActiveState", "pipewire.service")
}
