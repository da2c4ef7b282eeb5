package topology_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"ravenswood.dev/internal/component/all"
	"ravenswood.dev/internal/manifest"
	"ravenswood.dev/internal/topology"
)

// TestWhatLintSays reads files full of mistakes with the real components and shows all that a user is told.
func TestWhatLintSays(t *testing.T) {
	reg := all.Components()
	set, problems := manifest.Load(filepath.Join("testdata", "lint"), reg)
	plans, more := topology.Build(set, reg)
	if len(plans) != 0 {
		t.Errorf("there are plans: %v", plans)
	}
	var b bytes.Buffer
	if err := manifest.WriteText(&b, manifest.Sort(append(problems, more...))); err != nil {
		t.Fatal(err)
	}
	golden(t, "lint.txt", b.Bytes())
}

// TestExamplesOfTheRepositoryAreFree of problems, warnings included.
func TestExamplesOfTheRepositoryAreFreeOfProblems(t *testing.T) {
	reg := all.Components()
	folders, err := filepath.Glob("../../examples/*/*.yaml")
	folders = append(folders, "../manifest/examples/topology.yaml") // shown in the reference
	if err != nil || len(folders) == 1 {
		t.Fatalf("no examples: %v", err)
	}
	seen := map[string]bool{}
	for _, file := range folders {
		dir := filepath.Dir(file)
		if seen[dir] {
			continue
		}
		seen[dir] = true
		t.Run(filepath.Base(dir), func(t *testing.T) {
			set, problems := manifest.Load(dir, reg)
			plans, more := topology.Build(set, reg)
			if problems = append(problems, more...); len(problems) > 0 || len(plans) != len(set.Topologies) {
				var b bytes.Buffer
				_ = manifest.WriteText(&b, problems) // a buffer takes everything
				t.Errorf("%s", b.Bytes())
			}
		})
	}
}
