package stream

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/topic"
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/manifest"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/topology"
)

// built is a topology as the planner takes it.
type built struct {
	spec     api.TopologySpec
	registry *component.Registry
	topics   []manifest.Topic
	plan     *topology.Plan
	warnings []Problem
	err      error
}

// build makes the graph of bolts, once. It finds everything that is wrong, here and in the planner.
func (t *Topology) build() (*built, error) {
	if t.built == nil {
		t.built = t.assemble()
	}
	return t.built, t.built.err
}

func (t *Topology) assemble() *built {
	g := &graph{Topology: t}
	g.nameAll()
	g.nilFunctions()
	g.dropViews()
	g.unused()
	g.adapt()
	g.fuse()
	b := g.write()
	if len(t.problems) == 0 {
		b.check(t)
	}
	if len(t.problems) > 0 {
		b.err = &BuildError{Topology: t.name, Problems: t.problems}
	}
	return b
}

// check lets the planner look at the graph.
func (b *built) check(t *Topology) {
	plans, problems := topology.Build(b.set(t.name, nil), b.registry)
	for _, p := range problems {
		told := Problem{Code: p.Code, Node: p.Path, Message: p.Message, Hint: inGo(p.Hint)}
		if p.Severity == manifest.SeverityError {
			t.problems = append(t.problems, told)
		} else if p.Code != topology.CodeDroppedOutput { // nobody need take what is late
			b.warnings = append(b.warnings, told)
		}
	}
	if len(plans) == 1 {
		b.plan = plans[0]
		b.warnings = append(b.warnings, t.orderLost(b.plan)...)
	}
}

// inGo says what to do in a program where the planner speaks of files.
func inGo(hint string) string {
	return goHints.Replace(hint)
}

var goHints = strings.NewReplacer(
	"put a rekey bolt between one of them and the bolt", "call Repartition on one of the streams",
	"put a rekey bolt between topic", "call Repartition between topic",
	"declare the topic with cleanup: compact and retention: 0s", "declare the topic Compacted",
	"declare partitions: ", "declare Partitions: ",
	// Flags of the command line that are options here. Longer ones come first.
	"--tables-advertise", "Options.Tables.Advertise", "--tables-listen", "Options.Tables.Listen",
	"--tables-tls-cert", "Options.Tables.TLSCert", "--tables-tls-key", "Options.Tables.TLSKey", "--tables-plain", "Options.Tables.Plain",
	"--listen", "Options.Listen", "--brokers", "Options.Brokers", "--data", "Options.Dir", "--id", "Options.ID",
)

// set is what the planner reads; change may set what belongs to running.
func (b *built) set(name string, change func(*api.TopologySpec)) *manifest.Set {
	spec := b.spec
	if change != nil {
		change(&spec)
	}
	one := manifest.Topology{Topology: api.Topology{Metadata: api.Metadata{Name: name}, Spec: spec}}
	return &manifest.Set{Topics: b.topics, Topologies: []manifest.Topology{one}}
}

// graph is a topology being built.
type graph struct {
	*Topology
	consumers map[source][]consumer
	regions   map[*node]*region
	all       []*region
}

// consumer is one input of a node.
type consumer struct {
	n  *node
	in int
}

// nameAll gives every node its name: its own, or what it does and how many such came before.
func (g *graph) nameAll() {
	taken := map[string]*node{}
	for _, n := range g.nodes {
		if n.named == "" {
			continue
		}
		if other, twice := taken[n.named]; twice {
			g.problem(CodeDuplicateName, n.named, "rename one of the two", "read %s: %s has this name already", n.label(), other.label())
		}
		taken[n.named], n.name = n, n.named
	}
	for _, edges := range []bool{true, false} {
		for _, n := range g.nodes {
			if edge := n.kind == spoutNode || n.kind == sinkNode; n.name == "" && edge == edges {
				n.name = firstFree(taken, n.op)
				taken[n.name] = n
			}
		}
	}
}

// firstFree is the first of stem, stem-2, stem-3 … that is not taken.
func firstFree(taken map[string]*node, stem string) string {
	name := stem
	for i := 2; taken[name] != nil; i++ {
		name = stem + "-" + strconv.Itoa(i)
	}
	return name
}

// nilFunctions reports functions that are nil: each would fail with the first record.
func (g *graph) nilFunctions() {
	for _, n := range g.nodes {
		for _, c := range n.calls {
			if reflect.ValueOf(c.f).IsNil() {
				g.problem(CodeValueInvalid, n.name, "give it a function", "read %s: its function %s is nil", n.label(), c.name)
			}
		}
	}
}

func (g *graph) connect() {
	g.consumers = map[source][]consumer{}
	for _, n := range g.nodes {
		for i, in := range n.from {
			g.consumers[in.source] = append(g.consumers[in.source], consumer{n, i})
		}
	}
}

// dropViews leaves out operators of tables whose changes nobody takes, because the table is read through them only.
func (g *graph) dropViews() {
	for dropped := true; dropped; {
		g.connect()
		before := len(g.nodes)
		g.nodes = slices.DeleteFunc(g.nodes, func(n *node) bool {
			return n.view && n.viewed && len(g.consumers[source{n, 0}]) == 0
		})
		dropped = len(g.nodes) < before
	}
}

// unused reports streams that nobody takes: mostly a result that was forgotten.
func (g *graph) unused() {
	g.connect()
	for _, n := range g.nodes {
		if n.last || len(n.outs) == 0 {
			continue
		}
		taken, wanted := 0, 0
		for port, out := range n.outs {
			taken += len(g.consumers[source{n, port}])
			if !out.side {
				wanted++
			}
		}
		n.taken = taken > 0
		if taken == 0 && (wanted > 0 || n.kind == freeNode) {
			g.problem(CodeUnusedStream, n.name, "write it to a topic with To, end it with ForEach, or remove it", "read %s: nobody takes its records", n.label())
		}
	}
	if len(g.nodes) == 0 {
		g.problem(CodeUnusedStream, "", "begin with stream.From", "read topology %q: there is nothing in it", g.name)
	}
}

// adapt puts an operator that changes nothing between nodes that meet as bytes but write them differently, and where a
// node takes the same output twice.
func (g *graph) adapt() {
	for _, n := range slices.Clone(g.nodes) {
		if n.kind == boltNode {
			g.writes(n)
		}
		seen := map[source]bool{}
		for i, in := range n.from {
			if in.n.kind == freeNode || n.kind == freeNode && len(n.from) == 1 {
				continue
			}
			out := in.n.outs[in.port].shape
			if seen[in.source] || out.keyID != in.want.keyID || out.valueID != in.want.valueID {
				n.from[i].source = g.pass(in)
			}
			seen[in.source] = true
		}
	}
	g.connect()
}

// writes reports outputs of a bolt that it cannot write.
func (g *graph) writes(n *node) {
	for port, out := range n.outs {
		as := *out.shape
		for _, in := range n.from { // what is missing before is reported there
			if in.want.keyID == 0 {
				as.keyID = -1
			}
			if in.want.valueID == 0 && in.want.valueType == as.valueType {
				as.valueID = -1
			}
		}
		g.needsCodecs(input{source{n, port}, &as})
	}
}

func (g *graph) pass(in input) source {
	as := in.n.outs[in.port].shape
	n := &node{t: g.Topology, kind: freeNode, op: "recode", name: in.n.name + "-recode", from: []input{{in.source, as}}, outs: []output{{shape: as}}, link: as.same}
	taken := map[string]*node{}
	for _, other := range g.nodes {
		taken[other.name] = other
	}
	n.name = firstFree(taken, n.name)
	g.nodes = append(g.nodes, n)
	return source{n, 0}
}

// write makes nodes of a topology file of the regions and the nodes with state, and a registry of their components.
func (g *graph) write() *built {
	b := &built{spec: api.TopologySpec{Spouts: map[string]api.Node{}, Bolts: map[string]api.Node{}, Sinks: map[string]api.Node{}}}
	manifest.Defaults(&b.spec)
	definitions := []component.Definition{topic.Spout(), topic.Sink()}
	for _, r := range g.all {
		d := r.definition(g)
		definitions = append(definitions, d)
		b.spec.Bolts[r.name] = api.Node{From: r.from(g), Component: d.Spec.Name, Config: d.NewConfig()}
	}
	for _, n := range g.nodes {
		switch n.kind {
		case spoutNode:
			b.spec.Spouts[n.name] = api.Node{Component: "topic", Config: n.spoutConfig()}
		case sinkNode:
			b.spec.Sinks[n.name] = api.Node{From: g.fromOf(n), Component: "topic", Config: &topic.SinkConfig{Name: n.topic.name}}
		case boltNode:
			d := n.definition()
			definitions = append(definitions, d)
			b.spec.Bolts[n.name] = api.Node{From: g.fromOf(n), Component: d.Spec.Name, Config: d.NewConfig()}
		}
	}
	if len(g.problems) == 0 {
		b.registry = component.NewRegistry(definitions...)
	}
	b.topics = g.declared()
	return b
}

func (n *node) spoutConfig() *topic.SpoutConfig {
	c := &topic.SpoutConfig{Name: n.topic.name, Format: "raw", Start: "earliest"}
	if n.latest {
		c.Start = "latest"
	}
	return c
}

// settings stands for the settings of a component that was written in Go.
type settings struct{}

// definition is the component of a node that is a bolt of its own.
func (n *node) definition() component.Definition {
	d := component.Definition{
		Spec:      component.Spec{Kind: component.KindBolt, Name: n.op + ":" + n.name, Summary: "An operator written in Go."},
		NewConfig: func() any { return new(settings) },
		Ports:     func(any) []string { return n.ports() },
		Format:    func(any) record.Format { return n.format() },
	}
	if n.call != nil {
		d.Spec.Blocking = true
		d.NewBolt = func(any, component.Env) (component.Bolt, error) { return n.call(), nil }
	} else {
		d.NewProcessor = func(_ any, env component.Env) (processor.Processor, error) { return n.open(env) }
	}
	if n.shape != nil {
		d.Shape = func(any) component.Shape { return n.shape() }
	}
	return d
}

// format is what the values of a node's store hold, so that a table can be shown.
func (n *node) format() record.Format {
	if len(n.outs) > 0 {
		return n.outs[0].shape.format
	}
	return n.from[0].want.format
}

// ports names the outputs of a bolt: none if nobody takes any.
func (n *node) ports() []string {
	names := []string{}
	if !n.taken {
		return names
	}
	for _, o := range n.outs {
		names = append(names, o.name)
	}
	return names
}

// fromOf names what feeds a node, as a topology file does.
func (g *graph) fromOf(n *node) []string {
	var names []string
	for i := range n.from {
		names = append(names, g.nameOf(n, i))
	}
	return names
}

// nameOf names what feeds one input of a node.
func (g *graph) nameOf(n *node, in int) string {
	from := n.from[in]
	if from.n.kind == freeNode {
		return g.regions[from.n].exit(from, n, in)
	}
	if name := from.n.outs[from.port].name; name != "" {
		return from.n.name + "." + name
	}
	return from.n.name
}

func (g *graph) declared() []manifest.Topic {
	var all []manifest.Topic
	for _, name := range sortedKeys(g.topics) {
		if d := g.topics[name]; d.declared() {
			all = append(all, manifest.Topic{Topic: api.Topic{Metadata: api.Metadata{Name: name}, Spec: d.spec()}, Open: d.open()})
		}
	}
	return all
}
