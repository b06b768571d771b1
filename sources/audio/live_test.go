package audio

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jfreymuth/pulse"
	"github.com/modewatch/modewatch/fsm"
)

// Somebody's PipeWire that does not run is nobody's audio, and is not woken.
func TestLabNobodyIsWoken(t *testing.T) {
	s := newStudio(t)
	s.must("systemctl", "--user", "-M", "bob@", "stop", "filter-chain.service", "pipewire-pulse.service", "wireplumber.service", "pipewire.service")
	s.sees("nothing runs")
	if got := s.service("bob"); got != "inactive" {
		t.Errorf("bob's PipeWire is %s after it was asked about", got)
	}
}

// What a person does with a player: plays silence, pauses, goes on, ends it. It
// speaks PulseAudio's protocol, as browsers do, in which to pause is to cork.
func TestLabAPlayer(t *testing.T) {
	s := newStudio(t)
	client, err := pulse.NewClient(pulse.ClientApplicationName("Song"), pulse.ClientServerString("unix:"+dirOf(t, "alice")+"/pulse/native"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	silence := pulse.Int16Reader(func(out []int16) (int, error) { clear(out); return len(out), nil })
	player, err := client.NewPlayback(silence, pulse.PlaybackLatency(0.1))
	if err != nil {
		t.Fatal(err)
	}
	player.Start()
	s.node("alice", "Song", "running")
	s.sees("silence is played", "inside.test of alice (Song) plays at")
	player.Pause()
	s.node("alice", "Song", "idle")
	s.sees("it is paused")
	s.policy.Audio.LowLatency = 500 * time.Millisecond
	s.sees("it is paused, and that is low latency here", "inside.test of alice (Song) is connected to PipeWire with low latency")
	s.policy.Audio.LowLatency = 6 * time.Millisecond
	s.policy.Audio.Deny = []string{"Song"}
	s.sees("it is paused, and denied", "inside.test of alice (Song) is connected to PipeWire, which")
	s.policy.Audio.Deny = nil
	player.Resume()
	s.node("alice", "Song", "running")
	s.sees("it goes on", "inside.test of alice (Song) plays at")
	player.Close()
	s.node("alice", "auto_null", "idle")
	began := time.Now()
	s.sees("it was ended")
	if took := time.Since(began); took < s.policy.Audio.Debounce {
		t.Errorf("judged quiet after %v, sooner than the debounce", took)
	}
}

// One that hangs while it plays still has its stream.
func TestLabAPlayerHangs(t *testing.T) {
	s := newStudio(t)
	play, stop := s.starts("alice", "pw-play", s.silent)
	defer stop()
	s.node("alice", "pw-play", "running")
	if err := play.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	s.sees("the player hangs", "pw-cat of alice (pw-play) plays at 4800/48000 in PipeWire, 2 links")
}

func TestLabTwoUsersAndJACK(t *testing.T) {
	s := newStudio(t)
	_, stopAlice := s.starts("alice", "pw-record", "/dev/null")
	_, stopBob := s.starts("bob", "pacat", "--playback", "--raw", "--rate=48000", "--channels=2", "/dev/zero")
	s.node("alice", "pw-record", "running")
	s.node("bob", "pacat", "running")
	s.sees("both", "pacat of bob plays at", "pw-cat of alice (pw-record) records")
	stopAlice()
	stopBob()
	_, stop := s.starts("bob", "pw-jack", "-p", "64", "jack_metro", "-b", "60")
	s.node("bob", "metro", "running")
	s.sees("a JACK client", "jack_metro of bob is a running JACK client at 64/48000")
	s.policy.Audio.Allow = []string{"jack_metro"}
	s.sees("it is allowed")
	stop()
}

// PipeWire killed is PipeWire that cannot be read or has nobody; it comes back, and
// so do its clients.
func TestLabPipeWireIsKilled(t *testing.T) {
	s := newStudio(t)
	s.starts("alice", "pw-play", s.silent)
	s.node("alice", "pw-play", "running")
	s.must("systemctl", "--user", "-M", "alice@", "kill", "--kill-whom=main", "-s", "KILL", "pipewire.service")
	s.must("systemctl", "--user", "-M", "alice@", "restart", "wireplumber.service", "pipewire-pulse.service")
	s.ready("alice")
	s.starts("alice", "pw-play", s.silent)
	s.node("alice", "pw-play", "running")
	s.sees("after the restart", "pw-cat of alice (pw-play) plays")
}

// One that hangs cannot be told, within its deadline.
func TestLabPipeWireHangs(t *testing.T) {
	s := newStudio(t)
	_, stop := s.starts("alice", "pw-play", s.silent)
	s.node("alice", "pw-play", "running")
	pid, err := strconv.Atoi(s.must("systemctl", "--user", "-M", "alice@", "show", "-P", "MainPID", "pipewire.service"))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	a, err := s.look()
	if took := time.Since(began); err == nil || !strings.Contains(err.Error(), "no answer within 3s") || took > 6*time.Second {
		t.Errorf("after %v: %+v, %v", took, a, err)
	}
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	stop()
}

// A change is told within 500 ms.
func TestLabAChangeIsToldAtOnce(t *testing.T) {
	s := newStudio(t)
	_, stop := s.starts("alice", "pw-play", s.silent) // so that PipeWire runs
	s.node("alice", "pw-play", "running")
	hints := make(chan time.Time, 10)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		s.source.Watch(ctx, []fsm.AudioServer{{UID: uidOf(t, "alice"), Dir: dirOf(t, "alice")}}, func() { hints <- time.Now() })
	})
	defer wg.Wait()
	defer cancel()
	<-hints // it plays
	began := time.Now()
	stop()
	t.Logf("figure: end of a player to hint %v", (<-hints).Sub(began))
	if took := time.Since(began); took > 500*time.Millisecond {
		t.Errorf("the end of a player was told after %v", took)
	}
	began = time.Now()
	_, stop = s.starts("alice", "pw-play", s.silent)
	t.Logf("figure: start of a player to hint %v", (<-hints).Sub(began))
	if took := time.Since(began); took > 500*time.Millisecond {
		t.Errorf("a player was told after %v", took)
	}
	stop()
}
