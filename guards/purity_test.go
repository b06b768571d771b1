package guards

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestPurity: guards import fsm and what formats and sorts, read no clock and
// start no goroutine.
func TestPurity(t *testing.T) {
	allowed := []string{"fmt", "path", "slices", "strconv", "strings", "github.com/modewatch/modewatch/fsm"}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range file.Imports {
			if p, err := strconv.Unquote(i.Path.Value); err != nil || !slices.Contains(allowed, p) {
				t.Errorf("%s imports %s", name, i.Path.Value)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n.(type) {
			case *ast.GoStmt, *ast.SelectStmt, *ast.ChanType:
				t.Errorf("%s is concurrent", name)
			}
			return true
		})
	}
}
