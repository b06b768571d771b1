package bus

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/modewatch/modewatch/sources/bus/bustest"
)

// A bus that accepts and says nothing costs a call its time-out, and hangs nobody.
func TestSilenceAtConnect(t *testing.T) {
	d := place(t)
	l, err := net.Listen("unix", d.Socket)
	d.Must(err)
	t.Cleanup(func() { l.Close() })
	var b Bus
	failed := make(chan error, 1)
	go func() { failed <- b.Call(context.Background(), peer, face+".Echo", nil, "x") }()
	if bustest.Within(t, failed, "the end of the call") == nil {
		t.Error("a bus that says nothing has answered")
	}
	closed := make(chan bool, 1)
	go func() { b.Close(); closed <- true }()
	bustest.Within(t, closed, "Close")
	alone(t)
}

// A bus that dies while the matches are made, and is found again by a call, is
// listened to all the same.
func TestTheBusGoesWhileWeComeUp(t *testing.T) {
	d := launch(t)
	var b Bus
	ticks := heard(&b, rule)
	var once sync.Once
	up := make(chan bool, 100)
	b.OnUp(func(ctx context.Context) {
		once.Do(func() {
			d.Stop()
			d.Start()
			if b.Call(ctx, peer, face+".Nobody", nil) == nil {
				t.Error("nobody has answered")
			}
		})
		up <- true
	})
	run(t, &b)
	bustest.Within(t, up, "the first connection")
	bustest.Within(t, up, "the second connection")
	conn := d.Stranger()
	emit(t, conn, "Tick", 7)
	for {
		if n := bustest.Within(t, ticks, "a signal"); n == 7 {
			return
		}
	}
}
