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

// wire fills in the parts of a plan and where records go between them. The graph has been checked.
func (c *checker) wire(here at, p *Plan, g *graph) {
	targets := map[*node]Target{}
	for i, b := range g.bolts {
		targets[b] = Target{Index: i}
	}
	for i, s := range g.sinks {
		targets[s] = Target{Sink: true, Index: i}
	}
	next := func(to []*node) []Target {
		var all []Target
		for _, n := range to {
			all = append(all, targets[n])
		}
		slices.SortFunc(all, compareTargets)
		return all
	}
	for _, s := range g.spouts {
		p.Inputs = append(p.Inputs, c.input(p, s, next(s.to[0])))
	}
	p.Inputs = append(p.Inputs, Input{Topic: p.Replay, Format: record.Raw, Start: "earliest"})
	for _, b := range g.bolts {
		bolt := Bolt{Name: b.name, Component: b.def, Config: b.Config, Next: make([][]Target, len(b.ports))}
		for port, to := range b.to {
			bolt.Next[port] = next(to)
		}
		p.Bolts = append(p.Bolts, bolt)
	}
	for _, s := range g.sinks {
		p.Sinks = append(p.Sinks, c.sink(here, p, s))
	}
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
	formats := map[record.Format]bool{}
	seen := map[*node]bool{}
	var walk func(n *node)
	walk = func(n *node) {
		if seen[n] {
			return
		}
		seen[n] = true
		if n.kind == component.KindSpout {
			formats[formatOf(n)] = true
		}
		for _, f := range n.from {
			walk(f.node)
		}
	}
	walk(s)
	if len(formats) > 1 {
		c.warnf(s.place(here).in("from"), CodeMixedFormats, "give each format a sink of its own", "read sink %q: records of several formats reach it, it gets them as raw bytes", s.name)
		return record.Raw
	}
	for f := range formats {
		return f
	}
	return record.JSON
}

// topics lists the topics a plan needs.
func (c *checker) topics(here at, p *Plan) {
	needed := map[string]Topic{}
	for _, in := range p.Inputs {
		if in.Topic != p.Replay {
			needed[in.Topic] = c.external(in.Topic)
		}
	}
	for _, f := range p.Feeds {
		needed[f.Topic] = c.internal(here, f.Topic, api.TopicSpec{Partitions: feedPartitions, Retention: api.Duration(deliverRetention), Cleanup: "delete"})
	}
	partitions := 0
	for _, t := range needed {
		partitions = max(partitions, t.Spec.Partitions)
	}
	for _, s := range p.Sinks {
		if _, known := needed[s.Topic]; !s.Internal && !known {
			needed[s.Topic] = c.external(s.Topic)
		}
	}
	own := map[string]api.TopicSpec{
		p.DeadLetters: {Partitions: partitions, Retention: api.Duration(deadRetention), Cleanup: "delete"},
		p.Replay:      {Partitions: partitions, Retention: api.Duration(deadRetention), Cleanup: "delete"},
		p.Parked:      {Partitions: partitions, Cleanup: "compact"},
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
}

// declaredInternals checks Topic resources that give a topology's own topics another shape.
func (c *checker) declaredInternals(p *Plan, partitions int) {
	for _, t := range p.Topics {
		place := at{kind: api.KindTopic, name: t.Name}
		if t.Declared && p.follows(t.Name) && t.Spec.Partitions < partitions {
			c.errorf(place.in("spec.partitions"), CodeInternalTopic, "declare as many or more",
				"plan topic %q: topology %q reads a topic with %d partitions and writes this one by their number", t.Name, p.Name, partitions)
		}
		if t.Declared && t.Name == p.Parked && t.Spec.Cleanup != "compact" {
			c.errorf(place.in("spec.cleanup"), CodeInternalTopic, "write cleanup: compact",
				"plan topic %q: topology %q keeps parked records in it until it is done with them", t.Name, p.Name)
		}
	}
}

// external is a topic that people name. One that is not declared is made with the defaults of a Topic resource if it does
// not exist.
func (c *checker) external(name string) Topic {
	if t, ok := c.set.Topic(name); ok {
		return Topic{Name: name, Spec: t.Spec, Declared: true}
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
