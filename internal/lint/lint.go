// Package lint holds the house rules as ordinary Go tests: what a reviewer would otherwise have to say by hand.
//
// A Rule is a pure function of a Tree, which is the repository (or a sample) as parsed files. One test runs every rule
// over the repository; another runs every rule over a bad sample in testdata, so that a rule which can no longer fail is
// noticed. Everything here is safe for concurrent use, because nothing changes after Load.
//
// The rules look at files, not at types: they cannot see through an alias or an interface, and they must not be taken for
// a proof. The floors of the house are a table in docs/internals/README.md, which the rules read: the page is the law.
package lint

import (
	"cmp"
	"fmt"
	"go/token"
	"slices"
)

// Finding is one place that breaks a rule.
type Finding struct {
	File    string
	Line    int // 0 if the whole file or folder is meant
	Message string
}

func (f Finding) String() string {
	if f.Line == 0 {
		return f.File + ": " + f.Message
	}
	return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Message)
}

// Rule is one house rule.
type Rule struct {
	Name  string // also the name of its bad sample in testdata
	Why   string // shown when it fails: the reason, and what to do instead
	Check func(*Tree) []Finding
}

// Rules lists every rule.
func Rules() []Rule {
	return []Rule{
		{"package-doc", "a reader must learn a package's job, concurrency rules and limits from its doc", packageDocs},
		{"exported-doc", "an exported name is a promise; its comment says which", exportedDocs},
		{"floors", "a room imports only what docs/internals/README.md allows it; change the table if the design changed", floors},
		{"broker-hidden", "only internal/node and tests may know that a broker can be embedded; everything else talks to addresses", brokerHidden},
		{"kfake-hidden", "kfake is a stand-in that will go; only internal/broker and tests may know it", kfakeHidden},
		{"pure", "a pure room has no I/O, clock, chance or goroutine, so that tables can test all of it", purity},
		{"drawers", "a drawer has no subject, so everything ends up in it; name the thing after its job", drawers},
		{"init", "work at import time cannot be ordered, tested or left out; use an explicit list", initFunctions},
		{"global-logger", "a logger is passed in, so that a test and a second instance have their own", globalLogger},
		{"metric-names", "dashboards and alerts rely on names; all of them are in internal/telemetry", metricNames},
		{"exit", "only a main function may end the process; return an error", exits},
		{"nolint", "a silenced linter needs its name and a reason: //nolint:name // reason", nolints},
		{"todo", "a TODO without an issue is forgotten: TODO(#12)", todos},
		{"file-size", "a file above 800 lines is more than one thought", fileSizes},
		{"test-sleep", "a sleep guesses and is slow and flaky; poll, wait for a signal, use synctest, or give a reason after // sleep:", testSleeps},
		{"test-skip", "a skipped test must say what was left out", testSkips},
		{"modules", "a dependency earns an entry in docs/rationale.md, and go.mod says the truth about what is imported", modules},
		{"links", "a link in the documentation leads somewhere", links},
		{"commands", "a command line in the documentation is one that works", commands},
		{"machine-paths", "a path of one machine is wrong on every other", machinePaths},
	}
}

// collect gathers findings in the order of files and lines.
type collect []Finding

func (c *collect) at(pos token.Position, format string, args ...any) {
	*c = append(*c, Finding{File: pos.Filename, Line: pos.Line, Message: fmt.Sprintf(format, args...)})
}

func (c *collect) in(file string, format string, args ...any) {
	*c = append(*c, Finding{File: file, Message: fmt.Sprintf(format, args...)})
}

func (c collect) sorted() []Finding {
	slices.SortStableFunc(c, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return c
}
