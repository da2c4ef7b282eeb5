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

// drawer draws valid topologies with state.
type drawer struct {
	*rapid.T
	tp      manifest.Topology
	sources []string // what may feed a bolt
	tables  []string
}

func randomStateful(t *rapid.T) *manifest.Set {
	d := &drawer{T: t}
	d.tp.Metadata.Name = "t"
	manifest.Defaults(&d.tp.Spec)
	d.tp.Spec.Spouts, d.tp.Spec.Bolts, d.tp.Spec.Sinks, d.tp.Spec.Tables = map[string]api.Node{}, map[string]api.Node{}, map[string]api.Node{}, map[string]api.Table{}
	for i := range rapid.IntRange(1, 3).Draw(t, "spouts") {
		name := fmt.Sprintf("s%d", i)
		d.tp.Spec.Spouts[name] = api.Node{Component: "topic", Config: &topic.SpoutConfig{Name: "in-" + name, Format: "json", Start: "earliest"}}
		if rapid.IntRange(0, 3).Draw(t, "feed") == 0 {
			d.tp.Spec.Spouts[name] = api.Node{Component: "generate", Config: &noSettings{}}
		}
		d.sources = append(d.sources, name)
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "tables") {
		d.table(fmt.Sprintf("table%d", i))
	}
	for _, name := range rapid.SliceOfNDistinct(rapid.StringMatching(`b[a-z]{1,4}`), 1, 10, rapid.ID[string]).Draw(t, "bolts") {
		d.tp.Spec.Bolts[name] = d.bolt()
		d.sources = append(d.sources, name)
	}
	d.tp.Spec.Sinks["all"] = api.Node{From: slices.Clone(d.sources), Component: "topic", Config: &topic.SinkConfig{Name: "out"}}
	return &manifest.Set{Topologies: []manifest.Topology{d.tp}, Topics: d.declared()}
}

// declared draws Topic resources for some of what is read, with one number of partitions: with two, a graph may be wrong.
func (d *drawer) declared() (topics []manifest.Topic) {
	partitions := rapid.SampledFrom([]int{1, 3, 8, 20}).Draw(d.T, "partitions")
	for _, name := range []string{"in-s0", "in-s1", "in-s2", "rows-table0", "rows-table1", "t.s0.feed"} {
		if !rapid.Bool().Draw(d.T, "declared") {
			continue
		}
		var t manifest.Topic
		t.Metadata.Name = name
		manifest.Defaults(&t.Spec)
		t.Spec.Partitions, t.Spec.Cleanup = partitions, "compact"
		topics = append(topics, t)
	}
	return topics
}

func (d *drawer) table(name string) {
	t := api.Table{Topic: api.TableTopic{Name: "rows-" + name, Format: "json", Start: "earliest"}, Store: "disk", Global: rapid.Bool().Draw(d.T, "global")}
	if rapid.IntRange(0, 3).Draw(d.T, "of a spout's topic") == 0 && d.tp.Spec.Spouts["s0"].Component == "topic" {
		t.Topic.Name = "in-s0"
	}
	d.tp.Spec.Tables[name] = t
	d.tables = append(d.tables, name)
	if !t.Global {
		d.sources = append(d.sources, name)
	}
}

func (d *drawer) from(least, most int) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(d.sources), min(least, len(d.sources)), min(most, len(d.sources)), rapid.ID[string]).Draw(d.T, "from")
}

// bolt draws one of every way in which bolts differ.
func (d *drawer) bolt() api.Node {
	switch rapid.IntRange(0, 8).Draw(d.T, "bolt") {
	case 0, 1:
		return api.Node{From: d.from(1, 3), Component: "pass", Config: &noSettings{}}
	case 2, 3:
		return api.Node{From: d.from(1, 2), Component: "rekey", Config: &shaped{}}
	case 4:
		return api.Node{From: d.from(1, 2), Component: "wait", Config: &noSettings{}}
	case 5:
		if from := d.from(2, 2); len(from) == 2 {
			return api.Node{From: from, Component: "keep", Config: &shaped{Inputs: []string{"left", "right"}, Stores: []string{"window:left", "window:right"}}}
		}
	case 6:
		if len(d.tables) > 0 {
			return api.Node{From: d.from(1, 1), Component: "keep", Config: &shaped{Reads: []string{rapid.SampledFrom(d.tables).Draw(d.T, "reads")}, Rekeys: rapid.Bool().Draw(d.T, "rekeys")}}
		}
	case 7:
		return api.Node{From: d.from(1, 2), Component: "shaped", Config: &shaped{Repartition: rapid.Bool().Draw(d.T, "repartition"), Keyed: rapid.Bool().Draw(d.T, "keyed")}}
	}
	return api.Node{From: d.from(1, 3), Component: "count", Config: &shaped{}}
}

// network is a plan with what its bolts' shapes say, for checking.
type network struct {
	*rapid.T
	*topology.Plan
	spec api.TopologySpec
}

func (n network) keyed(bolt int) bool {
	b := n.Bolts[bolt]
	if b.Component.Shape == nil {
		return false
	}
	s := b.Component.Shape(b.Config)
	reads := slices.ContainsFunc(s.Reads, func(name string) bool { return !n.spec.Tables[name].Global })
	return s.Keyed || len(s.Stores) > 0 || len(s.Inputs) > 1 || reads
}

func (n network) rekeys(bolt int) bool {
	b := n.Bolts[bolt]
	return b.Component.Shape != nil && b.Component.Shape(b.Config).Rekeys
}

// TestStagesKeepTheirPromises holds plans of random graphs to what the engine relies on.
func TestStagesKeepTheirPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := randomStateful(t)
		plans, problems := topology.Build(set, fakes())
		if manifest.HasErrors(problems) || len(plans) != 1 {
			t.Fatalf("a valid graph is refused: %v", problems)
		}
		n := network{t, plans[0], set.Topologies[0].Spec}
		n.everythingIsInOneStage()
		n.nothingPassesBetweenStages()
		n.lateIsClosed()
		n.keysMeet()
		n.topicsStandOnlyWhereTheyMust()
		n.edgesAreThoseWritten()
		n.topicsAreAlike()
		n.tablesAreWhereTheyAreRead()
		n.upstreamComesFirst()
		again, _ := topology.Build(set, fakes())
		if a, b := transcript(n.Plan), transcript(again[0]); a != b {
			t.Fatalf("the same resources give another plan:\n%s\n%s", a, b)
		}
		if changes := topology.Diff(plans, set, topology.AsIfRun(plans, set)); len(changes.Conflicts())+len(changes.Foreign()) > 0 {
			t.Fatalf("a plan conflicts with itself: %v %v", changes.Conflicts(), changes.Foreign())
		}
	})
}

func (n network) everythingIsInOneStage() {
	bolts, inputs, names := map[int]int{}, map[int]int{}, map[string]bool{}
	for i, st := range n.Stages {
		if names[st.Name] {
			n.Fatalf("two stages are called %q", st.Name)
		}
		names[st.Name] = true
		if !slices.IsSorted(st.Bolts) {
			n.Fatalf("stage %q has its bolts out of order: %v", st.Name, st.Bolts)
		}
		stateful := false
		for _, b := range st.Bolts {
			bolts[b]++
			stateful = stateful || n.keyed(b) || n.Bolts[b].Component.NewProcessor != nil
			if n.Bolts[b].Stage != i {
				n.Fatalf("bolt %q is in stage %d and %d", n.Bolts[b].Name, i, n.Bolts[b].Stage)
			}
		}
		if stateful != st.Stateful {
			n.Fatalf("stage %q is stateful: %v", st.Name, st.Stateful)
		}
		for _, in := range st.Inputs {
			inputs[in]++
			if n.Inputs[in].Stage != i {
				n.Fatalf("input %q is in stage %d and %d", n.Inputs[in].Topic, i, n.Inputs[in].Stage)
			}
		}
	}
	for i := range n.Bolts {
		if bolts[i] != 1 {
			n.Fatalf("bolt %q is in %d stages", n.Bolts[i].Name, bolts[i])
		}
	}
	for i := range n.Inputs {
		if inputs[i] != 1 {
			n.Fatalf("input %q is in %d stages", n.Inputs[i].Topic, inputs[i])
		}
	}
}

// each visits the targets of every input and bolt.
func (n network) each(visit func(from string, stage int, late bool, t topology.Target)) {
	for _, in := range n.Inputs {
		for _, t := range in.Next {
			visit(in.Name, in.Stage, false, t)
		}
	}
	for _, b := range n.Bolts {
		for _, t := range slices.Concat(b.Next...) {
			visit(b.Name, b.Stage, b.Late, t)
		}
	}
}

func (n network) nothingPassesBetweenStages() {
	n.each(func(from string, stage int, _ bool, t topology.Target) {
		if !t.Sink && n.Bolts[t.Index].Stage != stage {
			n.Fatalf("%q feeds bolt %q of another stage", from, n.Bolts[t.Index].Name)
		}
	})
}

func (n network) lateIsClosed() {
	fed := map[int]bool{}
	n.each(func(from string, _ int, late bool, t topology.Target) {
		if late && !t.Sink {
			fed[t.Index] = true
		}
	})
	for i, b := range n.Bolts {
		if want := fed[i] || b.Component.NewProcessor != nil; b.Late != want {
			n.Fatalf("bolt %q is late: %v", b.Name, b.Late)
		}
		if b.Late && b.Component.Spec.Blocking {
			n.Fatalf("bolt %q waits in the order of its task", b.Name)
		}
	}
}

// keysMeet follows records from each topic: whoever needs all records of a key gets them under the keys they had there.
func (n network) keysMeet() {
	dirty := n.dirty()
	n.each(func(from string, _ int, _ bool, t topology.Target) {
		if !t.Sink && n.keyed(t.Index) && dirty[from] {
			n.Fatalf("bolt %q gets records of %q under other keys than those of their topic", n.Bolts[t.Index].Name, from)
		}
	})
}

// dirty says which inputs and bolts give records under other keys than those of the last topic.
func (n network) dirty() map[string]bool {
	dirty := map[string]bool{}
	for i, b := range n.Bolts { // each after what feeds it
		dirty[b.Name] = dirty[b.Name] || n.rekeys(i)
		for _, t := range slices.Concat(b.Next...) {
			if !t.Sink && dirty[b.Name] {
				dirty[n.Bolts[t.Index].Name] = true
			}
		}
	}
	return dirty
}

func (n network) topicsStandOnlyWhereTheyMust() {
	dirty, late := n.dirty(), map[string]bool{}
	for _, b := range n.Bolts {
		late[b.Name] = b.Late
	}
	for _, in := range n.Inputs {
		if !in.Repartition {
			continue
		}
		must := false
		for _, t := range in.Next {
			b := n.Bolts[t.Index]
			must = must || b.Component.Shape != nil && b.Component.Shape(b.Config).Repartition
			must = must || slices.ContainsFunc(n.writers(in.Topic), func(from string) bool {
				return n.keyed(t.Index) && dirty[from] || b.Component.Spec.Blocking && late[from]
			})
		}
		if !must {
			n.Fatalf("topic %q is not needed", in.Topic)
		}
	}
}

// writers names what writes a topic between bolts.
func (n network) writers(name string) (from []string) {
	n.each(func(writer string, _ int, _ bool, t topology.Target) {
		if t.Sink && n.Sinks[t.Index].Topic == name {
			from = append(from, writer)
		}
	})
	return from
}

// edgesAreThoseWritten: with the topics between bolts taken away, the plan is the graph of the files, each edge once, and
// the sides of a join are those of its from.
func (n network) edgesAreThoseWritten() {
	var have, want []string
	entries := map[string][]topology.Target{}
	for _, in := range n.Inputs {
		if in.Repartition {
			entries[in.Topic] = in.Next
		}
	}
	add := func(from string, t topology.Target) {
		b := n.Bolts[t.Index]
		edge := from + " -> " + b.Name
		if b.Component.Shape != nil && len(b.Component.Shape(b.Config).Inputs) > 1 {
			edge += fmt.Sprint(t.Input)
		}
		have = append(have, edge)
	}
	n.each(func(from string, _ int, _ bool, t topology.Target) {
		switch {
		case strings.Contains(from, ".") && !strings.HasSuffix(from, ".topic"): // a topic between bolts
		case !t.Sink:
			add(from, t)
		default:
			for _, e := range entries[n.Sinks[t.Index].Topic] {
				if b := n.spec.Bolts[n.Bolts[e.Index].Name]; slices.Contains(b.From, from) {
					add(from, e)
				}
			}
		}
	})
	for name, b := range n.spec.Bolts {
		for i, from := range b.From {
			edge := from + " -> " + name
			if c, ok := b.Config.(*shaped); ok && len(c.Inputs) > 1 {
				edge += fmt.Sprint(i)
			}
			want = append(want, edge)
		}
	}
	for name, t := range n.spec.Tables {
		if !t.Global {
			want = append(want, n.spoutOf(t.Topic.Name)+" -> "+name)
		}
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		n.Fatalf("edges %v\nwant %v", have, want)
	}
}

func (n network) spoutOf(topic string) string {
	i := slices.IndexFunc(n.Inputs, func(in topology.Input) bool { return in.Topic == topic })
	return n.Inputs[i].Name
}

func (n network) topicsAreAlike() {
	partitions := map[string]int{}
	for _, t := range n.Topics {
		partitions[t.Name] = t.Spec.Partitions
	}
	for _, st := range n.Stages {
		if !st.Stateful {
			continue
		}
		var topics []string
		for _, i := range st.Inputs {
			topics = append(topics, n.Inputs[i].Topic)
		}
		for _, s := range st.Stores {
			topics = append(topics, s.Changelog)
		}
		for _, name := range topics {
			if partitions[name] != st.Partitions || st.Partitions < 1 {
				n.Fatalf("topic %q of stage %q has %d partitions for %d tasks", name, st.Name, partitions[name], st.Partitions)
			}
		}
	}
	if err := topology.CheckPartitions(n.Plan, partitions); err != nil {
		n.Fatal(err)
	}
}

func (n network) tablesAreWhereTheyAreRead() {
	for i, st := range n.Stages {
		for _, b := range st.Bolts {
			if n.Bolts[b].Component.Shape == nil {
				continue
			}
			for _, name := range n.Bolts[b].Component.Shape(n.Bolts[b].Config).Reads {
				here := slices.ContainsFunc(st.Stores, func(s topology.Store) bool { return s.Name == name })
				global := slices.ContainsFunc(n.Globals, func(g topology.Global) bool { return g.Name == name })
				if here == global {
					n.Fatalf("table %q is in stage %d: %v, global: %v", name, i, here, global)
				}
			}
		}
	}
}

// upstreamComesFirst wherever stages do not write for one another.
func (n network) upstreamComesFirst() {
	feeds := map[[2]int]bool{}
	n.each(func(_ string, stage int, _ bool, t topology.Target) {
		for _, in := range n.Inputs {
			if t.Sink && in.Repartition && in.Topic == n.Sinks[t.Index].Topic {
				feeds[[2]int{stage, in.Stage}] = true
			}
		}
	})
	for k := range n.Stages {
		for i := range n.Stages {
			for j := range n.Stages {
				if feeds[[2]int{i, k}] && feeds[[2]int{k, j}] {
					feeds[[2]int{i, j}] = true
				}
			}
		}
	}
	for i := range n.Stages {
		for j := range i {
			if feeds[[2]int{i, j}] && !feeds[[2]int{j, i}] && !feeds[[2]int{j, j}] && !feeds[[2]int{i, i}] {
				n.Fatalf("stage %q comes after %q, which reads what it writes", n.Stages[i].Name, n.Stages[j].Name)
			}
		}
	}
}
