// Package config turns the configuration as written (TOML, strict) into the
// configuration as used. Every fault is reported, all at once, each with file,
// line and column, the key, what is wrong, and what to write instead. A file
// that has a fault is refused whole (D11).
package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/modewatch/modewatch/fsm"
)

// Path is where the configuration is looked for.
const Path = "/etc/modewatch/config.toml"

// Config is the configuration as used. Its zero value is not valid.
type Config struct {
	// Policy is what the decisions go by.
	Policy fsm.Policy
	// Normalise says whether the first start of a boot starts desktop.target
	// (D7, D11).
	Normalise bool
	// RunDir holds what lives until the next boot, LibDir what is durable (D19).
	RunDir, LibDir string
	// GuardsDir holds the site guards, each of which may take GuardTimeout (D14).
	GuardsDir    string
	GuardTimeout time.Duration
	// PlacementFile says where the capabilities live (section 19.7).
	PlacementFile string
	// NVML says whether and how NVIDIA's driver is asked (D16).
	NVML NVML
	// LogLevel is one of LogLevels.
	LogLevel string
	History  History
}

// NVML says how NVIDIA's driver is asked who is on its GPUs.
type NVML struct {
	Off     bool          // the device nodes decide alone
	Library string        // its path; empty for where drivers put it
	Timeout time.Duration // of one question
}

// The words of gpus.nvml.
const (
	nvmlAuto = "auto"
	nvmlOff  = "off"
)

// History bounds the durable history (D19).
type History struct {
	Max int // attempts that are kept
}

// LogLevels lists the log levels, the most talkative first.
var LogLevels = []string{"trace", "debug", "info", "warn", "error"}

// Default returns the configuration of an empty file.
func Default() Config { return used(defaults()) }

// Parse reads a configuration; name is told in the errors. Keys that are not
// written have their defaults. The error joins one *Fault for each fault.
func Parse(name string, data []byte) (Config, error) {
	doc, err := parseTOML(name, data)
	if err != nil {
		return Config{}, err
	}
	r := defaults()
	doc.bind(&r)
	doc.check(r)
	if err := doc.err(); err != nil {
		return Config{}, err
	}
	return used(r), nil
}

// limit is more than any configuration needs.
const limit = 1 << 20

// Load reads the configuration file; one that does not exist is Default.
func Load(path string) (Config, error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return Default(), nil
	}
	if err != nil {
		return Config{}, fmt.Errorf("cannot read the configuration: %w", err)
	}
	if !info.Mode().IsRegular() {
		return Config{}, fmt.Errorf("cannot read the configuration: %s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return Config{}, fmt.Errorf("cannot read the configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return Config{}, fmt.Errorf("cannot read the configuration: %w", err)
	}
	if len(data) > limit {
		return Config{}, fmt.Errorf("cannot read the configuration: %s is larger than %d bytes", path, limit)
	}
	return Parse(path, data)
}
