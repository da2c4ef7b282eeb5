package topology

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/topic"
	"ravenswood.dev/internal/manifest"
	"ravenswood.dev/internal/record"
)

const (
	groupPrefix = "raven."

	feedPartitions    = 8 // of a feed's topic
	unknownPartitions = 8 // of a topic that is not declared, as far as anyone can know before it is looked at

	deliverRetention = 7 * 24 * time.Hour  // as long as an outside sink may be down
	deadRetention    = 30 * 24 * time.Hour // as long as a person may take to look
)

// wire fills in the parts of a plan and where records go between them. The graph has been checked and cut.
func (c *checker) wire(here at, p *Plan, g *graph) {
	w := g.numbers()
	for _, s := range g.spouts {
		if s.read() {
			p.Inputs = append(p.Inputs, c.input(p, s, w.next(s, 0)))
		}
	}
	for _, h := range g.hops {
		var next []Target
		for _, e := range h.to {
			next = append(next, Target{Index: w.bolts[e.bolt], Input: e.input})
		}
		slices.SortFunc(next, compareTargets)
		p.Inputs = append(p.Inputs, Input{Name: h.name, Topic: p.Name + "." + h.name, Format: c.hopFormat(here, h), Start: "earliest", Next: next, Repartition: true, asked: h.partitions})
	}
	for _, b := range g.bolts {
		if b.shape.Global {
			continue
		}
		bolt := Bolt{Name: b.name, Component: b.def, Config: b.Config, Next: make([][]Target, len(b.ports))}
		for port := range b.to {
			bolt.Next[port] = w.next(b, port)
		}
		p.Bolts, p.origins = append(p.Bolts, bolt), append(p.origins, originOf(p, b))
	}
	for _, s := range g.sinks {
		p.Sinks = append(p.Sinks, c.sink(here, p, s))
	}
	for _, h := range g.hops {
		p.Sinks = append(p.Sinks, Sink{Name: h.name, Topic: p.Name + "." + h.name, Internal: true, Repartition: true})
	}
	c.stages(here, p, g)
	c.globals(here, p, g)
	c.tables(p, g)
}

// numbers are the places of a graph's parts in the plan.
type numbers struct {
	bolts, sinks map[*node]int
	hops         map[*hop]int // among the sinks
}

func (g *graph) numbers() numbers {
	w := numbers{bolts: map[*node]int{}, sinks: map[*node]int{}, hops: map[*hop]int{}}
	for _, b := range g.bolts {
		if !b.shape.Global {
			w.bolts[b] = len(w.bolts)
		}
	}
	for i, s := range g.sinks {
		w.sinks[s] = i
	}
	for i, h := range g.hops {
		w.hops[h] = len(g.sinks) + i
	}
	return w
}

// next lists where the records of an output go.
func (w numbers) next(n *node, port int) []Target {
	var all []Target
	for _, to := range n.to[port] {
		t := Target{Sink: true, Index: w.sinks[to]}
		if to.kind == component.KindBolt {
			input := slices.Index(to.from, source{n, port})
			t = Target{Index: w.bolts[to], Input: input}
			if h := to.through[input]; h != nil {
				t = Target{Sink: true, Index: w.hops[h]}
			}
		}
		if !to.shape.Global && !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	slices.SortFunc(all, compareTargets)
	return all
}

// replayInput is what the workers read dead letters from that come back.
func replayInput(topic string, stage int) Input {
	return Input{Topic: topic, Format: record.Raw, Start: "earliest", Stage: stage}
}

// compareTargets puts bolts before sinks, each in the order of the plan.
func compareTargets(a, b Target) int {
	if a.Sink != b.Sink {
		if a.Sink {
			return 1
		}
		return -1
	}
	return cmp.Compare(a.Index, b.Index)
}

// input is what the workers read for a spout: its topic, or the internal topic its feed writes.
func (c *checker) input(p *Plan, s *node, next []Target) Input {
	if config, ok := s.Config.(*topic.SpoutConfig); ok {
		format, _ := record.ParseFormat(config.Format) // checked by the component
		return Input{Name: s.name, Topic: config.Name, Format: format, Start: config.Start, Next: next}
	}
	f := Feed{Name: s.name, Component: s.def, Config: s.Config, Topic: p.Name + "." + s.name + ".feed", Group: p.Group + "." + s.name}
	p.Feeds = append(p.Feeds, f)
	return Input{Name: s.name, Topic: f.Topic, Format: formatOf(s), Start: "earliest", Next: next}
}

// formatOf is what the records of a spout hold.
func formatOf(s *node) record.Format {
	if config, ok := s.Config.(*topic.SpoutConfig); ok {
		format, _ := record.ParseFormat(config.Format)
		return format
	}
	if s.def.Format != nil {
		return s.def.Format(s.Config)
	}
	return record.JSON
}

// sink is where the workers write for a sink: its topic, or the internal topic its delivery reads.
func (c *checker) sink(here at, p *Plan, s *node) Sink {
	if config, ok := s.Config.(*topic.SinkConfig); ok {
		return Sink{Name: s.name, Topic: config.Name}
	}
	d := Delivery{Name: s.name, Component: s.def, Config: s.Config, Topic: p.Name + "." + s.name + ".deliver", Group: p.Group + "." + s.name}
	d.Format = c.deliveryFormat(here, s)
	p.Deliveries = append(p.Deliveries, d)
	return Sink{Name: s.name, Topic: d.Topic, Internal: true}
}

// deliveryFormat is the format of the records that reach a sink; raw if they have several.
func (c *checker) deliveryFormat(here at, s *node) record.Format {
	format, mixed := formatOfAll(s.from)
	if mixed {
		c.warnf(s.place(here).in("from"), CodeMixedFormats, "give each format a sink of its own", "read sink %q: records of several formats reach it, it gets them as raw bytes", s.name)
	}
	return format
}

// hopFormat is the format of the records that take a topic between bolts; raw if they have several.
func (c *checker) hopFormat(here at, h *hop) record.Format {
	format, mixed := formatOfAll(h.from)
	if b := h.to[0].bolt; mixed {
		c.warnf(b.place(here).in("from"), CodeMixedFormats, "give each format a bolt of its own", "read bolt %q: records of several formats reach it, it gets them as raw bytes", b.name)
	}
	return format
}

// formatOfAll is the format of the records of some sources; raw if they have several.
func formatOfAll(from []source) (format record.Format, mixed bool) {
	formats, seen := map[record.Format]bool{}, map[*node]bool{}
	var walk func(from []source)
	walk = func(from []source) {
		for _, s := range from {
			switch {
			case seen[s.node]:
			case s.node.kind == component.KindSpout, s.node.def.Format != nil && s.port == 0:
				formats[formatOf(s.node)] = true
			default:
				seen[s.node] = true
				walk(s.node.from)
			}
		}
	}
	walk(from)
	if len(formats) > 1 {
		return record.Raw, true
	}
	for f := range formats {
		return f, false
	}
	return record.JSON, false
}

// flowing is the format of what a bolt emits and keeps, as far as it is known.
func flowing(b *node) record.Format {
	format, _ := formatOfAll([]source{{node: b}})
	return format
}

// topics lists the topics a plan needs.
func (c *checker) topics(here at, p *Plan, g *graph) {
	needed := map[string]Topic{}
	for _, s := range g.spouts {
		if config, ok := s.Config.(*topic.SpoutConfig); ok {
			needed[config.Name] = c.external(config.Name)
		}
	}
	for _, name := range p.remembered() {
		if t := needed[name]; !t.saysRetention() {
			t.Spec.Cleanup, t.Spec.Retention = "compact", 0
			needed[name] = t
		}
	}
	for _, f := range p.Feeds {
		needed[f.Topic] = c.internal(here, f.Topic, api.TopicSpec{Partitions: feedPartitions, Retention: api.Duration(deliverRetention), Cleanup: "delete"})
	}
	c.stageTopics(here, p, g, needed)
	partitions := 0
	for _, in := range p.Inputs {
		partitions = max(partitions, needed[in.Topic].Spec.Partitions)
	}
	for _, s := range p.Sinks {
		if _, known := needed[s.Topic]; !s.Internal && !known {
			needed[s.Topic] = c.external(s.Topic)
		}
	}
	own := map[string]api.TopicSpec{
		p.DeadLetters: {Partitions: partitions, Retention: api.Duration(deadRetention), Cleanup: "delete"},
		p.Parked:      {Partitions: partitions, Cleanup: "compact"},
	}
	if p.reads(p.Replay) {
		own[p.Replay] = api.TopicSpec{Partitions: partitions, Retention: api.Duration(deadRetention), Cleanup: "delete"}
	}
	for _, d := range p.Deliveries {
		own[d.Topic] = api.TopicSpec{Partitions: partitions, Retention: api.Duration(deliverRetention), Cleanup: "delete"}
	}
	for _, name := range sortedKeys(own) {
		needed[name] = c.internal(here, name, own[name])
	}
	for _, name := range sortedKeys(needed) {
		p.Topics = append(p.Topics, needed[name])
	}
	c.declaredInternals(p, partitions)
	c.past(here, p, g)
}

// remembered lists the topics that tables are read from for good: they must not lose the newest record of a key.
func (p *Plan) remembered() []string {
	var all []string
	for _, st := range p.Stages {
		for _, s := range st.Stores {
			if s.Source {
				all = append(all, s.Changelog)
			}
		}
	}
	for _, g := range p.Globals {
		all = append(all, g.Topic)
	}
	return all
}

// reads says whether a topic is an input of the plan.
func (p *Plan) reads(topic string) bool {
	return slices.ContainsFunc(p.Inputs, func(in Input) bool { return in.Topic == topic })
}

// declaredInternals checks Topic resources that give a topology's own topics another shape.
func (c *checker) declaredInternals(p *Plan, partitions int) {
	for _, t := range p.Topics {
		if !t.Declared || !t.Internal {
			continue
		}
		place := at{kind: api.KindTopic, name: t.Name}
		if p.follows(t.Name) && t.Spec.Partitions < partitions {
			c.errorf(place.in("spec.partitions"), CodeInternalTopic, "declare as many or more",
				"plan topic %q: topology %q reads a topic with %d partitions and writes this one by their number", t.Name, p.Name, partitions)
		}
		if want, why := p.cleanup(t.Name); t.Spec.Cleanup != want && why != "" {
			c.errorf(place.in("spec.cleanup"), CodeInternalTopic, "write cleanup: "+want, "plan topic %q: topology %q %s", t.Name, p.Name, why)
		}
	}
}

// cleanup says how a topic of the plan's own must be cleaned, and why; without a why it does not matter.
func (p *Plan) cleanup(topic string) (want, why string) {
	if topic == p.Parked {
		return "compact", "keeps parked records in it until it is done with them"
	}
	for _, in := range p.Inputs {
		if in.Topic == topic && in.Repartition {
			return "delete", "needs every record of it, not only the newest of a key"
		}
	}
	for _, st := range p.Stages {
		for _, s := range st.Stores {
			if s.Changelog == topic {
				return "compact", "keeps store " + strconv.Quote(s.Name) + " in it"
			}
		}
	}
	return "", ""
}

// external is a topic that people name. One that is not declared is made with the defaults of a Topic resource if it does
// not exist.
func (c *checker) external(name string) Topic {
	if t, ok := c.set.Topic(name); ok {
		if t.Open.Partitions {
			t.Spec.Partitions = unknownPartitions
		}
		return Topic{Name: name, Spec: t.Spec, Declared: true, Open: t.Open}
	}
	spec := api.TopicSpec{}
	manifest.Defaults(&spec)
	spec.Partitions = unknownPartitions
	return Topic{Name: name, Spec: spec}
}

// internalRecordMax is the largest record of an internal topic: room for any record of a user's topic and what is added
// to it. It equals kafka.InternalMaxRecord, which this pure room does not import.
const internalRecordMax = 32 << 20

// internal is a topic of the topology itself. A Topic resource of its name may give it another shape.
func (c *checker) internal(here at, name string, spec api.TopicSpec) Topic {
	if !topicNameOK(name) {
		c.errorf(here.in("metadata.name"), CodeTopicNameInvalid, "use shorter names", "plan topic %q: the name is longer than the %d characters of a topic name", name, topicNameMax)
	}
	if t, ok := c.set.Topic(name); ok {
		return Topic{Name: name, Spec: t.Spec, Internal: true, Declared: true}
	}
	spec.Config = map[string]string{"max.message.bytes": strconv.Itoa(internalRecordMax)}
	return Topic{Name: name, Spec: spec, Internal: true}
}
