package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/config"
	"github.com/modewatch/modewatch/sinks/runfiles"
)

// checked is the JSON document of config-check.
type checked struct {
	Schema int      `json:"schema"`
	File   string   `json:"file"`
	Exists bool     `json:"exists"` // without a file the defaults count
	Valid  bool     `json:"valid"`
	Errors []string `json:"errors"`
}

// runConfigCheck tells every error of a configuration, or what it comes to.
func runConfigCheck(e env, args []string) (int, error) {
	path, named := e.configFile, len(args) == 1
	if named {
		path = args[0]
	}
	data, err := os.ReadFile(path)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && (!missing || named) {
		return 0, misuse("name another file, or none for "+config.Path, "cannot read %s: %v", path, runfiles.Cause(err))
	}
	cfg, err := config.Parse(path, data)
	doc := checked{Schema: fsm.Schema, File: path, Exists: !missing, Valid: err == nil, Errors: lines(err)}
	code := 0
	if !doc.Valid {
		code = fsm.ExitMisuse
	}
	if e.asJSON {
		return code, e.printJSON(doc)
	}
	if !doc.Valid {
		for _, line := range doc.Errors {
			fmt.Fprintln(e.stderr, tame(line, false))
		}
		return code, nil
	}
	p := e.page(25) // the columns of config.Describe
	p.config(doc, cfg)
	return 0, e.show(p)
}

// lines returns the lines of an error, one for each mistake.
func lines(err error) []string {
	if err == nil {
		return []string{}
	}
	return strings.Split(strings.TrimRight(err.Error(), "\n"), "\n")
}

// config sums up a valid configuration.
func (p *page) config(doc checked, cfg config.Config) {
	if doc.Exists {
		p.line(doc.File + " is " + p.good("valid") + ".")
	} else {
		p.line(doc.File + " does not exist; the defaults are in force.")
	}
	p.blank()
	for line := range strings.Lines(config.Describe(cfg)) {
		if r := []rune(strings.TrimSpace(line)); len(r) > p.label {
			p.row(strings.TrimSpace(string(r[:p.label])), string(r[p.label:]))
		}
	}
}

// siteGuardNames lists the executables of the site's folder of guards.
func siteGuardNames(cfg config.Config) []string {
	entries, err := os.ReadDir(cfg.GuardsDir)
	if err != nil {
		return nil
	}
	var out []string
	for _, x := range entries {
		info, err := os.Stat(cfg.GuardsDir + "/" + x.Name())
		if err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			out = append(out, x.Name())
		}
	}
	return out
}

func isSiteGuard(cfg config.Config, name string) bool {
	return slices.Contains(siteGuardNames(cfg), name)
}
