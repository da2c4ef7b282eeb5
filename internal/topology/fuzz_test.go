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
			if err := topology.Diff(plans, set, topology.Observed{}).WriteText(io.Discard); err != nil {
				t.Error(err)
			}
		}
	})
}
