package stream_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whoever adds an operator shows it: every exported function or method that gives a stream, a table or a group, or ends one,
// is called in an example whose output is checked.
func TestEveryOperatorIsInAnExample(t *testing.T) {
	shown := map[string]bool{}
	var operators []string
	for _, f := range parsed(t) {
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			switch {
			case !ok:
			case strings.HasSuffix(f.Name.Name, "_test"):
				calls(fn, shown)
			case fn.Name.IsExported() && isOperator(fn):
				operators = append(operators, fn.Name.Name)
			}
		}
	}
	if len(operators) < 40 {
		t.Fatalf("found only %d operators: %v", len(operators), operators)
	}
	for _, name := range operators {
		if !shown[name] {
			t.Errorf("operator %s is in no example", name)
		}
	}
}

// parsed are the package's files, and those of its tests that have examples.
func parsed(t *testing.T) (all []*ast.File) {
	names, err := fs.Glob(os.DirFS("."), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") && !strings.HasPrefix(name, "example_") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(".", name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
	}
	return all
}

// isOperator says whether a function gives what streams are made of, or is a method of it that gives nothing.
func isOperator(fn *ast.FuncDecl) bool {
	if fn.Type.Results == nil {
		return fn.Recv != nil && made(fn.Recv.List[0].Type)
	}
	return made(fn.Type.Results.List[0].Type)
}

func made(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.ArrayType:
		return made(e.Elt)
	case *ast.IndexExpr:
		return made(e.X)
	case *ast.IndexListExpr:
		return made(e.X)
	case *ast.Ident:
		switch e.Name {
		case "Stream", "Table", "GlobalTable", "Grouped", "GroupedTable", "Cogrouped", "WindowedGroup", "WindowedCogroup", "Windows", "Span":
			return true
		}
	}
	return false
}

// calls notes what a function of the examples calls: stream.X(…) and s.X(…).
func calls(fn *ast.FuncDecl, shown map[string]bool) {
	ast.Inspect(fn, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			shown[s.Sel.Name] = true
		}
		return true
	})
}
