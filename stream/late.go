package stream

import "ravenswood.dev/internal/engine/aggregate"

// Windowing is what works with windows or within a time: the table that an aggregate in windows or Final gives, the stream
// that JoinStreams or Deduplicate gives.
type Windowing interface {
	madeBy() *node
}

// Source is a stream, a grouped stream or a table that something is made from.
type Source[K, V any] interface {
	records() Stream[K, V]
}

func (s Stream[K, V]) madeBy() *node { return s.at.n.madeBy() }
func (s Table[K, V]) madeBy() *node  { return s.at.n.madeBy() }

// madeBy is the node that the user's operator is about: a join's results are made behind it.
func (n *node) madeBy() *node {
	if n.pairs != nil {
		return n.pairs
	}
	return n
}

func (s Stream[K, V]) records() Stream[K, V]  { return s }
func (g Grouped[K, V]) records() Stream[K, V] { return g.in }
func (s Table[K, V]) records() Stream[K, V] {
	return Stream[K, V]{t: s.t, at: s.at, key: s.key, value: s.value}
}

// LateOf is the stream of those records of one source that came too late for what was made of it, as they were. They have
// no part in the result, and are counted. Of is what the operator itself gave; every source of a Cogroup and both sides of a
// JoinStreams have late records of their own:
//
//	paid := stream.JoinStreams(orders, payments, stream.Within(time.Hour), settle)
//	stream.LateOf(paid, payments).To(latePayments)
func LateOf[K, V any](of Windowing, from Source[K, V], opts ...Option) Stream[K, V] {
	const op = "late"
	in, made := from.records(), of.madeBy()
	t := in.t
	as := shapeOf(t, in.key, in.value)
	n := &node{kind: freeNode, op: op, outs: []output{{shape: as}}, link: as.same}
	for i, taken := range made.from {
		if taken.source == in.at {
			n.from = append(n.from, input{source{made, portLate(i)}, as})
		}
	}
	t.own(made.t, op)
	o := t.read(op, opts)
	switch {
	case !made.late:
		t.problem(CodeValueInvalid, op, "give it what an aggregate in windows, Final, JoinStreams or Deduplicate gave, before anything was done to it",
			"read %s: nothing comes too late for %s", op, made.label())
	case len(n.from) == 0:
		t.problem(CodeValueInvalid, op, "give it the stream, group or table that was given to the operator", "read %s: %s is not made from this source", op, made.label())
	default:
		t.add(n, o)
		return Stream[K, V]{t, source{n, 0}, in.key, in.value}
	}
	return in
}

// addLate gives a node an output of late records for each of its inputs, behind that of the result: names tells several apart.
func (n *node) addLate(names ...string) {
	n.late = true
	for i, in := range n.from {
		name := "late"
		if len(n.from) > 1 {
			name += "-" + names[i]
		}
		n.outs = append(n.outs, output{name: name, shape: in.want, side: true})
	}
}

// portLate is the port of what is late of an input. All processors number them so.
func portLate(input int) int { return aggregate.PortLate + input }
