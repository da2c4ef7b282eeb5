package topology_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component/topic"
	"ravenswood.dev/internal/manifest"
	"ravenswood.dev/internal/topology"
)

// randomTopology draws a valid graph: bolts in a hidden order under random names, each fed from what comes before it.
func randomTopology(t *rapid.T) manifest.Topology {
	var tp manifest.Topology
	tp.Metadata.Name = "t"
	manifest.Defaults(&tp.Spec)
	tp.Spec.Spouts, tp.Spec.Bolts, tp.Spec.Sinks = map[string]api.Node{}, map[string]api.Node{}, map[string]api.Node{}
	var sources []string
	from := func(label string) []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(sources), 1, min(3, len(sources)), rapid.ID[string]).Draw(t, label)
	}
	for i := range rapid.IntRange(1, 3).Draw(t, "spouts") {
		name := fmt.Sprintf("s%d", i)
		tp.Spec.Spouts[name] = api.Node{Component: "topic", Config: &topic.SpoutConfig{Name: "in-" + name, Format: "json", Start: "earliest"}}
		sources = append(sources, name)
	}
	names := rapid.SliceOfNDistinct(rapid.StringMatching(`b[a-z]{1,4}`), 0, 12, rapid.ID[string]).Draw(t, "bolts")
	for _, name := range names {
		tp.Spec.Bolts[name] = api.Node{From: from(name), Component: "pass", Config: &noSettings{}}
		sources = append(sources, name)
	}
	// One sink takes everything, so that nothing is unused; others take some.
	tp.Spec.Sinks["all"] = api.Node{From: slices.Clone(sources), Component: "topic", Config: &topic.SinkConfig{Name: "out"}}
	for i := range rapid.IntRange(0, 2).Draw(t, "sinks") {
		name := fmt.Sprintf("k%d", i)
		tp.Spec.Sinks[name] = api.Node{From: from(name), Component: "store", Config: &noSettings{}}
	}
	return tp
}

func TestEveryPlanHasItsBoltsInTopologicalOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tp := randomTopology(t)
		plans, problems := topology.Build(&manifest.Set{Topologies: []manifest.Topology{tp}}, fakes())
		if len(problems) > 0 || len(plans) != 1 {
			t.Fatalf("a valid graph is refused: %v", problems)
		}
		p := plans[0]
		if len(p.Bolts) != len(tp.Spec.Bolts) {
			t.Fatalf("%d bolts of %d", len(p.Bolts), len(tp.Spec.Bolts))
		}
		for i, b := range p.Bolts {
			for _, target := range b.Next[0] {
				if !target.Sink && target.Index <= i {
					t.Fatalf("bolt %d %q feeds bolt %d", i, b.Name, target.Index)
				}
			}
		}
		if got, want := edges(p), written(tp.Spec); !slices.Equal(got, want) {
			t.Fatalf("edges %v, want %v", got, want)
		}
		again, _ := topology.Build(&manifest.Set{Topologies: []manifest.Topology{tp}}, fakes())
		if fmt.Sprint(edges(again[0]), again[0].Topics) != fmt.Sprint(edges(p), p.Topics) {
			t.Fatal("the same resources give another plan")
		}
	})
}

// edges lists "from -> to" of a plan, written those of the files.
func edges(p *topology.Plan) []string {
	var all []string
	add := func(from string, targets []topology.Target) {
		for _, target := range targets {
			if target.Sink {
				all = append(all, from+" -> "+p.Sinks[target.Index].Name)
			} else {
				all = append(all, from+" -> "+p.Bolts[target.Index].Name)
			}
		}
	}
	for _, in := range p.Inputs {
		add(in.Name, in.Next)
	}
	for _, b := range p.Bolts {
		for _, targets := range b.Next {
			add(b.Name, targets)
		}
	}
	slices.Sort(all)
	return all
}

func written(s api.TopologySpec) []string {
	var all []string
	for _, nodes := range []map[string]api.Node{s.Bolts, s.Sinks} {
		for name, n := range nodes {
			for _, from := range n.From {
				all = append(all, from+" -> "+name)
			}
		}
	}
	slices.Sort(all)
	return all
}

func TestACycleIsFoundWhereverItIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tp := randomTopology(t)
		length := rapid.IntRange(1, 5).Draw(t, "length")
		for i := range length {
			from := []string{fmt.Sprintf("ring%d", (i+length-1)%length)}
			if i == 0 {
				from = append(from, "s0")
			}
			tp.Spec.Bolts[fmt.Sprintf("ring%d", i)] = api.Node{From: from, Component: "pass", Config: &noSettings{}}
		}
		plans, problems := topology.Build(&manifest.Set{Topologies: []manifest.Topology{tp}}, fakes())
		if len(plans) > 0 || len(problems) != 1 || problems[0].Code != topology.CodeCycle || strings.Count(problems[0].Message, "->") != length {
			t.Fatalf("got %v", problems)
		}
	})
}
