package lint

import (
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

const linesMax = 800

// packageDocs wants one doc per package, begun the way godoc shows it.
func packageDocs(t *Tree) []Finding {
	var found collect
	docs := map[string]string{}
	for _, f := range t.code() {
		docs[f.dir] += f.ast.Doc.Text()
	}
	seen := map[string]bool{}
	for _, f := range t.code() {
		if seen[f.dir] {
			continue
		}
		seen[f.dir] = true
		want := "Package " + f.ast.Name.Name + " "
		if f.ast.Name.Name == "main" {
			want = "Command " + path.Base(f.dir) + " "
		}
		if !strings.HasPrefix(docs[f.dir], want) {
			found.in(f.dir, "package doc must begin with %q", want)
		}
	}
	return found.sorted()
}

// exportedDocs wants a comment on every exported type, function, method, constant and variable; one comment on a group
// speaks for the group.
func exportedDocs(t *Tree) []Finding {
	var found collect
	for _, f := range t.code() {
		if f.generated || f.ast.Name.Name == "main" {
			continue
		}
		for _, decl := range f.ast.Decls {
			for _, name := range undocumented(decl) {
				found.at(t.at(name), "exported %q has no comment", name.Name)
			}
		}
	}
	return found.sorted()
}

func undocumented(decl ast.Decl) []*ast.Ident {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Doc == nil && d.Name.IsExported() && !wellKnown(d) && onExported(d) {
			return []*ast.Ident{d.Name}
		}
	case *ast.GenDecl:
		if d.Doc == nil {
			return undocumentedSpecs(d.Specs)
		}
	}
	return nil
}

func undocumentedSpecs(specs []ast.Spec) (names []*ast.Ident) {
	for _, spec := range specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Doc == nil && s.Comment == nil {
				names = append(names, s.Name)
			}
		case *ast.ValueSpec:
			if s.Doc == nil && s.Comment == nil {
				names = append(names, s.Names...)
			}
		}
	}
	return slices.DeleteFunc(names, func(n *ast.Ident) bool { return !n.IsExported() })
}

// wellKnown methods say nothing new in a comment: they implement an interface of the standard library.
func wellKnown(d *ast.FuncDecl) bool {
	return d.Recv != nil && slices.Contains([]string{
		"Error", "Unwrap", "String", "Close", "Len", "Less", "Swap", "Write", "Read", "ServeHTTP", "RoundTrip", "Is", "As",
		"MarshalText", "UnmarshalText", "MarshalJSON", "UnmarshalJSON", "UnmarshalYAML", "LogValue", "Describe", "Collect",
	}, d.Name.Name)
}

func onExported(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	receiver := d.Recv.List[0].Type
	for {
		switch r := receiver.(type) {
		case *ast.StarExpr:
			receiver = r.X
		case *ast.IndexExpr:
			receiver = r.X
		case *ast.IndexListExpr:
			receiver = r.X
		case *ast.Ident:
			return r.IsExported()
		default:
			return false
		}
	}
}

var drawerWords = []string{"util", "utils", "common", "helper", "helpers", "shared", "misc", "base", "manager"}

// drawers looks at every folder, file and type name, word by word.
func drawers(t *Tree) []Finding {
	var found collect
	for _, f := range t.goes {
		for segment := range strings.SplitSeq(strings.TrimSuffix(f.path, ".go"), "/") {
			if w, bad := drawerWord(segment); bad {
				found.in(f.path, "the word %q in a path", w)
			}
		}
		for n := range ast.Preorder(f.ast) {
			if spec, ok := n.(*ast.TypeSpec); ok {
				if w, bad := drawerWord(spec.Name.Name); bad {
					found.at(t.at(spec), "the word %q in type %q", w, spec.Name.Name)
				}
			}
		}
	}
	return found.sorted()
}

func drawerWord(name string) (string, bool) {
	for _, w := range words(name) {
		if slices.Contains(drawerWords, w) {
			return w, true
		}
	}
	return "", false
}

// words splits names such as TopicManager and topic_manager, in lower case.
func words(name string) []string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return strings.FieldsFunc(b.String(), func(r rune) bool { return !unicode.IsLetter(r) })
}

func initFunctions(t *Tree) []Finding {
	var found collect
	for _, f := range t.code() {
		for _, decl := range f.ast.Decls {
			if d, ok := decl.(*ast.FuncDecl); ok && d.Recv == nil && d.Name.Name == "init" {
				found.at(t.at(d), "function init")
			}
		}
	}
	return found.sorted()
}

var globalLogging = regexp.MustCompile(`^(slog\.(Default|SetDefault|Debug|Info|Warn|Error|Log)(Context)?|log\.(Print|Fatal|Panic)(f|ln)?)$`)

func globalLogger(t *Tree) []Finding {
	var found collect
	for _, f := range t.code() {
		for name, call := range f.calls {
			if globalLogging.MatchString(name) {
				found.at(t.at(call), "call of %s", name)
			}
		}
	}
	return found.sorted()
}

var metricName = regexp.MustCompile("^[\"`]raven_[a-z0-9_]+_(total|seconds|records|bytes|flight|running|state|up)[\"`]$")

func metricNames(t *Tree) []Finding {
	var found collect
	for _, f := range t.code() {
		if f.dir == "internal/telemetry" {
			continue
		}
		for text, pos := range t.literals(f) {
			if metricName.MatchString(text) {
				found.at(pos, "the name of a metric: %s", text)
			}
		}
	}
	return found.sorted()
}

func exits(t *Tree) []Finding {
	var found collect
	for _, f := range t.code() {
		if f.ast.Name.Name == "main" {
			continue
		}
		for name, call := range f.calls {
			if name == "os.Exit" || name == "log.Fatal" {
				found.at(t.at(call), "call of %s outside a main package", name)
			}
		}
	}
	return found.sorted()
}

func fileSizes(t *Tree) []Finding {
	var found collect
	for _, f := range t.goes {
		if !f.generated && f.lines > linesMax {
			found.in(f.path, "%d lines, at most %d", f.lines, linesMax)
		}
	}
	return found.sorted()
}

// comments yields each single comment of a file.
func (t *Tree) comments(f *goFile) func(yield func(string, token.Position) bool) {
	return func(yield func(string, token.Position) bool) {
		for _, group := range f.ast.Comments {
			for _, c := range group.List {
				if !yield(c.Text, t.at(c)) {
					return
				}
			}
		}
	}
}

var (
	nolintAny       = regexp.MustCompile(`^//\s*nolint`)
	nolintExplained = regexp.MustCompile(`^//nolint:[a-z0-9,-]+ // \S.{5,}`)
	todoAny         = regexp.MustCompile(`\b(TODO|FIXME|XXX)\b`)
	todoNumbered    = regexp.MustCompile(`\bTODO\(#\d+\)`)
)

func nolints(t *Tree) []Finding {
	var found collect
	for _, f := range t.goes {
		for text, pos := range t.comments(f) {
			if nolintAny.MatchString(text) && !nolintExplained.MatchString(text) {
				found.at(pos, "%q names no linter or no reason", text)
			}
		}
	}
	return found.sorted()
}

func todos(t *Tree) []Finding {
	var found collect
	for _, f := range t.goes {
		if f.dir == "internal/lint" {
			continue // this package speaks about the word
		}
		for text, pos := range t.comments(f) {
			if todoAny.MatchString(text) && !todoNumbered.MatchString(text) {
				found.at(pos, "no issue number: %q", text)
			}
		}
	}
	return found.sorted()
}
