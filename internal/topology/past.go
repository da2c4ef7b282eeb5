package topology

import (
	"slices"
	"strconv"
	"time"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/topic"
	"ravenswood.dev/internal/engine/store"
)

// past warns of three things that happen to records that say themselves when they happened, and come as fast as they can be
// read, as those of files do. They lose their order where several tasks work on them, and who goes by time takes them for
// late. Those of two spouts that meet are not read in step, which has the same effect. And topics keep them by their own time:
// what is older than the retention is deleted as soon as it is written.
//
// The first and the last are settled by declaring the topic: whoever did has been asked for the number.
func (c *checker) past(here at, p *Plan, g *graph) {
	old := map[*node]string{}   // sinks whose records are of the past, with the first spout that they come from
	met := map[*node][]string{} // bolts that go by time, with the spouts whose records of the past they work on
	for _, s := range g.spouts {
		if s.def.Times == nil || !s.read() {
			continue
		}
		var late []string
		for w := range ways(s) {
			switch {
			case !w.timed:
			case w.n.kind == component.KindSink && old[w.n] == "":
				old[w.n] = s.name
			case w.n.byTime():
				if !slices.Contains(met[w.n], s.name) {
					met[w.n] = append(met[w.n], s.name)
				}
				if w.hopped {
					late = append(late, w.n.name)
				}
			}
		}
		c.order(here, p, s, late)
	}
	for _, b := range g.bolts {
		if len(met[b]) > 1 {
			c.warnf(b.place(here), CodeOrderLost, "write them to topics first and let the topology read those, or give the bolt as much grace as they may be apart",
				"plan bolt %q: spouts %q and %q are not read in step, and it goes by time: many records of one of them may come late", b.name, met[b][0], met[b][1])
			break // the same is true of what follows
		}
	}
	for _, s := range g.sinks {
		if from := old[s]; from != "" {
			c.sinkForgets(here, p, s, from)
		}
	}
}

// way is how records come to a node.
type way struct {
	n      *node
	timed  bool // they have times that they hold themselves
	hopped bool // through an internal topic
}

// ways finds how the records of a spout come to all that they reach.
func ways(s *node) map[way]bool {
	seen := map[way]bool{}
	rest := []way{{n: s, timed: s.def.Times(s.Config)}}
	for len(rest) > 0 {
		w := rest[len(rest)-1]
		rest = rest[:len(rest)-1]
		if seen[w] {
			continue
		}
		seen[w] = true
		for _, to := range w.n.next() {
			timed := w.timed || to.def.Times != nil && to.def.Times(to.Config)
			rest = append(rest, way{to, timed, w.hopped || to.hopsFrom(w.n)})
		}
	}
	return seen
}

// hopsFrom says whether records of another node take a topic to this one.
func (n *node) hopsFrom(other *node) bool {
	for i, s := range n.from {
		if s.node == other && i < len(n.through) && n.through[i] != nil {
			return true
		}
	}
	return false
}

// byTime says whether what a bolt makes of records depends on the order of their times.
func (n *node) byTime() bool {
	return slices.ContainsFunc(n.shape.Stores, func(s store.Spec) bool {
		return s.Kind == store.KindWindow || s.Kind == store.KindSession || s.Retention > 0
	})
}

// order warns if a feed takes the order away from bolts that need it.
func (c *checker) order(here at, p *Plan, s *node, late []string) {
	feed := p.topic(p.Name + "." + s.name + ".feed")
	if len(late) == 0 || feed.Declared || feed.Spec.Partitions == 1 {
		return
	}
	c.warnf(s.place(here), CodeOrderLost, "declare topic "+strconv.Quote(feed.Name)+" with partitions: 1 to keep the order, or with as many as you want",
		"plan spout %q: its records take %s, which keep no common order of time, and bolt %q goes by time: many may come late", s.name, count(feed.Spec.Partitions, "partition"), slices.Min(late))
}

// sinkForgets warns if nobody has said how long a topic keeps what is of the past.
func (c *checker) sinkForgets(here at, p *Plan, s *node, spout string) {
	config, ok := s.Config.(*topic.SinkConfig)
	if !ok {
		return
	}
	t := p.topic(config.Name)
	if t.saysRetention() || t.Internal || t.Spec.Cleanup != "delete" || t.Spec.Retention == 0 {
		return
	}
	c.warnf(s.place(here).in("topic.name"), CodeSinkForgets, "declare the topic and say how long it keeps records; retention: 0 is for ever",
		"plan sink %q: topic %q would be made to keep records for %s by their own time, and spout %q may read older ones: they are deleted as soon as they are written",
		s.name, config.Name, span(time.Duration(t.Spec.Retention)), spout)
}

// topic finds a topic that the plan needs.
func (p *Plan) topic(name string) Topic {
	i := slices.IndexFunc(p.Topics, func(t Topic) bool { return t.Name == name })
	if i < 0 {
		return Topic{}
	}
	return p.Topics[i]
}
