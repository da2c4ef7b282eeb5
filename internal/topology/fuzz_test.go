package topology_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"ravenswood.dev/internal/component/all"
	"ravenswood.dev/internal/manifest"
	"ravenswood.dev/internal/topology"
)

// FuzzBuild reads foreign bytes with the real components, as a file and as a node of a topology: nothing panics, nothing
// with an error gets a plan, and what is planned can be shown.
func FuzzBuild(f *testing.F) {
	reg := all.Components()
	files, err := filepath.Glob("testdata/lint/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(graph("t", `  spouts: {in: {topic: {name: a}}}
  tables: {users: {topic: {name: users}}, world: {topic: {name: w}, global: true}}
  bolts:
    by: {from: in, rekey: {key: event.user, partitions: 3}}
    user: {from: by, table-join: {table: users}}
    sums: {from: user, aggregate: {window: {tumbling: 1h}, compute: {n: count}}}
    ask: {from: sums, call: {service: s}}
  sinks: {out: {from: ask, topic: {name: b}}}
`)))
	for _, d := range reg.All() {
		for _, e := range d.Spec.Examples {
			f.Add([]byte("from: in, " + e.YAML))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 16<<10 {
			return
		}
		node := string(data)
		for _, text := range []string{
			node,
			graph("t", "  spouts: {in: {topic: {name: a}}}\n  bolts: {b: {"+node+"}}\n  sinks: {out: {from: b, topic: {name: b}}}\n"),
			graph("t", "  spouts: {in: {topic: {name: a}}}\n  sinks: {out: {"+node+"}}\n"),
		} {
			set, problems := manifest.Parse("file.yaml", "/dir", []byte(text), reg)
			plans, more := topology.Build(set, reg)
			if manifest.HasErrors(problems) || manifest.HasErrors(more) {
				if len(set.Topologies) == 1 && len(plans) == 1 && len(set.Services)+len(set.Routes)+len(set.Topics) == 0 {
					t.Errorf("a topology with an error has a plan: %v %v", problems, more)
				}
				continue
			}
			again := topology.Diff(plans, set, topology.AsIfRun(plans, set))
			if err := again.WriteText(io.Discard); err != nil || len(again.Foreign())+len(again.Conflicts()) > 0 {
				t.Errorf("what has run cannot run again: %v %v %v", again.Foreign(), again.Conflicts(), err)
			}
		}
	})
}
