package lint

import (
	"go/ast"
	"regexp"
	"slices"
	"strings"
)

const (
	module     = "ravenswood.dev"
	brokerPath = module + "/internal/broker"
	kfakePath  = "github.com/twmb/franz-go/pkg/kfake"
	reasons    = "docs/rationale.md"
)

// brokerHidden keeps the embedded broker behind the assembly room.
func brokerHidden(t *Tree) []Finding {
	return importedOnlyBy(t, brokerPath, "internal/node", "internal/broker", "test")
}

func kfakeHidden(t *Tree) []Finding { return importedOnlyBy(t, kfakePath, "internal/broker", "test") }

// importedOnlyBy finds imports of a package from code outside the given rooms; tests may import it.
func importedOnlyBy(t *Tree, target string, rooms ...string) []Finding {
	var found collect
	for _, f := range t.code() {
		allowed := slices.ContainsFunc(rooms, func(room string) bool { return inside(f.dir, room) })
		for name, spec := range f.imports {
			if inside(name, target) && !allowed {
				found.at(t.at(spec), "%s may not import %s", f.dir, name)
			}
		}
	}
	return found.sorted()
}

func (t *Tree) goStatements(f *goFile, found *collect) {
	for n := range ast.Preorder(f.ast) {
		if g, ok := n.(*ast.GoStmt); ok {
			found.at(t.at(g), "pure room starts a goroutine")
		}
	}
}

var requireLine = regexp.MustCompile(`^\s*(?:require )?([a-z0-9.-]+\.[a-z]+/\S+) v\d\S*( // indirect)?$`)

// modules compares go.mod, the imports and the reasons: what is imported is direct, what is direct is imported, and
// each has its reason.
func modules(t *Tree) []Finding {
	var found collect
	gomod, _ := t.Text("go.mod")
	why, _ := t.Text(reasons)
	direct, all := requirements(gomod)
	imported := map[string]bool{}
	for _, f := range t.goes {
		for name := range f.imports {
			if m := moduleOf(all, name); m != "" {
				imported[m] = true
			}
		}
	}
	for _, m := range all {
		switch {
		case imported[m] && !direct[m]:
			found.in("go.mod", "module %q is imported but marked indirect: go mod tidy", m)
		case !imported[m] && direct[m]:
			found.in("go.mod", "module %q is not imported: go mod tidy", m)
		case imported[m] && !strings.Contains(why, m):
			found.in(reasons, "module %q has no entry", m)
		}
	}
	return found.sorted()
}

func requirements(gomod string) (direct map[string]bool, all []string) {
	direct = map[string]bool{}
	for line := range strings.Lines(gomod) {
		if m := requireLine.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			all = append(all, m[1])
			direct[m[1]] = m[2] == ""
		}
	}
	return direct, all
}

// moduleOf finds the module an import belongs to: the longest that is a prefix.
func moduleOf(modules []string, name string) (best string) {
	for _, m := range modules {
		if inside(name, m) && len(m) > len(best) {
			best = m
		}
	}
	return best
}
