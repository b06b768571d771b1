package debian

import (
	"context"
	"strings"
	"testing"
	"time"
)

// A program that plays straight to the card, past every sound server, blocks the way
// into compute by name; when it has ended nothing does.
func TestAPlayerOnTheBareCard(t *testing.T) {
	m := Boot(t, Options{Install: []string{"../../../out/stage"}})
	m.Must(t, "modprobe", "snd-dummy")
	m.Must(t, "udevadm", "wait", "--timeout=20", "/dev/snd/pcmC0D0p")
	m.Must(t, "systemd-run", "--quiet", "--unit=player", "aplay", "-q", "-D", "hw:0", "-f", "S16_LE", "-c", "2", "-r", "48000", "/dev/zero")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// The card's state is told to nobody who does not read it.
	const running = `until grep -q RUNNING /proc/asound/card0/pcm0p/sub0/status; do sleep 0.05; done`
	if r, err := m.Run(ctx, "sh", "-c", running); err != nil {
		t.Fatal(r, err)
	}
	guard := func() (Result, error) {
		return m.Run(ctx, "modewatch", "guard", "check_audio_idle", "--to", "compute")
	}
	r, err := guard()
	if err != nil || r.Code != 10 || !strings.Contains(r.Stdout+r.Stderr, "aplay") || !strings.Contains(r.Stdout+r.Stderr, "pcmC0D0p") {
		t.Errorf("while it plays: %+v, %v", r, err)
	}
	m.Must(t, "systemctl", "stop", "player")
	if r, err := guard(); err != nil || r.Code != 0 {
		t.Errorf("after it: %+v, %v", r, err)
	}
}
