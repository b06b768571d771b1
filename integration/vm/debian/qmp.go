package debian

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// monitor is the emulator's QMP, one command at a time.
type monitor struct {
	mu   sync.Mutex
	conn net.Conn
	in   *bufio.Reader
}

// openMonitor greets the emulator.
func openMonitor(ctx context.Context, conn net.Conn) (*monitor, error) {
	q := &monitor{conn: conn, in: bufio.NewReader(conn)}
	return q, q.do(ctx, "qmp_capabilities", nil, nil)
}

// do runs a command and reads what it returns into result, unless that is nil.
func (q *monitor) do(ctx context.Context, command string, args, result any) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { _ = q.conn.SetDeadline(time.Now()) })
	defer stop()
	said, err := json.Marshal(struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
	}{command, args})
	if err != nil {
		return err
	}
	if _, err := q.conn.Write(append(said, '\n')); err != nil {
		return fmt.Errorf("cannot tell the emulator %s: %w", command, err)
	}
	return q.answer(command, result)
}

// answer passes over the greeting and events.
func (q *monitor) answer(command string, result any) error {
	for {
		line, err := q.in.ReadBytes('\n')
		if err != nil {
			return fmt.Errorf("cannot hear from the emulator about %s: %w", command, err)
		}
		var a struct {
			Return json.RawMessage
			Error  *struct{ Desc string }
		}
		switch err := json.Unmarshal(line, &a); {
		case err != nil:
			return fmt.Errorf("cannot read the emulator's answer to %s: %w", command, err)
		case a.Error != nil:
			return fmt.Errorf("the emulator refused %s: %s", command, a.Error.Desc)
		case a.Return == nil:
			continue
		case result != nil:
			return json.Unmarshal(a.Return, result)
		}
		return nil
	}
}

// human runs a command of the monitor for people, which complains in its text.
func (q *monitor) human(ctx context.Context, command string) error {
	var said string
	args := map[string]string{"command-line": command}
	if err := q.do(ctx, "human-monitor-command", args, &said); err != nil {
		return err
	}
	if said = strings.TrimSpace(said); said != "" {
		return fmt.Errorf("the emulator said to %s: %s", command, said)
	}
	return nil
}
