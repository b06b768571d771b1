package fsm

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

// TestPurity: the package decides and does nothing else. It imports no os and
// no net, reads no clock, starts no goroutine and uses no channel.
func TestPurity(t *testing.T) {
	allowed := []string{"context", "fmt", "maps", "math", "slices", "strconv", "strings", "time", "github.com/looplab/fsm"}
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
			switch n := n.(type) {
			case *ast.GoStmt, *ast.SelectStmt, *ast.ChanType:
				t.Errorf("%s is concurrent", name)
			case *ast.SelectorExpr:
				impure(t, name, n)
			}
			return true
		})
	}
}

// impure refuses all of package time but its types and units.
func impure(t *testing.T, file string, s *ast.SelectorExpr) {
	pkg, ok := s.X.(*ast.Ident)
	if !ok || pkg.Name != "time" || pkg.Obj != nil {
		return
	}
	if !slices.Contains([]string{"Time", "Duration", "Second", "Minute", "Millisecond", "Hour"}, s.Sel.Name) {
		t.Errorf("%s uses time.%s", file, s.Sel.Name)
	}
}
