package topology

import (
	"cmp"
	"maps"
	"slices"
)

// part is a stage while it is found: what is connected without a topic between.
type part struct {
	name     string
	spouts   []*node
	bolts    []*node // each after what feeds it
	hops     []*hop  // that it reads
	stateful bool
	upstream []*part // that write what it reads, itself not
}

// union finds what is connected: every member points, over others, to one that stands for all.
type union map[any]any

func (u union) of(x any) any {
	for u[x] != nil && u[x] != x {
		x = u[x]
	}
	return x
}

func (u union) join(a, b any) { u[u.of(b)] = u.of(a) }

// parts finds the stages of a graph that has been cut: upstream first as far as that is possible, and among those that
// could come next the first by name.
func (g *graph) parts() []*part {
	connected := g.connected()
	byRoot := map[any]*part{}
	of := func(x any) *part {
		root := connected.of(x)
		if byRoot[root] == nil {
			byRoot[root] = &part{}
		}
		return byRoot[root]
	}
	for _, s := range g.spouts {
		if s.read() {
			p := of(s)
			p.spouts = append(p.spouts, s)
		}
	}
	for _, h := range g.hops {
		p := of(h)
		p.hops = append(p.hops, h)
	}
	for _, b := range g.bolts {
		if !b.shape.Global {
			p := of(b)
			p.bolts, p.stateful = append(p.bolts, b), p.stateful || b.stateful()
		}
	}
	all := slices.Collect(maps.Values(byRoot))
	for _, p := range all {
		p.name = p.firstName()
		p.upstream = p.writers(of)
	}
	return upstreamFirst(all)
}

// connected joins what is worked on together: over edges without a topic, and over the stores that bolts read.
func (g *graph) connected() union {
	u := union{}
	for _, b := range g.bolts {
		if b.shape.Global {
			continue
		}
		for i, s := range b.from {
			if b.through[i] != nil {
				u.join(b.through[i], b)
			} else {
				u.join(s.node, b)
			}
		}
		for _, owner := range b.reads {
			if !owner.shape.Global {
				u.join(owner, b)
			}
		}
	}
	return u
}

// writers lists the other stages that write what a stage reads.
func (p *part) writers(of func(any) *part) (all []*part) {
	for _, h := range p.hops {
		for _, s := range h.from {
			if up := of(s.node); up != p && !slices.Contains(all, up) {
				all = append(all, up)
			}
		}
	}
	return all
}

// read says whether the workers read a spout's topic: whoever only fills global tables is read by these themselves.
func (n *node) read() bool {
	return slices.ContainsFunc(n.next(), func(to *node) bool { return !to.shape.Global })
}

// firstName names a stage. One with state is called after the first of its bolts by name that has a store: it is its
// stores' folder, and stays the same whatever else changes in the stage.
func (p *part) firstName() string {
	stores := func(b *node) bool { return len(b.shape.Stores) > 0 }
	for _, is := range []func(*node) bool{stores, (*node).stateful} {
		if name := first(p.bolts, is); name != "" {
			return name
		}
	}
	if name := first(p.spouts, func(*node) bool { return true }); name != "" {
		return name
	}
	return p.hops[0].to[0].bolt.name
}

// first is the first name among some nodes.
func first(nodes []*node, is func(*node) bool) string {
	name := ""
	for _, n := range nodes {
		if is(n) && (name == "" || n.name < name) {
			name = n.name
		}
	}
	return name
}

// upstreamFirst orders stages. Two may read what the other writes: then the first by name comes first.
func upstreamFirst(rest []*part) []*part {
	slices.SortFunc(rest, func(a, b *part) int { return cmp.Compare(a.name, b.name) })
	var ordered []*part
	for len(rest) > 0 {
		i := slices.IndexFunc(rest, func(p *part) bool {
			return !slices.ContainsFunc(p.upstream, func(up *part) bool { return slices.Contains(rest, up) })
		})
		i = max(i, 0)
		ordered = append(ordered, rest[i])
		rest = slices.Delete(rest, i, i+1)
	}
	return ordered
}

// stages fills in the stages of a plan. Its bolts and inputs are there, under the names of their nodes and hops.
func (c *checker) stages(here at, p *Plan, g *graph) {
	inputs, bolts := map[string]int{}, map[string]int{}
	for i, in := range p.Inputs {
		inputs[in.Name] = i
	}
	for i, b := range p.Bolts {
		bolts[b.Name] = i
	}
	for n, found := range g.parts() {
		st := Stage{Name: found.name, Stateful: found.stateful, Replay: p.Replay}
		if st.Stateful {
			st.Replay = p.Name + "." + st.Name + replaySuffix
		}
		for _, name := range found.inputs() {
			st.Inputs = append(st.Inputs, inputs[name])
			p.Inputs[inputs[name]].Stage = n
		}
		for _, b := range found.bolts {
			i := bolts[b.name]
			st.Bolts = append(st.Bolts, i)
			b.stage, p.Bolts[i].Stage, p.Bolts[i].Late = n, n, b.late
		}
		slices.Sort(st.Inputs)
		slices.Sort(st.Bolts)
		st.Stores = c.stores(here, p, found.bolts)
		p.Stages = append(p.Stages, st)
	}
	p.replays()
}

// inputs names what a stage reads.
func (p *part) inputs() (names []string) {
	for _, s := range p.spouts {
		names = append(names, s.name)
	}
	for _, h := range p.hops {
		names = append(names, h.name)
	}
	return names
}

// replays adds the inputs through which dead letters come back: one for each stateful stage, in which they meet the
// state of their key, and one for all others together. It belongs to the first of these; its records name their place.
func (p *Plan) replays() {
	shared := false
	for n := range p.Stages {
		st := &p.Stages[n]
		if !st.Stateful && shared {
			continue
		}
		shared = shared || !st.Stateful
		st.Inputs = append(st.Inputs, len(p.Inputs))
		p.Inputs = append(p.Inputs, replayInput(st.Replay, n))
	}
}
