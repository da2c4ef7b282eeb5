package lint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Tree is a repository as the rules see it: Go files parsed, Markdown and scripts as text. It is read-only after Load.
type Tree struct {
	fset  *token.FileSet
	goes  []*goFile
	texts []textFile
	paths map[string]bool // every file and folder, for links
}

type goFile struct {
	path      string // slash-separated, from the root
	dir       string
	test      bool
	generated bool
	lines     int
	ast       *ast.File
}

type textFile struct {
	path string
	text string
}

// Load reads a repository from its root. Folders that are not ours to judge (hidden ones, testdata) are left out.
func Load(root fs.FS) (*Tree, error) {
	t := &Tree{fset: token.NewFileSet(), paths: map[string]bool{".": true}}
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && skipped(name) {
			return fs.SkipDir
		}
		t.paths[name] = true
		if entry.IsDir() {
			return nil
		}
		return t.read(root, name)
	})
	return t, err
}

func skipped(dir string) bool {
	base := path.Base(dir)
	return base == "testdata" || base == "bin" || (strings.HasPrefix(base, ".") && base != "." && base != ".ci")
}

func (t *Tree) read(root fs.FS, name string) error {
	switch path.Ext(name) {
	case ".go":
		return t.readGo(root, name)
	case ".md", ".yaml", ".yml", ".mod", "":
		content, err := fs.ReadFile(root, name)
		t.texts = append(t.texts, textFile{path: name, text: string(content)})
		return err
	}
	return nil
}

func (t *Tree) readGo(root fs.FS, name string) error {
	content, err := fs.ReadFile(root, name)
	if err != nil {
		return err
	}
	file, err := parser.ParseFile(t.fset, name, content, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("parse file %q: %w", name, err)
	}
	t.goes = append(t.goes, &goFile{
		path: name, dir: path.Dir(name), ast: file,
		test:      strings.HasSuffix(name, "_test.go"),
		generated: ast.IsGenerated(file),
		lines:     strings.Count(string(content), "\n"),
	})
	return nil
}

// Text returns a file that is not Go.
func (t *Tree) Text(name string) (string, bool) {
	i := slices.IndexFunc(t.texts, func(f textFile) bool { return f.path == name })
	if i < 0 {
		return "", false
	}
	return t.texts[i].text, true
}

// code is the files that ship: no tests.
func (t *Tree) code() []*goFile {
	return slices.DeleteFunc(slices.Clone(t.goes), func(f *goFile) bool { return f.test })
}

// tests is the test files.
func (t *Tree) tests() []*goFile {
	return slices.DeleteFunc(slices.Clone(t.goes), func(f *goFile) bool { return !f.test })
}

func (t *Tree) at(n ast.Node) token.Position { return t.fset.Position(n.Pos()) }

// imports yields each import's path, with where it stands.
func (f *goFile) imports(yield func(string, *ast.ImportSpec) bool) {
	for _, spec := range f.ast.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err == nil && !yield(name, spec) {
			return
		}
	}
}

// calls yields every use of a function of another package, written as in the source: "time.Sleep".
func (f *goFile) calls(yield func(string, *ast.CallExpr) bool) {
	for n := range ast.Preorder(f.ast) {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			continue
		}
		selector, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			continue
		}
		if x, ok := selector.X.(*ast.Ident); ok && !yield(x.Name+"."+selector.Sel.Name, call) {
			return
		}
	}
}

// literals yields every string of a file as it stands in the source.
func (t *Tree) literals(f *goFile) func(yield func(string, token.Position) bool) {
	return func(yield func(string, token.Position) bool) {
		for n := range ast.Preorder(f.ast) {
			if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING && !yield(l.Value, t.at(l)) {
				return
			}
		}
	}
}
