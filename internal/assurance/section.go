// Package assurance is how the proofs of this program report: each writes a Section
// with its figures, and integration/cmd/assurance makes docs/assurance.md of them.
package assurance

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
)

// Section is what one proof did and found, in one run.
type Section struct {
	Title   string  `json:"title"`
	Text    string  `json:"text"`    // how it was done, for who reads the page; Markdown
	Command string  `json:"command"` // what does it again
	Date    string  `json:"date"`    // of the run, YYYY-MM-DD
	Rows    []Row   `json:"rows"`
	Tables  []Table `json:"tables,omitempty"`
}

// Row is a figure, and what it must be.
type Row struct {
	What  string `json:"what"`
	Value string `json:"value"`
	Need  string `json:"need,omitempty"` // such as "≥ 1,000,000"; empty: told only
	Unmet bool   `json:"unmet,omitempty"`
}

// Table holds details, below the figures.
type Table struct {
	Title string     `json:"title"`
	Head  []string   `json:"head"`
	Rows  [][]string `json:"rows"`
}

// Write puts a section in a file, whose name is that of the proof (see Order).
func Write(file string, s Section) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, append(data, '\n'), 0o644))
}
