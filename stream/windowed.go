package stream

import (
	"slices"
	"strconv"
	"time"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine/aggregate"
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/window"
)

// WindowedGroup is a grouped stream whose records are aggregated by key and window.
type WindowedGroup[K, V any] struct {
	Grouped[K, V]
	windows window.Spec
	late    *node // takes what comes too late for any of the group's aggregates
}

// Windowed cuts time into windows.
func (g Grouped[K, V]) Windowed(w Windows) WindowedGroup[K, V] {
	return WindowedGroup[K, V]{g, w.spec, lateOf(g.in.t, g.in.input().want)}
}

// lateOf is a node that gathers late records. It is part of the topology once somebody asks for them.
func lateOf(t *Topology, as *shape) *node {
	return &node{t: t, kind: freeNode, op: "late", outs: []output{{shape: as}}, link: as.same}
}

// Late is the stream of the records that came too late for all their windows, as they were. The group's aggregates leave
// them out and count them; LateOf tells what came too late for one of them.
func (g WindowedGroup[K, V]) Late(opts ...Option) Stream[K, V] {
	g.in.t.addOnce(g.late, g.in.t.read("late", opts))
	return Stream[K, V]{g.in.t, source{g.late, 0}, g.in.key, g.in.value}
}

func (t *Topology) addOnce(n *node, o options) {
	if !slices.Contains(t.nodes, n) {
		t.add(n, o)
	}
}

// CountWindows counts the records of each key and window. It takes InMemory, TTL (how long a window can be asked for after its
// start) and OnlyFinal.
func CountWindows[K, V any](g WindowedGroup[K, V], opts ...Option) Table[Windowed[K], int64] {
	o := aggregate.Options{Inputs: []aggregate.Input{aggregate.Count()}, Merge: aggregate.MergeCounts}
	return inWindows(g.in.t, "count", g.late, []input{g.in.input()}, g.windows, o, g.in.key, Int64(), opts)
}

// ReduceWindows brings the values of each key and window together, two by two. It takes InMemory, TTL and OnlyFinal.
func ReduceWindows[K, V any](g WindowedGroup[K, V], f func(so, next V) V, opts ...Option) Table[Windowed[K], V] {
	merge := func(_, a, b []byte) ([]byte, error) { return g.codec.both(a, b, f) }
	o := aggregate.Options{Inputs: []aggregate.Input{{Add: g.codec.reduce(f)}}, Merge: merge}
	return inWindows(g.in.t, "reduce", g.late, []input{g.in.input()}, g.windows, o, g.in.key, g.in.value, opts).calling(function{"f", f})
}

// AggregateWindows brings the values of each key and window together to something of another type. Sessions need Merging.
// It takes InMemory, TTL and OnlyFinal.
func AggregateWindows[K, V, A any](g WindowedGroup[K, V], kept Codec[A], empty func() A, add func(key K, value V, so A) A, opts ...Option) Table[Windowed[K], A] {
	o := aggregate.Options{Inputs: []aggregate.Input{{Add: fold(g.codec, kept, empty, add)}}}
	return inWindows(g.in.t, "aggregate", g.late, []input{g.in.input()}, g.windows, o, g.in.key, kept, opts).calling(function{"empty", empty}, function{"add", add})
}

// Merging says how the aggregates of two sessions that a record makes one are brought together, the earlier first.
func Merging[A any](f func(a, b A) A) Option {
	return Option{optMerge, func(o *options) {
		if o.merge = f; f == nil {
			o.nothing = append(o.nothing, optMerge)
		}
	}}
}

// WindowedCogroup is several grouped streams that make one aggregate for each key and window together.
type WindowedCogroup[K, A any] struct {
	Cogrouped[K, A]
	windows window.Spec
}

// Windowed cuts time into windows.
func (c Cogrouped[K, A]) Windowed(w Windows) WindowedCogroup[K, A] {
	return WindowedCogroup[K, A]{c, w.spec}
}

// Aggregate keeps what comes of all streams together for each key and window. Late records are left out and counted; those of
// each stream are what LateOf gives. It takes InMemory, TTL, OnlyFinal and Merging.
func (c WindowedCogroup[K, A]) Aggregate(kept Codec[A], empty func() A, opts ...Option) Table[Windowed[K], A] {
	o := aggregate.Options{Inputs: c.inputs(kept, empty)}
	return inWindows(c.t, "cogroup", nil, c.from, c.windows, o, c.key, kept, opts).calling(append(slices.Clip(c.add), function{"empty", empty})...)
}

// inWindows adds an aggregate with windows.
func inWindows[K, A any](t *Topology, op string, late *node, from []input, w window.Spec, agg aggregate.Options, key Codec[K], kept Codec[A], opts []Option) Table[Windowed[K], A] {
	takes := []optionKind{optMemory, optTTL, optFinal, optMerge}
	if agg.Merge != nil {
		takes = takes[:3] // it brings its own
	}
	o := t.read(op, opts, takes...)
	agg.Window, agg.Keys, agg.Memory, agg.Retention = &w, aggregate.KeyWindowed, o.memory, o.ttl
	if o.final {
		agg.Results = aggregate.Final
	}
	if o.merge != nil {
		agg.Merge = merger(t, op, kept, o.merge)
	}
	windowed := WindowedKey(key)
	n := t.aggregate(op, from, agg, shapeOf(t, windowed, kept), o)
	var names []string
	for i := range from {
		names = append(names, strconv.Itoa(i+1))
	}
	n.addLate(names...)
	if late != nil {
		late.from = append(late.from, input{source{n, portLate(0)}, late.outs[0].shape})
	}
	return Table[Windowed[K], A]{t: t, at: source{n, 0}, key: windowed, value: kept, from: &lookup{n: n, windows: &w}, windows: &w}
}

func merger[A any](t *Topology, op string, kept Codec[A], given any) func(key, a, b []byte) ([]byte, error) {
	f, ok := given.(func(a, b A) A)
	if !ok {
		t.problem(CodeCodecMismatch, op, "let it take and give what is aggregated", "read %s: the function of Merging, %T, is for another type", op, given)
		return nil
	}
	c := codec[A, A]{value: kept}
	return func(_, a, b []byte) ([]byte, error) { return c.both(a, b, f) }
}

// Final holds the results of windows back and gives the last one of each when nothing can change it any more: when stream
// time has passed its end and grace. It takes InMemory. An aggregate with OnlyFinal does the same with less work. A result
// that comes when its window has closed is late: see LateOf.
func Final[K, A any](s Table[Windowed[K], A], opts ...Option) Table[Windowed[K], A] {
	const op = "final"
	o := s.t.read(op, opts, optMemory)
	if s.windows == nil {
		s.t.problem(CodeValueInvalid, op, "call it on what CountWindows, ReduceWindows or AggregateWindows give", "read %s: the table is not the result of windows", op)
		return s
	}
	return suppress(s, op, aggregate.SuppressOptions{Window: s.windows, Memory: o.memory}, o)
}

// Calm gives at most one change of each key in so much stream time: the last one. It takes InMemory.
func (s Table[K, V]) Calm(limit time.Duration, opts ...Option) Table[K, V] {
	const op = "calm"
	o := s.t.read(op, opts, optMemory)
	return suppress(s, op, aggregate.SuppressOptions{Limit: limit, Memory: o.memory}, o)
}

func suppress[K, V any](s Table[K, V], op string, so aggregate.SuppressOptions, o options) Table[K, V] {
	if err := so.Check(); err != nil {
		s.t.problem(CodeValueInvalid, op, "", "read %s: %v", op, err)
	}
	as := shapeOf(s.t, s.key, s.value)
	n := &node{kind: boltNode, op: op, from: []input{s.input()}, outs: []output{{shape: as}}}
	n.addLate()
	n.shape = func() component.Shape { return component.Shape{Keyed: true, Private: true, Stores: so.Stores()} }
	n.open = func(component.Env) (processor.Processor, error) { return aggregate.NewSuppress(so), nil }
	s.t.add(n, o)
	return Table[K, V]{t: s.t, at: source{n, 0}, key: s.key, value: s.value, windows: s.windows}
}

func sideName(i int) string { return "in-" + strconv.Itoa(i+1) }
