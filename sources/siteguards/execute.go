package siteguards

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/sources/child"
)

// maxSaid is how much of a guard's output is read.
const maxSaid = 4096

// execute runs one guard. An error means that there is no answer.
func (s *Source) execute(ctx context.Context, file string, to fsm.Mode) (code int, said string, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	r, err := child.Command{File: file, Env: []string{"MODEWATCH_TO=" + string(to)}}.Run(ctx, maxSaid)
	switch {
	case err != nil && ctx.Err() != nil:
		return 0, "", fmt.Errorf("it did not answer within %v", s.Timeout)
	case err != nil:
		return 0, "", err
	}
	if said = reason(r.Stdout); said == "" {
		said = reason(r.Stderr)
	}
	return r.Code, said, nil
}

// reason is the first line of a guard's output, or the reason in its JSON.
func reason(out []byte) string {
	var doc struct {
		Reason string `json:"reason"`
	}
	if json.Unmarshal(out, &doc) == nil && doc.Reason != "" {
		return child.Clean(doc.Reason)
	}
	line := child.Line(out)
	if json.Unmarshal([]byte(line), &doc) == nil && doc.Reason != "" {
		return child.Clean(doc.Reason)
	}
	return line
}
