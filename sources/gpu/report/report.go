// Package report is the document by which the program modewatch-gpu tells what
// NVML says of the GPUs (D16). The program writes it, sources/gpu reads it; both
// are of one build, so that what does not fit is refused.
package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Schema is the number of this document's form.
const Schema = 1

// Document is all that is printed: the GPUs, or why they cannot be told.
type Document struct {
	Schema int      `json:"schema"`
	Driver string   `json:"driver,omitempty"` // version of the driver
	GPUs   []GPU    `json:"gpus,omitempty"`
	Error  *Failure `json:"error,omitempty"`
}

// GPU is one GPU. What the library or the GPU does not tell of its sizes and
// load is zero; UUID, PCI and Minor are always there.
type GPU struct {
	Index       int       `json:"index"` // NVML's; it changes with the hardware, so it names nothing
	UUID        string    `json:"uuid"`
	PCI         string    `json:"pci"`   // as in /sys/bus/pci/devices: 0000:01:00.0
	Minor       int       `json:"minor"` // of its device node /dev/nvidiaMINOR
	Name        string    `json:"name"`
	MemoryTotal uint64    `json:"memory_total"` // bytes
	MemoryUsed  uint64    `json:"memory_used"`  // bytes
	Utilization int       `json:"utilization"`  // percent
	Display     bool      `json:"display_active"`
	Processes   []Process `json:"processes"`
	// Unlisted are the kinds of processes that this GPU cannot list.
	Unlisted []Kind `json:"unlisted,omitempty"`
}

// Process is one process on a GPU. One that computes and draws is there twice.
type Process struct {
	PID    int    `json:"pid"`
	Kind   Kind   `json:"kind"`
	Memory uint64 `json:"memory"` // bytes, 0 where not known
}

// Kind is what a process does on a GPU.
type Kind string

// The kinds of processes.
const (
	Graphics Kind = "graphics"
	Compute  Kind = "compute"
	MPS      Kind = "mps" // a client of the multi-process service
)

// Failure is why there is no answer.
type Failure struct {
	Cause Cause  `json:"cause"`
	Call  string `json:"call,omitempty"` // the call that failed, or the library
	Code  int    `json:"code,omitempty"` // NVML's return code
	Text  string `json:"text"`
	GPU   string `json:"gpu,omitempty"` // the GPU that it is about
}

// Cause is a failure that somebody can do something about.
type Cause string

// The causes of failures.
const (
	LibraryMissing  Cause = "library-missing"
	LibraryUnusable Cause = "library-unusable"
	SymbolMissing   Cause = "symbol-missing"
	DriverNotLoaded Cause = "driver-not-loaded"
	Mismatch        Cause = "driver-library-mismatch"
	NoPermission    Cause = "no-permission"
	GPULost         Cause = "gpu-lost"
	ResetRequired   Cause = "reset-required"
	Other           Cause = "other"
)

// Encode writes the document and a line end.
func (d Document) Encode(w io.Writer) error {
	d.Schema = Schema
	return json.NewEncoder(w).Encode(d)
}

// Decode reads exactly one document. It refuses whatever it does not know, and
// a document that does not identify each GPU.
func Decode(data []byte) (Document, error) {
	var d Document
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return Document{}, fmt.Errorf("cannot read its document: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Document{}, errors.New("cannot read its document: something follows it")
	}
	if err := d.check(); err != nil {
		return Document{}, fmt.Errorf("cannot read its document: %w", err)
	}
	return d, nil
}

func (d Document) check() error {
	switch {
	case d.Schema != Schema:
		return fmt.Errorf("it has schema %d, not %d", d.Schema, Schema)
	case d.Error != nil && (d.Error.Cause == "" || len(d.GPUs) > 0):
		return errors.New("its error has no cause, or GPUs beside it")
	case d.Error == nil && d.Driver == "":
		return errors.New("it names no driver")
	}
	seen := map[string]bool{}
	for _, g := range d.GPUs {
		if g.UUID == "" || g.PCI == "" || g.Minor < 0 || seen[g.PCI] {
			return fmt.Errorf("GPU %d (%q at %q, minor %d) is not identified", g.Index, g.UUID, g.PCI, g.Minor)
		}
		seen[g.PCI] = true
		for _, p := range g.Processes {
			if p.PID <= 0 || p.Kind != Graphics && p.Kind != Compute && p.Kind != MPS {
				return fmt.Errorf("GPU %s has a process %d of kind %q", g.PCI, p.PID, p.Kind)
			}
		}
	}
	return nil
}
