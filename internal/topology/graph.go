package topology

import (
	"maps"
	"slices"
	"strings"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/manifest"
)

// graph is a topology as written, with its names resolved.
type graph struct {
	spouts, bolts, sinks []*node // sorted by name; bolts in topological order once checked
	byName               map[string]*node
	stores               map[string]*node  // who keeps the store of that name
	written              map[string]string // nodes that stand elsewhere than in the sections of their kind
	hops                 []*hop            // internal topics between bolts, sorted by name; see cut
}

// node is a spout, bolt or sink.
type node struct {
	api.Node
	name  string
	kind  component.Kind
	def   component.Definition
	ports []string // names of the outputs; the unnamed one is ""
	from  []source
	to    [][]*node // by port

	written string // where, within spec, if not under its name
	shape   component.Shape
	reads   []*node // whose stores it reads
	through []*hop  // by source: the internal topic its records take; nil: none
	rekeyed bool    // the records it emits may have other keys than those that came from the last topic
	wish    int     // partitions that who gave them other keys asks for; 0: as planned
	late    bool    // it or a bolt before it keeps state
	stage   int     // into Plan.Stages
	signed  string  // see signature
}

// source is one output of a node.
type source struct {
	node *node
	port int
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// nodesMax bounds the work of checking a graph. Nobody draws one of this size.
const nodesMax = 1000

// graph resolves who feeds whom and checks that records can flow: where every bolt and sink is fed, nothing is fed from
// itself and only spouts begin, each of them is reached by some spout's records.
func (c *checker) graph(here at, t manifest.Topology, reg *component.Registry) *graph {
	g := &graph{byName: map[string]*node{}, stores: map[string]*node{}}
	spec := here.in("spec")
	if n := len(t.Spec.Spouts) + len(t.Spec.Bolts) + len(t.Spec.Sinks) + 2*len(t.Spec.Tables); n > nodesMax {
		c.errorf(spec, CodeLimitInvalid, "split the topology", "read topology %q: it has %d spouts, bolts, sinks and tables, more than %d", t.Metadata.Name, n, nodesMax)
		return g
	}
	full, written := c.withTables(spec, t.Spec, reg)
	g.written = written
	g.spouts = c.nodes(spec, g, component.KindSpout, full.Spouts, reg)
	g.bolts = c.nodes(spec, g, component.KindBolt, full.Bolts, reg)
	g.sinks = c.nodes(spec, g, component.KindSink, full.Sinks, reg)
	if !t.Broken { // else what is missing has been reported, or may be what could not be read
		c.ends(spec, g)
	}
	for _, n := range g.all() {
		c.connect(here, g, n, t.Broken)
		c.uses(here, n)
	}
	c.topicNames(here, g)
	cyclic := c.cycles(here, g)
	c.unused(here, g)
	if !cyclic {
		g.bolts = inOrder(g.bolts)
	}
	c.state(here, g)
	return g
}

func (g *graph) all() []*node { return slices.Concat(g.spouts, g.bolts, g.sinks) }

func (c *checker) nodes(here at, g *graph, kind component.Kind, written map[string]api.Node, reg *component.Registry) []*node {
	var nodes []*node
	for _, name := range sortedKeys(written) {
		n := &node{Node: written[name], name: name, kind: kind, ports: []string{""}, written: g.written[name]}
		n.def, _ = reg.Lookup(kind, n.Component)
		if n.Config != nil {
			n.ports = portsOf(n)
			n.shape = shapeOf(n)
		}
		n.to = make([][]*node, len(n.ports))
		if other, taken := g.byName[name]; taken {
			c.errorf(n.place(here), CodeDuplicateName, "rename one of the two", "read %s %q: a %s has this name already", kind, name, other.kind)
			continue
		}
		g.byName[name] = n
		nodes = append(nodes, n)
	}
	return nodes
}

// portsOf names a node's outputs.
func portsOf(n *node) []string {
	if n.def.Ports != nil {
		return n.def.Ports(n.Config)
	}
	return append([]string{""}, n.def.Spec.Outputs...)
}

// place is where a node is written. Here is the topology, or its spec.
func (n *node) place(here at) at {
	if here.path == "" {
		here = here.in("spec")
	}
	if n.written != "" {
		return here.in("%s", n.written)
	}
	return here.in("%ss.%s", n.kind, n.name)
}

// connect resolves what feeds a node.
func (c *checker) connect(here at, g *graph, n *node, broken bool) {
	if n.kind == component.KindSpout {
		return
	}
	if len(n.From) == 0 {
		if !broken { // else it has been reported as missing
			c.errorf(n.place(here), CodeUnfedBolt, "name a spout or bolt in its from", "read %s %q: nothing feeds it", n.kind, n.name)
		}
		return
	}
	for i, from := range n.From {
		place := n.place(here).in("from")
		if len(n.From) > 1 {
			place = n.place(here).in("from[%d]", i)
		}
		s, ok := c.source(place, g, n, from)
		switch {
		case !ok: // reported
		case slices.Contains(n.from, s):
			c.errorf(place, CodeDuplicateSource, "remove one of the two", "read %s %q: it is fed from %q twice", n.kind, n.name, from)
		default:
			n.from = append(n.from, s)
			s.node.to[s.port] = append(s.node.to[s.port], n)
		}
	}
}

// source resolves "name" or "bolt.output".
func (c *checker) source(here at, g *graph, n *node, from string) (source, bool) {
	name, output, named := strings.Cut(from, ".")
	if g.written[from] != "" && n.written != "" {
		name, output, named = from, "", false // the spout of a table, which nobody wrote
	}
	s, ok := g.byName[name]
	if !ok {
		c.errorf(here, CodeUnknownSource, manifest.Suggest(name, g.sources(n)),
			"read %s %q: there is no spout or bolt %q to feed it", n.kind, n.name, name)
		return source{}, false
	}
	if s.kind == component.KindSink {
		c.errorf(here, CodeUnknownSource, "name what feeds that sink instead", "read %s %q: %q is a sink, records end there", n.kind, n.name, name)
		return source{}, false
	}
	if s.Config == nil {
		return source{s, 0}, true // its settings are wrong, so its outputs are not known
	}
	port := slices.Index(s.ports, output)
	switch {
	case port >= 0 && named == (output != ""):
		return source{s, port}, true
	case !named:
		c.errorf(here, CodeUnknownSource, outputsHint(s, ""), "read %s %q: %s %q has named outputs only", n.kind, n.name, s.kind, name)
	default:
		c.errorf(here, CodeUnknownSource, outputsHint(s, output), "read %s %q: %s %q has no output %q", n.kind, n.name, s.kind, name, output)
	}
	return source{}, false
}

// sources lists the names that may feed a node.
func (g *graph) sources(n *node) []string {
	var names []string
	for _, s := range g.all() {
		if s != n && s.kind != component.KindSink && !s.shape.Global && !strings.Contains(s.name, ".") {
			names = append(names, s.name)
		}
	}
	return names
}

func outputsHint(n *node, output string) string {
	var names []string
	for _, p := range n.ports {
		if p == "" {
			names = append(names, n.name)
		} else {
			names = append(names, n.name+"."+p)
		}
	}
	if output == "" {
		return manifest.Suggest("", names)
	}
	return manifest.Suggest(n.name+"."+output, names)
}

// uses checks that the services a bolt calls are declared.
func (c *checker) uses(here at, n *node) {
	if n.Config == nil || n.def.Uses == nil {
		return
	}
	var known []string
	for _, s := range c.set.Services {
		known = append(known, s.Metadata.Name)
	}
	for _, name := range n.def.Uses(n.Config) {
		if !slices.Contains(known, name) {
			c.errorf(n.place(here).in("%s.service", n.Component), CodeUnknownService, manifest.Suggest(name, known),
				"read %s %q: service %q is not declared", n.kind, n.name, name)
		}
	}
}

// cycles names every cycle once and says whether there is one.
func (c *checker) cycles(here at, g *graph) bool {
	const (
		open = 1 + iota // on the path from the root
		done
	)
	state, found := map[*node]int{}, false
	var path []*node
	var visit func(n *node)
	visit = func(n *node) {
		state[n] = open
		path = append(path, n)
		for _, next := range n.next() {
			switch state[next] {
			case 0:
				visit(next)
			case open:
				found = true
				c.cycle(here, path[slices.Index(path, next):])
			}
		}
		path = path[:len(path)-1]
		state[n] = done
	}
	for _, n := range g.bolts {
		if state[n] == 0 {
			visit(n)
		}
	}
	return found
}

func (c *checker) cycle(here at, path []*node) {
	var names []string
	for _, n := range append(path, path[0]) {
		names = append(names, n.name)
	}
	c.errorf(path[0].place(here).in("from"), CodeCycle, "let the last bolt write a topic and read that topic with a spout, or cut the circle",
		"read bolt %q: records would go round for ever: %s", path[0].name, strings.Join(names, " -> "))
}

// next lists what a node feeds, each once, in the order of ports.
func (n *node) next() []*node {
	var all []*node
	for _, port := range n.to {
		for _, next := range port {
			if !slices.Contains(all, next) {
				all = append(all, next)
			}
		}
	}
	return all
}

// unused reports outputs that nobody takes.
func (c *checker) unused(here at, g *graph) {
	for _, s := range g.spouts {
		if len(s.next()) == 0 {
			c.errorf(s.place(here), CodeUnusedSpout, "name it in the from of a bolt or sink, or remove it", "read spout %q: nobody takes its records", s.name)
		}
	}
	for _, b := range g.bolts {
		if b.Config == nil {
			continue
		}
		for port, name := range b.ports {
			if len(b.to[port]) == 0 && !b.optional(name) {
				c.dropped(b.place(here), b, name)
			}
		}
	}
}

// optional says whether it is normal that nobody takes an output: what a bolt keeps can be asked for, and few want the
// records that came too late.
func (n *node) optional(output string) bool {
	return n.asked() >= 0 || output == lateOutput && n.def.NewProcessor != nil
}

// lateOutput is where bolts with windows send the records that came too late for them.
const lateOutput = "late"

func (c *checker) dropped(here at, b *node, output string) {
	if output == "" {
		c.warnf(here, CodeDroppedOutput, "name it in the from of a bolt or sink, if the records are wanted", "read bolt %q: nobody takes the records it emits", b.name)
		return
	}
	c.warnf(here, CodeDroppedOutput, "name \""+b.name+"."+output+"\" in the from of a bolt or sink, if the records are wanted",
		"read bolt %q: nobody takes the records of output %q", b.name, output)
}

// inOrder sorts bolts so that each comes after what feeds it; among those that could come next, the first by name does.
func inOrder(bolts []*node) []*node {
	waits := map[*node]int{}
	for _, b := range bolts {
		for _, n := range b.next() {
			waits[n]++
		}
	}
	ordered, rest := make([]*node, 0, len(bolts)), slices.Clone(bolts)
	for len(rest) > 0 {
		i := slices.IndexFunc(rest, func(b *node) bool { return waits[b] == 0 })
		if i < 0 {
			panic("order bolts: there is a cycle that the check has not found")
		}
		for _, n := range rest[i].next() {
			waits[n]--
		}
		ordered = append(ordered, rest[i])
		rest = slices.Delete(rest, i, i+1)
	}
	return ordered
}
