package procs

import (
	"fmt"
	"path/filepath"
	"strings"
)

// commLen is the most bytes that the kernel keeps of a process's name.
const commLen = 15

// known returns the first of names that p goes by, "" if none. It is generous:
// the executable or the comm will do, for what a false match costs is a refusal.
func (p proc) known(names []string) string {
	for _, want := range names {
		if p.exe != "" && runs(p.exe, want) || called(p.comm, want) {
			return want
		}
	}
	return ""
}

// certainly tells whether p runs one of names. It is strict, for a false match
// would overlook a holder: a process chooses its comm, so that it counts only
// where the executable cannot be known.
func (p proc) certainly(names []string) bool {
	for _, want := range names {
		if p.exe != "" && runs(p.exe, want) || p.exe == "" && called(p.comm, want) {
			return true
		}
	}
	return false
}

func runs(exe, want string) bool { return exe == want || unwrapped(exe) == want }

func called(comm, want string) bool {
	return comm == want || comm == cut(want) || unwrapped(comm) == want || comm == cut("."+want+"-wrapped")
}

func cut(name string) string { return name[:min(len(name), commLen)] }

// unwrapped takes off what NixOS's wrappers add: ".reaper-wrapped" is reaper.
func unwrapped(name string) string {
	for {
		inner, ok := strings.CutSuffix(name, "-wrapped")
		if !ok || !strings.HasPrefix(inner, ".") {
			return name
		}
		name = inner[1:]
	}
}

// pattern is a shell pattern and the literal text that it begins with.
type pattern struct{ glob, prefix string }

type patterns []pattern

// compile refuses a malformed pattern: it would never match and so hide holders.
func compile(globs []string) (patterns, error) {
	var out patterns
	for _, g := range globs {
		if _, err := filepath.Match(g, ""); err != nil {
			return nil, fmt.Errorf("cannot look for device nodes %q: %w", g, err)
		}
		end := strings.IndexAny(g, `*?[\`)
		if end < 0 {
			end = len(g)
		}
		out = append(out, pattern{glob: g, prefix: g[:end]})
	}
	return out, nil
}

// could tells cheaply whether path may match.
func (ps patterns) could(path []byte) bool {
	for _, p := range ps {
		if len(path) >= len(p.prefix) && string(path[:len(p.prefix)]) == p.prefix {
			return true
		}
	}
	return false
}

func (ps patterns) match(path string) bool {
	for _, p := range ps {
		if ok, err := filepath.Match(p.glob, path); ok && err == nil {
			return true
		}
	}
	return false
}
