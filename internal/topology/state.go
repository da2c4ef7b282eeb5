package topology

import (
	"slices"
	"strings"
	"time"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/topic"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/manifest"
)

// shapeOf asks a bolt what it does to keys and what it keeps, and gives its stores the names they have in the plan.
func shapeOf(n *node) component.Shape {
	if n.def.Shape == nil {
		return component.Shape{}
	}
	shape := n.def.Shape(n.Config)
	shape.Stores = slices.Clone(shape.Stores)
	if (shape.Table || shape.Global) && len(shape.Stores) == 0 {
		shape.Stores = []store.Spec{{}}
	}
	for i := range shape.Stores {
		shape.Stores[i].Name = store.NameOf(n.name, shape.Stores[i].Name)
	}
	return shape
}

// state checks what bolts with state are fed with and resolves the stores they read.
func (c *checker) state(here at, g *graph) {
	for _, b := range g.bolts {
		for _, s := range b.shape.Stores {
			if other, taken := g.stores[s.Name]; taken {
				c.errorf(b.place(here), CodeDuplicateName, "rename one of the two", "plan bolt %q: its store %q has the name of one of bolt %q", b.name, s.Name, other.name)
			}
			g.stores[s.Name] = b
		}
	}
	for _, b := range g.bolts {
		c.sides(here, b)
		c.reads(here, g, b)
	}
}

// sides checks that a bolt has the sources it needs to tell apart.
func (c *checker) sides(here at, b *node) {
	place := b.place(here).in("from")
	if want := len(b.shape.Inputs); want > 0 && len(b.From) != want {
		c.errorf(place, CodeJoinInputs, "name them in this order: "+strings.Join(b.shape.Inputs, ", "),
			"read bolt %q: it is fed by %s, want %d", b.name, count(len(b.From), "source"), want)
	}
	if b.shape.Table && len(b.From) > 1 {
		c.errorf(place, CodeJoinInputs, "put a bolt before it that takes them all", "read bolt %q: a table is made of one source, not of %d", b.name, len(b.From))
	}
	if !b.shape.Global {
		return
	}
	if len(b.from) == 1 && !topicSpout(b.from[0].node) {
		c.errorf(place, CodeGlobalTable, "write its records to a topic, and read that topic with a spout",
			"read bolt %q: a global table is read from a topic, not from %s %q", b.name, b.from[0].node.kind, b.from[0].node.name)
	}
	for _, next := range b.next() {
		c.errorf(next.place(here).in("from"), CodeGlobalTable, "join it instead, or take its topic's records from a spout",
			"read %s %q: global table %q gives no records", next.kind, next.name, b.name)
	}
}

func topicSpout(n *node) bool {
	_, ok := n.Config.(*topic.SpoutConfig)
	return ok
}

// reads finds who keeps the stores that a bolt reads.
func (c *checker) reads(here at, g *graph, b *node) {
	for i, name := range b.shape.Reads {
		owner, ok := g.stores[name]
		if n := g.byName[name]; !ok && n != nil && n.Config == nil {
			continue // its settings are wrong, so it is not known what it keeps
		}
		if !ok {
			c.errorf(b.place(here).in("%s.table", b.Component), CodeUnknownTable, manifest.Suggest(name, g.readable()),
				"read bolt %q: there is no table %q", b.name, name)
			continue
		}
		if owner != b {
			b.reads = append(b.reads, owner)
		}
		c.suits(here, b, owner, i)
	}
}

// suits checks that a store is what a bolt that reads it needs.
func (c *checker) suits(here at, b, owner *node, i int) {
	name, place := b.shape.Reads[i], b.place(here).in("%s.table", b.Component)
	if b.shape.AnyKey && !owner.shape.Global {
		c.errorf(place, CodeGlobalTable, "make the table global, or put a rekey bolt before and leave the key out",
			"read bolt %q: table %q is not global, so it has no row for any other key than the record's", b.name, name)
	}
	if b.shape.ReadKinds == nil {
		return
	}
	for _, s := range owner.shape.Stores {
		if want := b.shape.ReadKinds[i]; s.Name == name && s.Kind != want {
			c.errorf(place, CodeTableKind, kindHint(s.Kind), "read bolt %q: store %q is %s, want %s", b.name, name, s.Kind, want)
		}
	}
}

// readable lists the tables of a topology, or all of its stores if there are none.
func (g *graph) readable() []string {
	var tables []string
	for _, b := range g.bolts {
		if b.shape.Table && len(b.shape.Stores) > 0 {
			tables = append(tables, b.shape.Stores[0].Name)
		}
	}
	if len(tables) == 0 {
		return sortedKeys(g.stores)
	}
	return tables
}

// keyed says whether a bolt needs all records of a key in one task. What reads a global table does not: every process
// has all of it.
func (n *node) keyed() bool {
	return n.shape.Keyed || len(n.shape.Stores) > 0 || len(n.shape.Inputs) > 1 ||
		slices.ContainsFunc(n.reads, func(o *node) bool { return !o.shape.Global })
}

// stateful says whether a bolt makes its stage a stateful one.
func (n *node) stateful() bool { return n.keyed() || n.def.NewProcessor != nil }

// Ends of the names of a topology's own topics.
const (
	changelogSuffix = ".changelog"
	replaySuffix    = ".replay"
)

// changelogSlack is how much longer a changelog keeps what its store has let go. A store forgets by event time, which stands
// still while no records come; the log deletes by the clock. So this is also how long a topology may have nothing to do, or
// be stopped, and lose the disks of its stores after that, before windows that are still open are lost with them.
const changelogSlack = 7 * 24 * time.Hour

// kindHint says what to do about a table of another kind than a bolt needs.
func kindHint(kind store.Kind) string {
	if kind == store.KindWindow || kind == store.KindSession {
		return "windows have no single row for a key: leave the window out, or write the results to a topic with key: windowed and make a table of it"
	}
	return "a table with a history is asked for the row of a time (asOf), any other without"
}

// stores gives the stores of a stage's bolts their changelogs.
func (c *checker) stores(here at, p *Plan, bolts []*node) []Store {
	var all []Store
	for _, b := range bolts {
		for i, spec := range b.shape.Stores {
			s := Store{Spec: spec, Bolt: b.name}
			switch {
			case spec.Unlogged:
			case i == 0 && c.ownChangelog(here, b):
				s.Changelog, s.Source = b.from[0].node.Config.(*topic.SpoutConfig).Name, true
			default:
				s.Changelog = p.Name + "." + spec.Name + changelogSuffix
			}
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b Store) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// ownChangelog says whether the topic a table is made of is its changelog too. A topic that forgets cannot be.
func (c *checker) ownChangelog(here at, b *node) bool {
	if !b.shape.Table || len(b.from) != 1 || !topicSpout(b.from[0].node) || b.through[0] != nil || !plainTable(b.shape.Stores[0]) {
		return false
	}
	return !c.forgets(here, b)
}

func plainTable(s store.Spec) bool { return s.Kind == store.KindKeyValue && s.Retention == 0 }

// forgets says whether the topic a table is made of is declared without compaction, and warns if it drops records.
func (c *checker) forgets(here at, b *node) bool {
	t, declared := c.set.Topic(b.from[0].node.Config.(*topic.SpoutConfig).Name)
	if !declared || t.Open.Retention || t.Spec.Cleanup == "compact" {
		return false
	}
	if t.Spec.Retention > 0 {
		c.warnf(b.place(here), CodeTableForgets, "declare the topic with cleanup: compact and retention: 0s",
			"plan table %q: topic %q drops records after %s, and a table that is built anew cannot have them", b.name, t.Metadata.Name, span(time.Duration(t.Spec.Retention)))
	}
	return true
}

// globals moves the global tables out of the stages.
func (c *checker) globals(here at, p *Plan, g *graph) {
	for _, b := range g.bolts {
		if !b.shape.Global {
			continue
		}
		spout := b.from[0].node
		c.forgets(here, b)
		p.Globals = append(p.Globals, Global{Name: b.name, Topic: spout.Config.(*topic.SpoutConfig).Name, Store: b.shape.Stores[0], Format: formatOf(spout)})
	}
	slices.SortFunc(p.Globals, func(a, b Global) int { return strings.Compare(a.Name, b.Name) })
}

// tables lists what can be asked for.
func (c *checker) tables(p *Plan, g *graph) {
	for _, b := range g.bolts {
		i := b.asked()
		if i < 0 || b.shape.Private {
			continue
		}
		t := Table{Name: b.name, Stage: b.stage, Store: b.shape.Stores[i], Format: flowing(b), Show: b.def.Show}
		if b.shape.Global {
			t.Stage = -1
		}
		p.Tables = append(p.Tables, t)
	}
	slices.SortFunc(p.Tables, func(a, b Table) int { return strings.Compare(a.Name, b.Name) })
}

// asked is which of a bolt's stores can be asked for: what a table keeps, and what any other bolt keeps under its own
// name; -1 if there is none.
func (n *node) asked() int {
	if n.shape.Table && len(n.shape.Stores) > 0 {
		return 0
	}
	return slices.IndexFunc(n.shape.Stores, func(s store.Spec) bool { return s.Name == n.name })
}

// changelogSpec is the shape of a store's own changelog. What a store forgets after its retention its changelog may drop
// too, a week later. A versioned store keeps the newest version of a key for ever, so its changelog drops nothing.
func changelogSpec(s Store, partitions int) api.TopicSpec {
	spec := api.TopicSpec{Partitions: partitions, Cleanup: "compact"}
	if s.Retention > 0 && s.Kind != store.KindVersioned {
		spec.Cleanup, spec.Retention = "compact,delete", api.Duration(s.Retention+changelogSlack)
	}
	return spec
}
