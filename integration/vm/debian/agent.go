package debian

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/modewatch/modewatch/integration/vm/debian/wire"
)

// reply is an answer of the agent with its body.
type reply struct {
	wire.Answer
	body []byte
}

// agent is our end of the serial port. Several goroutines may ask at once.
type agent struct {
	conn    net.Conn
	writing sync.Mutex

	mu    sync.Mutex
	last  int
	asked map[int]chan reply
	gone  chan struct{} // closed when the port is
	why   error
}

func openAgent(conn net.Conn) *agent {
	a := &agent{conn: conn, asked: map[int]chan reply{}, gone: make(chan struct{})}
	go a.listen()
	return a
}

// listen hands on answers until the port is closed.
func (a *agent) listen() {
	defer close(a.gone)
	for {
		var r reply
		r.body, a.why = wire.Read(a.conn, &r.Answer)
		if a.why != nil {
			if errors.Is(a.why, io.EOF) {
				a.why = errors.New("the machine is off")
			}
			return
		}
		a.mu.Lock()
		if to := a.asked[r.ID]; to != nil {
			to <- r
		}
		a.mu.Unlock()
	}
}

// ask has the agent do one thing, and waits for its end.
func (a *agent) ask(ctx context.Context, q wire.Request, body []byte) (reply, error) {
	answered := make(chan reply, 1)
	a.mu.Lock()
	a.last++
	q.ID = a.last
	a.asked[q.ID] = answered
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		delete(a.asked, q.ID)
		a.mu.Unlock()
	}()
	if err := a.send(ctx, q, body); err != nil {
		return reply{}, err
	}
	select {
	case r := <-answered:
		if r.Error != "" {
			return r, errors.New(r.Error)
		}
		return r, nil
	case <-a.gone:
		return reply{}, a.why
	case <-ctx.Done():
		return reply{}, fmt.Errorf("the agent did not answer: %w", ctx.Err())
	}
}

func (a *agent) send(ctx context.Context, q wire.Request, body []byte) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	stop := context.AfterFunc(ctx, func() { _ = a.conn.SetWriteDeadline(time.Now()) })
	defer stop()
	return wire.Write(a.conn, q, body)
}
