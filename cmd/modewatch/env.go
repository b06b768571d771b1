package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/modewatch/modewatch/fsm"
	"github.com/modewatch/modewatch/internal/config"
	"github.com/modewatch/modewatch/internal/engine"
	"github.com/spf13/pflag"
)

// defaultConfig is where the configuration is read from without --config.
const defaultConfig = config.Path

// env is what a command works in: its outputs, its environment and the global
// flags.
type env struct {
	prog   string // the name that it was invoked by
	stdout io.Writer
	stderr io.Writer
	getenv func(string) string
	// host gives access to the machine, and what to call when done with it.
	host func(config.Config) (engine.Host, func())
	// start and stop have systemd start a unit, or stop one and wait.
	start func(ctx context.Context, unit string) (job, error)
	stop  func(ctx context.Context, unit string) error
	// once makes an attempt in this process and returns its exit code.
	once func(context.Context, env, fsm.Wish) int
	// every is the time between two looks at an attempt that makes no event,
	// grace how long a controller that is gone or silent is waited for.
	every, grace time.Duration

	asJSON     bool
	quiet      bool
	noColor    bool
	configFile string
	runDir     string
	libDir     string
}

// note tells on standard error what is worth knowing, and stops nothing.
func (e env) note(text string) {
	fmt.Fprintf(e.stderr, "%s: %s %s\n", e.prog, e.stylesErr().warn("note:"), text)
}

// globals declares the flags that every verb has.
func (e *env) globals(f *pflag.FlagSet) {
	f.BoolVar(&e.asJSON, "json", false, "print one JSON document, with its schema")
	f.StringVar(&e.configFile, "config", defaultConfig, "read the configuration from `FILE`")
	f.StringVar(&e.runDir, "run-dir", "", "keep the state in `DIR` instead of the configured directory")
	f.StringVar(&e.libDir, "lib-dir", "", "keep the history in `DIR` instead of the configured directory")
	f.BoolVar(&e.noColor, "no-color", false, "do not colour the output, as the variable NO_COLOR")
	f.BoolVarP(&e.quiet, "quiet", "q", false, "print errors alone; the exit code tells the rest")
}

// command is the whole program: it finds the verb, reads the flags, runs it and
// returns the exit code.
func (e env) command(argv0 string, args []string) int {
	e.prog, args = e.invokedAs(filepath.Base(argv0), args)
	code, err := e.dispatch(args)
	if err != nil {
		return e.fail(err)
	}
	return code
}

// invokedAs turns the names of the installed links into verbs: a guard's name
// (section 24.1) and the observer of section 23.3.
func (e env) invokedAs(name string, args []string) (string, []string) {
	switch {
	case strings.HasPrefix(name, "check_"):
		return name, append([]string{"guard", name}, args...)
	case name == "observe-current":
		return name, append([]string{"observe-current"}, args...)
	case name == "mode":
		return name, args
	}
	return "modewatch", args
}

// load reads the configuration and lets the flags have their way.
func (e env) load() (config.Config, error) {
	c, err := config.Load(e.configFile)
	if err != nil {
		return c, badConfig(e, lines(err))
	}
	if e.runDir != "" {
		c.RunDir = e.runDir
	}
	if e.libDir != "" {
		c.LibDir = e.libDir
	}
	return c, nil
}

// badConfig tells the first error of a configuration, and how many there are.
func badConfig(e env, errs []string) error {
	text := "the configuration is not valid: " + errs[0]
	if n := len(errs) - 1; n > 0 {
		text += fmt.Sprintf(" (and %d more)", n)
	}
	return fault{code: fsm.ExitMisuse, text: text, hint: e.prog + " config-check tells them all"}
}

// printJSON prints one document, indented. Every document carries its schema.
func (e env) printJSON(doc any) error {
	enc := json.NewEncoder(e.stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(doc); err != nil {
		return fmt.Errorf("cannot print JSON: %w", err)
	}
	return nil
}

// list makes of a nil slice an empty one: documents have no null.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// show prints a page, unless --quiet.
func (e env) show(p *page) error {
	if e.quiet {
		return nil
	}
	if err := p.writeTo(e.stdout); err != nil {
		return fmt.Errorf("cannot print: %w", err)
	}
	return nil
}

// say prints one line on standard output, unless --quiet.
func (e env) say(format string, a ...any) {
	if !e.quiet {
		fmt.Fprintf(e.stdout, format+"\n", a...)
	}
}

// now is the clock of the pages.
func (e env) now() time.Time { return time.Now() }
