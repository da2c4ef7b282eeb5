package lint

import (
	"go/ast"
	"strings"
)

// testSleeps allows a sleep in a test only with a reason on its line or the line above.
func testSleeps(t *Tree) []Finding {
	var found collect
	for _, f := range t.tests() {
		reasons := map[int]bool{}
		for text, pos := range t.comments(f) {
			if _, reason, ok := strings.Cut(text, "sleep:"); ok && strings.TrimSpace(reason) != "" {
				reasons[pos.Line] = true
			}
		}
		for name, call := range f.calls {
			line := t.at(call).Line
			if name == "time.Sleep" && !reasons[line] && !reasons[line-1] {
				found.at(t.at(call), "time.Sleep without a reason")
			}
		}
	}
	return found.sorted()
}

// testSkips finds skips that say nothing: SkipNow, Skip without arguments, Skip of an empty text.
func testSkips(t *Tree) []Finding {
	var found collect
	for _, f := range t.tests() {
		for name, call := range f.calls {
			if _, method, _ := strings.Cut(name, "."); silentSkip(method, call) {
				found.at(t.at(call), "%s without a text", name)
			}
		}
	}
	return found.sorted()
}

func silentSkip(method string, call *ast.CallExpr) bool {
	switch method {
	case "SkipNow":
		return true
	case "Skip", "Skipf":
		if len(call.Args) == 0 {
			return true
		}
		literal, ok := call.Args[0].(*ast.BasicLit)
		return ok && len(literal.Value) < 8
	}
	return false
}
