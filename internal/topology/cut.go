package topology

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// hop is an internal topic that records take between two bolts: so that those of a key meet in one task after they were
// given other keys, or so that a bolt that waits does not keep a stateful task waiting.
type hop struct {
	name       string // "totals.repartition": unlike the name of any node, it has a dot
	handover   bool
	from       []source
	to         []entry
	partitions int // asked for by who reads it, or by who gave records other keys; 0: as planned
}

// entry is one source of a bolt, by its position.
type entry struct {
	bolt  *node
	input int
}

// cut decides between which bolts there is a topic. A bolt is looked at after what feeds it, so that each knows what
// happens to records since the last topic: are they under other keys, has state been used.
func (c *checker) cut(here at, g *graph) {
	shared := map[string]*hop{}
	for _, b := range g.bolts {
		b.through = make([]*hop, len(b.from))
		for _, inputs := range b.together() {
			if handover, cut := b.needsTopic(inputs); cut {
				g.pass(shared, b, inputs, handover)
			}
		}
		b.rekeyed = b.shape.Rekeys || b.direct(func(n *node) bool { return n.rekeyed })
		b.wish = b.wished()
		b.late = b.def.NewProcessor != nil || b.direct(func(n *node) bool { return n.late })
	}
	c.nameHops(here, g)
}

// together groups the sources of a bolt that must take the same way: each side of a join by itself, else all.
func (n *node) together() [][]int {
	var groups [][]int
	for i := range n.from {
		if len(groups) > 0 && len(n.shape.Inputs) <= 1 {
			groups[0] = append(groups[0], i)
			continue
		}
		groups = append(groups, []int{i})
	}
	return groups
}

// needsTopic says whether a topic must stand before some sources of a bolt, and whether only because the bolt waits.
func (n *node) needsTopic(inputs []int) (handover, cut bool) {
	rekeyed := slices.ContainsFunc(inputs, func(i int) bool { return n.from[i].node.rekeyed })
	late := slices.ContainsFunc(inputs, func(i int) bool { return n.from[i].node.late })
	switch {
	case n.shape.Global:
		return false, false
	case n.shape.Repartition, n.keyed() && rekeyed:
		return false, true
	}
	return true, n.def.Spec.Blocking && late
}

// direct says whether something is true of a bolt's source that feeds it without a topic.
func (n *node) direct(is func(*node) bool) bool {
	for i, s := range n.from {
		if n.through[i] == nil && is(s.node) {
			return true
		}
	}
	return false
}

// wished is how many partitions are asked for a topic behind a bolt: by itself if it gives records other keys, else by who
// did so before. What a bolt asks for that wants a topic before it, is for that one.
func (n *node) wished() int {
	if n.shape.Rekeys && !n.shape.Repartition && n.shape.Partitions > 0 {
		return n.shape.Partitions
	}
	most := 0
	n.direct(func(o *node) bool { most = max(most, o.wish); return false })
	return most
}

// asks is how many partitions are asked for a topic between sources and a bolt.
func (n *node) asks(from []source) int {
	if n.shape.Partitions > 0 && (n.shape.Repartition || !n.shape.Rekeys) {
		return n.shape.Partitions
	}
	most := 0
	for _, s := range from {
		most = max(most, s.node.wish)
	}
	return most
}

// pass lets sources of a bolt take a topic: one that another bolt takes the same records from, or a new one.
func (g *graph) pass(shared map[string]*hop, b *node, inputs []int, handover bool) {
	var from []source
	for _, i := range inputs {
		from = append(from, b.from[i])
	}
	partitions := b.asks(from)
	id := wayID(from, handover, partitions)
	h, known := shared[id]
	if !known {
		h = &hop{handover: handover, from: from, partitions: partitions}
		shared[id] = h
		g.hops = append(g.hops, h)
	}
	for _, i := range inputs {
		b.through[i] = h
	}
	h.to = append(h.to, entry{b, inputs[0]}) // sources that are all alike cannot be told apart behind a topic
}

// wayID is the same for ways that may be shared.
func wayID(from []source, handover bool, partitions int) string {
	var names []string
	for _, s := range from {
		names = append(names, s.node.name+"."+strconv.Itoa(s.port))
	}
	slices.Sort(names)
	return strings.Join(names, " ") + " " + strconv.FormatBool(handover) + " " + strconv.Itoa(partitions)
}

// nameHops calls each topic after the first bolt by name that reads it.
func (c *checker) nameHops(here at, g *graph) {
	taken := map[string]bool{}
	for _, h := range g.hops {
		slices.SortFunc(h.to, func(a, b entry) int { return cmp.Compare(a.bolt.name, b.bolt.name) })
		h.name = h.to[0].topic(h.handover)
		if taken[h.name] {
			c.errorf(h.to[0].bolt.place(here), CodeDuplicateName, "rename the bolt", "plan bolt %q: another bolt has a topic %q", h.to[0].bolt.name, h.name)
		}
		taken[h.name] = true
	}
	slices.SortFunc(g.hops, func(a, b *hop) int { return cmp.Compare(a.name, b.name) })
}

// topic is the name of the topic before a bolt, without that of the topology. The sides of a join have one each; what a
// side's is called does not depend on the others.
func (e entry) topic(handover bool) string {
	name, suffix := e.bolt.name, ".repartition"
	if handover {
		suffix = ".handover"
	}
	if len(e.bolt.shape.Inputs) > 1 {
		name += "-" + e.bolt.shape.Inputs[e.input]
	}
	return name + suffix
}
