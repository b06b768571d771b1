package internal

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Each package of the program that starts goroutines has a TestMain that fails
// when one is left behind. What helps tests is watched by the tests it helps.
func TestGoroutinesAreWatched(t *testing.T) {
	start, watch := map[string]bool{}, map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "out" || d.Name() == ".git" || d.Name() == "integration"):
			return filepath.SkipDir
		case strings.HasSuffix(path, "_test.go"):
			text, err := os.ReadFile(path)
			if strings.Contains(string(text), "goleak.VerifyTestMain(m") {
				watch[filepath.Dir(path)] = true
			}
			return err
		case !strings.HasSuffix(path, ".go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err == nil && !helps(file) && starts(file) {
			start[filepath.Dir(path)] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(start) < 15 {
		t.Errorf("only %d packages start goroutines", len(start))
	}
	for dir := range start {
		if !watch[dir] {
			t.Errorf("%s starts goroutines, and its tests have no TestMain with goleak", dir)
		}
	}
}

// helps tells whether a file is for tests alone, though it is not named so.
func helps(file *ast.File) bool {
	return slices.ContainsFunc(file.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"testing"` })
}

// starts tells whether a file starts goroutines: by a statement, a group or a timer.
func starts(file *ast.File) (yes bool) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			yes = true
		case *ast.SelectorExpr:
			yes = yes || n.Sel.Name == "Go" || n.Sel.Name == "AfterFunc"
		}
		return !yes
	})
	return yes
}
