// Package wire is what is said between a test and the agent in its machine: messages
// of a head in JSON and a body of plain bytes, each with its length before it.
package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Request asks the agent for one thing; Op says which.
type Request struct {
	ID int
	Op Op
	// Argv is the command of Run.
	Argv []string `json:",omitempty"`
	// Limit is when Run kills the command and all that is left of its group.
	Limit time.Duration `json:",omitempty"`
	// Path and Mode are those of the file that Put writes from the body.
	Path string `json:",omitempty"`
	Mode uint32 `json:",omitempty"`
	// Now is what Clock sets the wall clock to.
	Now time.Time
}

// Op names a thing that the agent does.
type Op string

// What the agent does.
const (
	Run   Op = "run"
	Put   Op = "put"
	Clock Op = "clock"
)

// Answer is the end of one request. Its body is what the command wrote: the first
// Out bytes to its output, the rest to its errors.
type Answer struct {
	ID, Code, Out int
	// Error says why it could not be done; empty if it could.
	Error string `json:",omitempty"`
}

// most bounds a part of a message: more is not said, it is noise.
const most = 256 << 20

// Write sends a head and a body as one write.
func Write(w io.Writer, head any, body []byte) error {
	text, err := json.Marshal(head)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	for _, part := range [][]byte{text, body} {
		b.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		b.Write(part)
	}
	_, err = w.Write(b.Bytes())
	return err
}

// Read receives a head, and returns the body.
func Read(r io.Reader, head any) ([]byte, error) {
	text, err := part(r)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, head); err != nil {
		return nil, fmt.Errorf("cannot read the head of a message: %w", err)
	}
	return part(r)
}

func part(r io.Reader) ([]byte, error) {
	var size uint32
	if err := binary.Read(r, binary.BigEndian, &size); err != nil {
		return nil, err
	}
	if size > most {
		return nil, fmt.Errorf("cannot read a message of %d bytes", size)
	}
	data := make([]byte, size)
	_, err := io.ReadFull(r, data)
	return data, err
}
