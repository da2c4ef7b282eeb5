package topology_test

import (
	"strings"
	"testing"

	"ravenswood.dev/internal/component/all"
	"ravenswood.dev/internal/manifest"
	"ravenswood.dev/internal/topology"
)

// TestTablesMustBeWhatTheirJoinsNeed takes the bolts that people write, since it is about what these say of themselves.
func TestTablesMustBeWhatTheirJoinsNeed(t *testing.T) {
	const rest = "  spouts: {orders: {topic: {name: orders}}}\n  sinks: {out: {from: j, topic: {name: results}}}\n"
	for name, c := range map[string]struct{ table, join, code, message string }{
		"by the record's key":           {"", "", "", ""},
		"a global one by any key":       {", global: true", ", key: event.id", "", ""},
		"a history as of a time":        {", history: 7d", ", asOf: time", "", ""},
		"a history and its latest":      {", history: 7d", ", asOf: latest", "", ""},
		"one of the task by any key":    {"", ", key: event.id", topology.CodeGlobalTable, `table "users" is not global`},
		"a history without a time":      {", history: 7d", "", topology.CodeTableKind, `store "users" is versioned, want key-value`},
		"a time, but without a history": {"", ", asOf: time", topology.CodeTableKind, `store "users" is key-value, want versioned`},
	} {
		t.Run(name, func(t *testing.T) {
			set, problems := manifest.Parse("file.yaml", "dir", []byte(graph("t", "  tables: {users: {topic: {name: users}"+c.table+"}}\n  bolts: {j: {from: orders, table-join: {table: users"+c.join+"}}}\n"+rest)), all.Components())
			_, more := topology.Build(set, all.Components())
			var found []string
			for _, p := range append(problems, more...) {
				if p.Severity == "error" {
					found = append(found, p.Code+" "+p.Message)
				}
			}
			have := strings.Join(found, "\n")
			if c.code == "" && have != "" || !strings.HasPrefix(have, c.code) || !strings.Contains(have, c.message) || len(found) > 1 {
				t.Errorf("have %q\nwant %s …%s…", have, c.code, c.message)
			}
		})
	}
}

// TestWindowsAreNoTableForAJoin: the hint says what else to do, since a history would not help.
func TestWindowsAreNoTableForAJoin(t *testing.T) {
	set, _ := manifest.Parse("file.yaml", "dir", []byte(graph("t", `  spouts: {orders: {topic: {name: orders}}}
  bolts:
    hours: {from: orders, aggregate: {window: {tumbling: 1h}, compute: {n: count}}}
    j: {from: orders, table-join: {table: hours}}
  sinks: {out: {from: j, topic: {name: results}}}
`)), all.Components())
	_, problems := topology.Build(set, all.Components())
	if len(problems) != 1 || problems[0].Code != topology.CodeTableKind || !strings.Contains(problems[0].Hint, "leave the window out") {
		t.Errorf("have %+v", problems)
	}
}
