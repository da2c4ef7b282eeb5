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

// TestFilesAndTransformSayTimes: the warnings of records of the past go by what these two say of their settings.
func TestFilesAndTransformSayTimes(t *testing.T) {
	const head = "apiVersion: ravenswood.dev/v1alpha1\nkind: Topology\nmetadata: {name: t}\nspec:\n"
	for text, want := range map[string]int{
		"  spouts: {in: {file: {path: a.jsonl, time: at}}}\n  bolts: {b: {from: in, transform: {set: {x: '1'}}}}\n":       1,
		"  spouts: {in: {file: {path: a.jsonl}}}\n  bolts: {b: {from: in, transform: {set: {x: '1'}}}}\n":                 0,
		"  spouts: {in: {file: {path: a.jsonl}}}\n  bolts: {b: {from: in, transform: {set: {x: '1'}, time: event.at}}}\n": 1,
		"  spouts: {in: {topic: {name: a}}}\n  bolts: {b: {from: in, transform: {set: {x: '1'}, time: event.at}}}\n":      0,
	} {
		reg := all.Components()
		set, problems := manifest.Parse("t.yaml", "", []byte(head+text+"  sinks: {out: {from: b, topic: {name: results}}}\n"), reg)
		_, more := topology.Build(set, reg)
		got := 0
		for _, p := range append(problems, more...) {
			if p.Code == topology.CodeSinkForgets {
				got++
			}
		}
		if got != want {
			t.Errorf("%s\ngot %d warnings, want %d: %v", text, got, want, more)
		}
	}
}
