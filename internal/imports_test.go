// Package internal holds the parts that nobody outside of the program uses. Its
// own test keeps the import rules of docs/architecture.md.
package internal

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/modewatch/modewatch/"

// may says, by the folder that a package is in, which folders of this module it
// may import. The longest folder that fits counts.
var may = map[string][]string{
	"fsm":                {},
	"guards":             {"fsm"},
	"sources":            {"fsm", "sources"},
	"sinks":              {"fsm", "guards", "sinks"},
	"internal/config":    {"fsm"},
	"internal/engine":    {"fsm", "guards"},
	"internal/sim":       {"fsm"},
	"internal/assurance": {},
	"cmd/modewatch":      {"fsm", "guards", "sources", "sinks", "internal", "cmd/modewatch"},
	"cmd/modewatch-gpu":  {"sources/gpu/report"},
	"integration":        {"fsm", "integration"},
	"integration/lab":    {"integration/lab"},
	"integration/cmd":    {"integration/lab", "internal/assurance"},
	"integration/vm":     {"integration/lab", "integration/vm"},
	"integration/bench":  {"fsm", "integration", "internal/config"},
}

func TestImportRules(t *testing.T) {
	files := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "out" || d.Name() == ".git"):
			return filepath.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		files++
		pkg := filepath.ToSlash(strings.TrimPrefix(filepath.Dir(path), "../"))
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range file.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			if to, ours := strings.CutPrefix(name, module); ours && !allowed(pkg, to) {
				t.Errorf("%s imports %s", pkg, to)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 100 {
		t.Errorf("only %d files were looked at", files)
	}
}

func allowed(pkg, to string) bool {
	best := ""
	for folder := range may {
		if within(pkg, folder) && len(folder) > len(best) {
			best = folder
		}
	}
	for _, folder := range may[best] {
		if within(to, folder) {
			return true
		}
	}
	return false
}

func within(pkg, folder string) bool { return pkg == folder || strings.HasPrefix(pkg, folder+"/") }
