package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The tool's packages.
var mutated = []string{"fsm", "guards", "internal/engine"}

//go:embed equivalent.txt
var equivalent string

// byTool makes one of *every mutants of the tool's, and tells how many it left out
// because equivalent.txt says why they change nothing.
func byTool() (list []mutant, skipped int, err error) {
	if *every == 0 {
		return nil, 0, nil
	}
	var all []mutant
	for _, dir := range mutated {
		files, err := filepath.Glob(dir + "/*.go")
		if err != nil {
			return nil, 0, err
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			made, err := mutantsOf(file)
			if err != nil {
				return nil, 0, err
			}
			all = append(all, made...)
		}
	}
	for i, m := range all {
		switch {
		case strings.Contains(equivalent, m.id()+"\n"):
			skipped++
		case i%*every == 0:
			list = append(list, m)
		}
	}
	fmt.Printf("mutants: %d of the tool's %d\n", len(list), len(all))
	return list, skipped, nil
}

// id names a tool's mutant by what it changes, and not by where: lines move.
func (m mutant) id() string { return m.file + ": " + m.name }

// mutantsOf makes the mutants of one file. Each changes a whole line or more of the
// source, so that its place is found by its text.
func mutantsOf(file string) (out []mutant, err error) {
	source, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, file, source, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	for _, d := range tree.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		from, to := set.Position(f.Pos()).Offset, set.Position(f.End()).Offset
		old := string(source[from:to])
		for _, c := range changesOf(f) {
			c.do()
			var b bytes.Buffer
			err := printer.Fprint(&b, set, f)
			c.undo()
			if err != nil {
				return nil, err
			}
			out = append(out, mutant{name: fmt.Sprintf("%s: %s", f.Name.Name, c.what), file: file, old: old, new: withoutDoc(f, b.String())})
		}
	}
	return numbered(out), nil
}

// withoutDoc is the printed function without its comment, which stays in its place.
func withoutDoc(f *ast.FuncDecl, text string) string {
	if f.Doc == nil {
		return text
	}
	return text[strings.Index(text, "func "):]
}

// numbered tells mutants of one name apart.
func numbered(list []mutant) []mutant {
	seen := map[string]int{}
	for i := range list {
		if seen[list[i].name]++; seen[list[i].name] > 1 {
			list[i].name += fmt.Sprintf(" (%d)", seen[list[i].name])
		}
	}
	return list
}

// change is one way to make a function another.
type change struct {
	what     string
	do, undo func()
}

// turned are the operators that are put in each other's place.
var turned = map[token.Token]token.Token{
	token.EQL: token.NEQ, token.NEQ: token.EQL, token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
	token.LAND: token.LOR, token.LOR: token.LAND, token.ADD: token.SUB, token.SUB: token.ADD,
}

// changesOf are the changes of a function: operators turned, conditions turned round,
// true and false, statements left out, and returns of nothing.
func changesOf(f *ast.FuncDecl) (out []change) {
	ast.Inspect(f.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if op, ok := turned[n.Op]; ok && !text(n) {
				was := n.Op
				out = append(out, change{shown(n) + ", by " + op.String(), func() { n.Op = op }, func() { n.Op = was }})
			}
		case *ast.IfStmt:
			was := n.Cond
			out = append(out, change{"if not " + shown(was), func() { n.Cond = &ast.UnaryExpr{Op: token.NOT, X: &ast.ParenExpr{X: was}} }, func() { n.Cond = was }})
		case *ast.Ident:
			if other := map[string]string{"true": "false", "false": "true"}[n.Name]; other != "" {
				was := n.Name
				out = append(out, change{was + " is " + other, func() { n.Name = other }, func() { n.Name = was }})
			}
		case *ast.BlockStmt:
			out = append(out, dropped(&n.List)...)
		case *ast.CaseClause:
			out = append(out, dropped(&n.Body)...)
		}
		return true
	})
	return out
}

// dropped leaves out each statement of a list that is a call or an assignment.
func dropped(list *[]ast.Stmt) (out []change) {
	for i, s := range *list {
		call, isCall := s.(*ast.ExprStmt)
		set, isSet := s.(*ast.AssignStmt)
		if !isCall && !(isSet && set.Tok != token.DEFINE) {
			continue
		}
		what := "without "
		if isCall {
			what += shown(call.X)
		} else {
			what += shown(set.Lhs[0]) + " " + set.Tok.String()
		}
		was := *list
		out = append(out, change{what, func() { *list = slices.Delete(slices.Clone(was), i, i+1) }, func() { *list = was }})
	}
	return out
}

// text tells of a sum that joins strings, for which there is no difference.
func text(n *ast.BinaryExpr) bool {
	found := false
	ast.Inspect(n, func(x ast.Node) bool {
		lit, ok := x.(*ast.BasicLit)
		found = found || ok && lit.Kind == token.STRING
		return !found
	})
	return found && n.Op == token.ADD
}

func shown(n ast.Node) string {
	var b bytes.Buffer
	_ = printer.Fprint(&b, token.NewFileSet(), n)
	return strings.Join(strings.Fields(b.String()), " ")
}
