// Package placement reads where the capabilities of this host live
// (specification sections 4.2, 19.7 and 21.2).
package placement

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/modewatch/modewatch/fsm"
)

// maxSize bounds the file, which has a handful of keys.
const maxSize = 64 << 10

// The placements of the studio capability.
const (
	Local    = "local"
	External = "external-mac-mini"
)

// File is capability-placement.json. Use New.
type File struct{ path string }

// New returns the source of one file.
func New(path string) *File { return &File{path} }

// Read returns the placement. A file that is missing or says something unknown
// is an error: where the studio is cannot be told then.
func (f *File) Read(context.Context) (fsm.Placement, error) {
	p, err := f.read()
	if err != nil {
		return p, fmt.Errorf("cannot read the placement of the capabilities from %s: %w", f.path, err)
	}
	return p, nil
}

func (f *File) read() (fsm.Placement, error) {
	var p fsm.Placement
	file, err := os.OpenFile(f.path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return p, err.(*os.PathError).Err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxSize+1))
	switch {
	case err != nil:
		return p, err
	case len(data) > maxSize:
		return p, fmt.Errorf("it is larger than %d bytes", maxSize)
	}
	var doc struct {
		Schema int    `json:"schema"`
		Studio string `json:"studio"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return p, fmt.Errorf("it is not valid JSON: %w", err)
	}
	switch {
	case doc.Schema != fsm.Schema:
		return p, fmt.Errorf("its schema is %d, not %d", doc.Schema, fsm.Schema)
	case doc.Studio != Local && doc.Studio != External:
		return p, fmt.Errorf("studio is %q, neither %q nor %q", doc.Studio, Local, External)
	}
	p.Studio = doc.Studio
	return p, nil
}
