// Package placement reads capability-placement.json: where the capabilities of
// the host live (specification sections 4.2, 19.7 and 21.2). The file is made by
// the configuration, not at run time, and may be a link to it.
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

// The placements of the studio capability (section 4.2).
const (
	Local    = "local"
	External = "external-mac-mini"
)

const maxSize = 64 << 10

// Read returns the placement in the file at path. A file that is missing, that
// cannot be read or says something unknown is an error: cannot tell.
func Read(_ context.Context, path string) (fsm.Placement, error) {
	data, err := content(path)
	if err != nil {
		return fsm.Placement{}, fmt.Errorf("cannot read the capability placement: %w", err)
	}
	var doc struct {
		Schema int    `json:"schema"`
		Studio string `json:"studio"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return fsm.Placement{}, fmt.Errorf("cannot read the capability placement in %s: %w", path, err)
	}
	if doc.Schema != fsm.Schema {
		return fsm.Placement{}, fmt.Errorf("cannot read the capability placement in %s: \"schema\" is %d, want %d", path, doc.Schema, fsm.Schema)
	}
	if doc.Studio != Local && doc.Studio != External {
		return fsm.Placement{}, fmt.Errorf("cannot read the capability placement in %s: \"studio\" is %q, want %q or %q", path, doc.Studio, Local, External)
	}
	return fsm.Placement{Studio: doc.Studio}, nil
}

// content reads a regular file, through links, without ever blocking.
func content(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err == nil && len(data) > maxSize {
		err = fmt.Errorf("%s holds more than %d bytes", path, maxSize)
	}
	return data, err
}
