package audio

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// dumper is a source whose pw-dump is a script: it says now, and if it is to go on,
// then, too. It finds the server's directory in its environment, as the real one.
func dumper(t *testing.T, debounce time.Duration, now string, then ...string) *Source {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pw-dump")
	script := "#!/bin/sh\n" + now + "\ntest \"$1\" = --monitor || exit 0\n" + strings.Join(then, "\n") + "\n"
	if err := os.WriteFile(file, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	p := fsm.Policy{Audio: fsm.AudioPolicy{Program: file, Debounce: debounce}}
	return New(func() fsm.Policy { return p })
}

const (
	never = time.Hour
	quiet = `echo '[{"id":1,"type":"PipeWire:Interface:Node","info":{"state":"suspended","props":{"media.class":"Audio/Sink"}}}]'`
)

var (
	justUsed = "echo '[" + client + "," + sink + "]'"
	starts   = "echo '[" + state("running") + "]'"
	server   = fsm.AudioServer{PID: 5, UID: 1000, Dir: "/run/user/1000"}
)

// ask wants an answer well before the debounce of never.
func ask(t *testing.T, s *Source, servers ...fsm.AudioServer) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	users, err := s.Users(ctx, servers)
	return told(users), err
}

func TestUsers(t *testing.T) {
	const plays = "song (Song) plays at 64/48000 in PipeWire, 0 links"
	for name, c := range map[string]struct {
		debounce time.Duration
		now      string
		then     []string
		want     string
	}{
		"long quiet: no wait":             {never, quiet, nil, ""},
		"in use: no wait":                 {never, "echo '[" + client + "," + sink + "," + state("running") + "]'", nil, plays},
		"quiet for the debounce":          {20 * time.Millisecond, justUsed, []string{"sleep 60"}, ""},
		"no debounce: no wait":            {0, justUsed, nil, ""},
		"in use again while it waits":     {never, justUsed, []string{starts, "sleep 60"}, plays},
		"another change while it waits":   {never, justUsed, []string{"echo '[" + state("suspended") + "]'", starts, "sleep 60"}, plays},
		"the server's directory is given": {never, `test "$PIPEWIRE_RUNTIME_DIR" = /run/user/1000 && test "$*" = "--no-colors" && ` + quiet, nil, ""},
	} {
		if got, err := ask(t, dumper(t, c.debounce, c.now, c.then...), server); got != c.want || err != nil {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
	}
}

// What cannot be read is never "nobody", and names the server.
func TestCannotTell(t *testing.T) {
	for name, c := range map[string]struct{ now, then, want string }{
		"it refuses":                     {"echo 'can not connect: Host is down' >&2; exit 255", "", "Host is down"},
		"it is killed":                   {"kill -9 $$", "", "signal: killed"},
		"it says nothing":                {"exit 0", "", "cannot understand"},
		"garbage":                        {"echo '{]'", "", "cannot understand"},
		"no list":                        {`echo '{"id":3}'`, "", "cannot understand"},
		"half an answer":                 {`printf '[{"id":'`, "", "cannot understand"},
		"it ends while it is waited for": {justUsed, "exit 0", "pw-dump ended"},
		"garbage while it is waited for": {justUsed, "echo '{]'; sleep 60", "cannot understand"},
	} {
		_, err := ask(t, dumper(t, never, c.now, c.then), server)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "graph of uid 1000 in /run/user/1000") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	gone := New(func() fsm.Policy { return fsm.Policy{Audio: fsm.AudioPolicy{Program: "no-such-pw-dump"}} })
	if _, err := ask(t, gone, server); err == nil || !strings.Contains(err.Error(), "no-such-pw-dump is not installed") {
		t.Errorf("no program: %v", err)
	}
}

// A server that hangs is given up, and does not take the deadline of the look.
func TestAServerThatHangs(t *testing.T) {
	began := time.Now()
	_, err := ask(t, dumper(t, never, "sleep 60"), server)
	if took := time.Since(began); err == nil || !strings.Contains(err.Error(), "no answer within 3s") || took < answersWithin || took > 10*answersWithin {
		t.Errorf("after %v: %v", took, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := dumper(t, never, justUsed, "sleep 60").Users(ctx, []fsm.AudioServer{server}); err == nil {
		t.Error("the end of the look is taken for quiet")
	}
}

// Watch hints when the answer changes, not when the graph does, and ends with its
// servers; what it cannot read is for the next look to tell.
func TestWatch(t *testing.T) {
	louder := "echo '[" + strings.Replace(client, `"id":7`, `"id":8`, 1) + "]'"
	hints := 0
	s := dumper(t, never, justUsed, louder, starts, louder, starts, "echo '["+state("idle")+"]'")
	s.Watch(t.Context(), []fsm.AudioServer{server}, func() { hints++ })
	if hints != 4 {
		t.Errorf("%d hints, want 4: there, in use, no longer, gone", hints)
	}
	ctx, cancel := context.WithCancel(t.Context())
	hints = 0
	dumper(t, never, starts, "sleep 60").Watch(ctx, []fsm.AudioServer{server}, func() { hints++; cancel() })
	if hints != 1 {
		t.Errorf("%d hints after it was called off, want 1", hints)
	}
}

// One of two servers that cannot be read makes the whole unknown, whatever the
// other has.
func TestTwoServers(t *testing.T) {
	now := `test "$PIPEWIRE_RUNTIME_DIR" = /run/user/1001 || { ` + quiet + "; exit 0; }\n" + justUsed
	other := fsm.AudioServer{PID: 6, UID: 1001, Dir: "/run/user/1001"}
	users, err := dumper(t, never, now, starts, "sleep 60").Users(t.Context(), []fsm.AudioServer{server, other})
	if err != nil || len(users) != 1 || users[0].UID != 1001 {
		t.Errorf("%+v, %v", users, err)
	}
	broken := strings.Replace(now, justUsed, "exit 1", 1)
	if _, err := dumper(t, never, broken).Users(t.Context(), []fsm.AudioServer{server, other}); err == nil || !strings.Contains(err.Error(), "uid 1001") {
		t.Errorf("%v", err)
	}
}
