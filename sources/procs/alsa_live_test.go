package procs

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// A program that plays without any sound server is seen by the kernel's word alone.
// It plays by the OSS emulation, for which no library is needed.
func TestLiveALSA(t *testing.T) {
	if os.Getenv("MODEWATCH_IN_VM") != "1" {
		t.Skip("SKIP-REASON: needs a sound card, in the virtual machine (MODEWATCH_IN_VM=1)")
	}
	p := New("/proc", func() fsm.Policy {
		return fsm.Policy{Audio: fsm.AudioPolicy{Nodes: []string{"/dev/snd/pcm*"}}}
	})
	silent := func(when string) {
		t.Helper()
		if a, err := p.Audio(t.Context()); err != nil || len(a.Users) != 0 || !strings.Contains(strings.Join(a.Looked, ","), "ALSA streams") {
			t.Errorf("%s: %+v, %v", when, a, err)
		}
	}
	silent("before")
	card, err := os.OpenFile("/dev/dsp", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	played := make(chan error, 1)
	go func() {
		_, err := card.Write(make([]byte, 80_000)) // ten seconds
		played <- err
	}()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		a, err := p.Audio(t.Context())
		if err == nil && len(a.Users) == 1 && a.Users[0].PID == os.Getpid() && a.Users[0].How == "pcmC0D0p is RUNNING" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("it plays: %+v, %v", a, err)
		}
	}
	if err := <-played; err != nil {
		t.Error(err)
	}
	if err := card.Close(); err != nil {
		t.Error(err)
	}
	silent("after")
}
