package stream

import (
	"slices"
	"time"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine/aggregate"
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/window"
	"ravenswood.dev/internal/record"
)

// Grouped is a stream whose records are aggregated by key. Records without a key or a value are dropped.
type Grouped[K, V any] struct {
	in    Stream[K, V]
	codec codec[K, V]
}

// codec is the pair of codecs of a grouped stream.
type codec[K, V any] struct {
	key   Codec[K]
	value Codec[V]
}

// GroupByKey groups the stream by its keys.
func (s Stream[K, V]) GroupByKey() Grouped[K, V] {
	return Grouped[K, V]{s, codec[K, V]{s.key, s.value}}
}

// GroupBy groups the stream by other keys; its records take their way through an internal topic. It takes WithKey.
func GroupBy[K, V, G any](s Stream[K, V], f func(key K, value V) G, opts ...Option) Grouped[G, V] {
	return rekey(s, "group-by", true, f, opts).GroupByKey()
}

// Count counts the records of each key. It takes InMemory and TTL.
func (g Grouped[K, V]) Count(opts ...Option) Table[K, int64] {
	o := aggregate.Options{Inputs: []aggregate.Input{aggregate.Count()}}
	return grouped(g.in.t, "count", []input{g.in.input()}, o, g.in.key, Int64(), opts)
}

// Reduce brings the values of each key together, two by two: f is given what came of all before and the next one. It
// takes InMemory and TTL.
func (g Grouped[K, V]) Reduce(f func(so, next V) V, opts ...Option) Table[K, V] {
	o := aggregate.Options{Inputs: []aggregate.Input{{Add: g.codec.reduce(f)}}}
	return grouped(g.in.t, "reduce", []input{g.in.input()}, o, g.in.key, g.in.value, opts).calling(function{"f", f})
}

// Aggregate brings the values of each key together to something of another type, beginning with what empty gives. It
// takes InMemory and TTL.
func Aggregate[K, V, A any](g Grouped[K, V], kept Codec[A], empty func() A, add func(key K, value V, so A) A, opts ...Option) Table[K, A] {
	o := aggregate.Options{Inputs: []aggregate.Input{{Add: fold(g.codec, kept, empty, add)}}}
	return grouped(g.in.t, "aggregate", []input{g.in.input()}, o, g.in.key, kept, opts).calling(function{"empty", empty}, function{"add", add})
}

// grouped adds an aggregate without windows.
func grouped[K, A any](t *Topology, op string, from []input, agg aggregate.Options, key Codec[K], kept Codec[A], opts []Option) Table[K, A] {
	o := t.read(op, opts, optMemory, optTTL)
	agg.Memory, agg.Retention = o.memory, o.ttl
	n := t.aggregate(op, from, agg, shapeOf(t, key, kept), o)
	return Table[K, A]{t: t, at: source{n, 0}, key: key, value: kept, from: &lookup{n: n}}
}

// hintOf says what to do about the only thing that windows of one kind want and those of others do not.
func hintOf(agg aggregate.Options) string {
	if w := agg.Window; w != nil && w.Kind == window.Session && agg.Merge == nil {
		return "add the option Merging: a record between two sessions makes them one"
	}
	return ""
}

// aggregate adds an aggregate; what is wrong with it is a problem of the topology.
func (t *Topology) aggregate(op string, from []input, agg aggregate.Options, out *shape, o options) *node {
	if err := agg.Check(); err != nil {
		t.problem(CodeValueInvalid, op, hintOf(agg), "read %s: %v", op, err)
	}
	n := &node{kind: boltNode, op: op, from: from, outs: []output{{shape: out, side: true}}}
	n.shape = func() component.Shape {
		s := component.Shape{Keyed: true, Stores: agg.Stores()}
		for i := range from {
			if len(from) > 1 {
				s.Inputs = append(s.Inputs, sideName(i))
			}
		}
		return s
	}
	n.hasty = agg.Window != nil && agg.Window.Grace == 0
	n.open = func(component.Env) (processor.Processor, error) { return n.wrap(aggregate.New(agg)), nil }
	return t.add(n, o)
}

// fold makes a function over bytes of one over values.
func fold[K, V, A any](c codec[K, V], kept Codec[A], empty func() A, f func(K, V, A) A) aggregate.Fold {
	return func(r *record.Record, so []byte) ([]byte, error) {
		key, value, err := decodePair(c.key, c.value, r.Key, r.Value)
		if err != nil {
			return nil, err
		}
		before, err := decodeOr(kept, so, empty)
		if err != nil {
			return nil, err
		}
		return encode(kept, f(key, value, before))
	}
}

func decodeOr[A any](c Codec[A], data []byte, empty func() A) (A, error) {
	if data == nil {
		return empty(), nil
	}
	return c.Decode(data)
}

// reduce is a fold whose first value is kept as it is.
func (c codec[K, V]) reduce(f func(so, next V) V) aggregate.Fold {
	return func(r *record.Record, so []byte) ([]byte, error) {
		if so == nil {
			return r.Value, nil
		}
		return c.both(so, r.Value, f)
	}
}

func (c codec[K, V]) both(a, b []byte, f func(a, b V) V) ([]byte, error) {
	first, err := c.value.Decode(a)
	if err != nil {
		return nil, err
	}
	second, err := c.value.Decode(b)
	if err != nil {
		return nil, err
	}
	return encode(c.value, f(first, second))
}

// Cogrouped is several grouped streams of one key type that make one aggregate together.
type Cogrouped[K, A any] struct {
	t    *Topology
	key  Codec[K]
	from []input
	make []func(kept Codec[A], empty func() A) aggregate.Fold
	add  []function
}

// Cogroup begins an aggregate of several streams with the first of them; see And.
func Cogroup[K, V, A any](g Grouped[K, V], add func(key K, value V, so A) A) Cogrouped[K, A] {
	return And(Cogrouped[K, A]{t: g.in.t, key: g.in.key}, g, add)
}

// And lets one more stream take part in an aggregate.
func And[K, V, A any](c Cogrouped[K, A], g Grouped[K, V], add func(key K, value V, so A) A) Cogrouped[K, A] {
	c.from = append(slices.Clip(c.from), g.in.input())
	c.make = append(slices.Clip(c.make), func(kept Codec[A], empty func() A) aggregate.Fold {
		return fold(g.codec, kept, empty, add)
	})
	c.add = append(slices.Clip(c.add), function{"add", add})
	return c
}

func (c Cogrouped[K, A]) inputs(kept Codec[A], empty func() A) (all []aggregate.Input) {
	for _, m := range c.make {
		all = append(all, aggregate.Input{Add: m(kept, empty)})
	}
	return all
}

// Aggregate keeps what comes of all streams together, beginning with what empty gives. It takes InMemory and TTL.
func (c Cogrouped[K, A]) Aggregate(kept Codec[A], empty func() A, opts ...Option) Table[K, A] {
	return grouped(c.t, "cogroup", c.from, aggregate.Options{Inputs: c.inputs(kept, empty)}, c.key, kept, opts).calling(append(slices.Clip(c.add), function{"empty", empty})...)
}

// GroupedTable is a table whose entries are aggregated by something else than their key: when an entry changes, what it was
// is taken out of its group again.
type GroupedTable[K, V any] struct {
	t     *Topology
	from  input
	codec codec[K, V]
}

// GroupTableBy groups the entries of a table by the key that f gives, with the value it gives. F must give the same
// whenever it is called with the same. It takes WithKey and WithValue.
func GroupTableBy[K, V, G, W any](s Table[K, V], f func(key K, value V) (G, W), opts ...Option) GroupedTable[G, W] {
	const op = "group-table"
	o := s.t.read(op, opts, optKey, optValue)
	c := codec[G, W]{codecOr[G](s.t, op, o.key), codecOr[W](s.t, op, o.value)}
	regroup := func(r *record.Record) (key, value []byte, err error) {
		k, v, err := decodePair(s.key, s.value, r.Key, r.Value)
		if err != nil {
			return nil, nil, err
		}
		g, w := f(k, v)
		if key, err = encode(c.key, g); err == nil {
			value, err = encode(c.value, w)
		}
		return key, value, err
	}
	n := &node{kind: boltNode, op: op, from: []input{s.input()}, outs: []output{{shape: shapeOf(s.t, c.key, c.value)}}, calls: []function{{"f", f}}}
	n.shape = func() component.Shape { return component.Shape{Rekeys: true} }
	n.open = func(component.Env) (processor.Processor, error) {
		return n.wrap(aggregate.NewTableGroup(regroup)), nil
	}
	s.t.add(n, o)
	return GroupedTable[G, W]{s.t, input{source{n, 0}, n.outs[0].shape}, c}
}

// Count counts the entries of each group. It takes InMemory.
func (g GroupedTable[K, V]) Count(opts ...Option) Table[K, int64] {
	o := aggregate.Options{Inputs: []aggregate.Input{aggregate.Count()}}
	return grouped(g.t, "count", []input{g.from}, o, g.codec.key, Int64(), opts)
}

// Reduce brings the values of each group together: add puts one in, remove takes one out again. It takes InMemory.
func (g GroupedTable[K, V]) Reduce(add, remove func(so, one V) V, opts ...Option) Table[K, V] {
	o := aggregate.Options{Inputs: []aggregate.Input{{Add: g.codec.reduce(add), Remove: g.codec.reduce(remove)}}}
	return grouped(g.t, "reduce", []input{g.from}, o, g.codec.key, g.codec.value, opts).calling(function{"add", add}, function{"remove", remove})
}

// AggregateTable brings the values of each group together to something of another type. It takes InMemory.
func AggregateTable[K, V, A any](g GroupedTable[K, V], kept Codec[A], empty func() A, add, remove func(key K, value V, so A) A, opts ...Option) Table[K, A] {
	in := aggregate.Input{Add: fold(g.codec, kept, empty, add), Remove: fold(g.codec, kept, empty, remove)}
	return grouped(g.t, "aggregate", []input{g.from}, aggregate.Options{Inputs: []aggregate.Input{in}}, g.codec.key, kept, opts).calling(function{"empty", empty}, function{"add", add}, function{"remove", remove})
}

// Deduplicate lets the first of the records through that have one key and one id, and no other whose event time is within
// the given time of it. Late ones, more than grace behind, go to the second stream. It takes InMemory.
func Deduplicate[K, V any](s Stream[K, V], within, grace time.Duration, id func(r Record[K, V]) string, opts ...Option) (first, late Stream[K, V]) {
	const op = "deduplicate"
	o := s.t.read(op, opts, optMemory)
	in := s.input().want
	d := aggregate.DeduplicateOptions{Within: within, Grace: grace, Memory: o.memory, ID: func(r *record.Record) ([]byte, bool, error) {
		it, err := readItem(in, s.key, s.value, r)
		if err != nil {
			return nil, false, err
		}
		return []byte(id(it.Record)), true, nil
	}}
	if err := d.Check(); err != nil {
		s.t.problem(CodeValueInvalid, op, "", "read %s: %v", op, err)
	}
	n := &node{kind: boltNode, op: op, from: []input{s.input()}, outs: []output{{shape: in}}, calls: []function{{"id", id}}}
	n.addLate()
	n.hasty = grace == 0
	n.shape = func() component.Shape { return component.Shape{Keyed: true, Stores: d.Stores()} }
	n.open = func(component.Env) (processor.Processor, error) {
		return n.wrap(aggregate.NewDeduplicate(d)), nil
	}
	s.t.add(n, o)
	return Stream[K, V]{s.t, source{n, 0}, s.key, s.value}, Stream[K, V]{s.t, source{n, portLate(0)}, s.key, s.value}
}
