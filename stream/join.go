package stream

import (
	"time"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine/join"
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/record"
)

// Join gives a result for each record of the stream whose key is in the table: f sees both values. The stream waits for
// nothing; a change of the table by itself gives no result. It takes WithValue.
//
// Of a Versioned table, the value that was valid at the record's event time is taken.
func Join[K, V, W, R any](s Stream[K, V], with Table[K, W], f func(value V, other W) R, opts ...Option) Stream[K, R] {
	return result(streamTable(s, with, join.Inner, opts), func(p *pair[V, W]) R { return f(p.left, p.right) }).calling(function{"f", f})
}

// LeftJoin is Join with a result for every record of the stream: other is nil if the key is not in the table.
func LeftJoin[K, V, W, R any](s Stream[K, V], with Table[K, W], f func(value V, other *W) R, opts ...Option) Stream[K, R] {
	return result(streamTable(s, with, join.Left, opts), func(p *pair[V, W]) R {
		_, other := p.sides()
		return f(p.left, other)
	}).calling(function{"f", f})
}

// JoinGlobal gives a result for each record of the stream for which the global table has the key that key derives. It
// takes WithValue.
func JoinGlobal[K, V, G, W, R any](s Stream[K, V], with GlobalTable[G, W], key func(key K, value V) G, f func(value V, other W) R, opts ...Option) Stream[K, R] {
	return result(streamGlobal(s, with, key, join.Inner, opts), func(p *pair[V, W]) R { return f(p.left, p.right) }).calling(function{"key", key}, function{"f", f})
}

// LeftJoinGlobal is JoinGlobal with a result for every record of the stream: other is nil if the table has no such key.
func LeftJoinGlobal[K, V, G, W, R any](s Stream[K, V], with GlobalTable[G, W], key func(key K, value V) G, f func(value V, other *W) R, opts ...Option) Stream[K, R] {
	return result(streamGlobal(s, with, key, join.Left, opts), func(p *pair[V, W]) R {
		_, other := p.sides()
		return f(p.left, other)
	}).calling(function{"key", key}, function{"f", f})
}

// result makes results of pairs.
func result[K, V, W, R any](j Stream[K, pair[V, W]], f func(p *pair[V, W]) R) Stream[K, R] {
	as := Stream[K, R]{key: j.key, value: codecOr[R](j.t, "join", j.at.n.value)}
	out := free(j.t, j.at.n.op+"-result", j.input(), options{}, as, false, func(n *node, next step[K, R]) step[K, pair[V, W]] {
		return func(x *run, it *item[K, pair[V, W]]) error {
			x.at = n
			out := retyped[K, pair[V, W], R](it)
			if !it.Deleted {
				out.Value = f(&it.Value)
			}
			return next(x, &out)
		}
	})
	out.at.n.pairs = j.at.n
	return out
}

// pairs is the output of a join node.
func pairs[K, V, W any](t *Topology, n *node, o options, key Codec[K], left Codec[V], right Codec[W]) Stream[K, pair[V, W]] {
	var codec Codec[pair[V, W]] = pairCodec[V, W]{left, right}
	n.kind, n.value = boltNode, o.value
	n.outs = []output{{shape: shapeOf(t, key, codec)}}
	t.add(n, o)
	return Stream[K, pair[V, W]]{t, source{n, 0}, key, codec}
}

func streamTable[K, V, W any](s Stream[K, V], with Table[K, W], typ join.Type, opts []Option) Stream[K, pair[V, W]] {
	o := s.t.read("join", opts, optValue)
	s.t.own(with.t, "join")
	with = with.stored(o, "table")
	n := &node{op: "join", from: []input{s.input()}}
	n.shape = func() component.Shape {
		return component.Shape{Keyed: true, Reads: []string{with.from.n.name}}
	}
	n.open = func(component.Env) (processor.Processor, error) {
		return n.wrap(join.NewStreamTable(join.StreamTableConfig{Table: with.from.source(), Type: typ, Join: joinRecord})), nil
	}
	return pairs(s.t, n, o, s.key, s.value, with.value)
}

func joinRecord(r *record.Record, right []byte) ([]byte, error) {
	return joinBytes(r.Value, right), nil
}

func (n *node) wrap(p processor.Processor) processor.Processor { return &wrapped{p, n} }

func streamGlobal[K, V, G, W any](s Stream[K, V], with GlobalTable[G, W], key func(K, V) G, typ join.Type, opts []Option) Stream[K, pair[V, W]] {
	n := &node{op: "join-global", from: []input{s.input()}}
	n.shape = func() component.Shape { return component.Shape{Reads: []string{with.n.name}} }
	s.t.own(with.t, "join-global")
	in := s.input().want
	derive := func(r *record.Record) ([]byte, error) {
		it, err := readItem(in, s.key, s.value, r)
		if err != nil {
			return nil, err
		}
		return encode(with.key, key(it.Key, it.Value))
	}
	n.open = func(component.Env) (processor.Processor, error) {
		return n.wrap(join.NewStreamTable(join.StreamTableConfig{Table: join.Source{Store: with.n.name}, Type: typ, Key: derive, Join: joinRecord})), nil
	}
	return pairs(s.t, n, s.t.read("join-global", opts, optValue), s.key, s.value, with.value)
}

// JoinTables is a table with an entry for each key that is in both tables. It is calculated with every change of either,
// and kept nowhere; see Kept. It takes WithValue.
func JoinTables[K, V, W, R any](a Table[K, V], b Table[K, W], f func(left V, right W) R, opts ...Option) Table[K, R] {
	return tableResult(tableTable(a, b, join.Inner, opts), func(p *pair[V, W]) R { return f(p.left, p.right) }).calling(function{"f", f})
}

// LeftJoinTables is JoinTables with an entry for each key of the left table: right is nil if the key is not in the right
// one.
func LeftJoinTables[K, V, W, R any](a Table[K, V], b Table[K, W], f func(left V, right *W) R, opts ...Option) Table[K, R] {
	return tableResult(tableTable(a, b, join.Left, opts), func(p *pair[V, W]) R {
		_, right := p.sides()
		return f(p.left, right)
	}).calling(function{"f", f})
}

// OuterJoinTables is JoinTables with an entry for each key of either table: the side that does not have it is nil.
func OuterJoinTables[K, V, W, R any](a Table[K, V], b Table[K, W], f func(left *V, right *W) R, opts ...Option) Table[K, R] {
	return tableResult(tableTable(a, b, join.Outer, opts), func(p *pair[V, W]) R { return f(p.sides()) }).calling(function{"f", f})
}

func tableTable[K, V, W any](a Table[K, V], b Table[K, W], typ join.Type, opts []Option) Stream[K, pair[V, W]] {
	o := a.t.read("join-tables", opts, optValue)
	a, b = a.stored(o, "left"), b.stored(o, "right")
	n := &node{op: "join-tables", from: []input{a.input(), b.input()}}
	n.shape = func() component.Shape {
		return component.Shape{Keyed: true, Inputs: []string{"left", "right"}, Reads: []string{a.from.n.name, b.from.n.name}}
	}
	n.open = func(component.Env) (processor.Processor, error) {
		bytesOf := func(_, left, right []byte) ([]byte, error) { return joinBytes(left, right), nil }
		return n.wrap(join.NewTableTable(join.TableTableConfig{Left: a.from.source(), Right: b.from.source(), Type: typ, Join: bytesOf})), nil
	}
	return pairs(a.t, n, o, a.key, a.value, b.value)
}

// tableResult makes a table's entries of pairs.
func tableResult[K, V, W, R any](j Stream[K, pair[V, W]], f func(p *pair[V, W]) R) Table[K, R] {
	codec := codecOr[R](j.t, "join", j.at.n.value)
	n := &node{kind: freeNode, op: j.at.n.op + "-result", from: []input{j.input()}, outs: []output{{shape: shapeOf(j.t, j.key, codec), side: true}}, pairs: j.at.n}
	call := func(_ K, p pair[V, W]) R { return f(&p) }
	n.link = func(next [][]any) any { return mapChanges(n, call, fan[K, R](next[0])) }
	j.t.add(n, options{})
	return Table[K, R]{t: j.t, at: source{n, 0}, key: j.key, value: codec}
}

// JoinForeign is a table with an entry for each entry of the left table whose foreign key is in the right one: many
// entries of the left may have the same foreign key. It is kept in a store and changes with either table. It takes
// WithValue and InMemory.
func JoinForeign[K, V, F, W, R any](a Table[K, V], b Table[F, W], key func(key K, value V) F, f func(left V, right W) R, opts ...Option) Table[K, R] {
	return foreign(a, b, key, join.Inner, func(p *pair[V, W]) R { return f(p.left, p.right) }, opts).calling(function{"key", key}, function{"f", f})
}

// LeftJoinForeign is JoinForeign with an entry for each entry of the left table: right is nil if its foreign key is not in
// the right one.
func LeftJoinForeign[K, V, F, W, R any](a Table[K, V], b Table[F, W], key func(key K, value V) F, f func(left V, right *W) R, opts ...Option) Table[K, R] {
	return foreign(a, b, key, join.Left, func(p *pair[V, W]) R {
		_, right := p.sides()
		return f(p.left, right)
	}, opts).calling(function{"key", key}, function{"f", f})
}

// foreign adds the three parts of a foreign-key join (see join.ForeignKeyConfig).
func foreign[K, V, F, W, R any](a Table[K, V], b Table[F, W], key func(K, V) F, typ join.Type, f func(*pair[V, W]) R, opts []Option) Table[K, R] {
	const op = "join-foreign"
	t := a.t
	o := t.read(op, opts, optValue, optMemory)
	a, b = a.stored(o, "left"), b.stored(o, "right")
	codec := codecOr[R](t, op, o.value)
	cfg := func() join.ForeignKeyConfig {
		sides := pairCodec[V, W]{a.value, b.value}
		return join.ForeignKeyConfig{
			Left: a.from.source(), Right: b.from.source(), Type: typ, Memory: o.memory,
			Key: func(k, value []byte) ([]byte, error) {
				left, v, err := decodePair(a.key, a.value, k, value)
				if err != nil {
					return nil, err
				}
				return encode(b.key, key(left, v))
			},
			Join: func(_, left, right []byte) ([]byte, error) {
				p, err := sides.Decode(joinBytes(left, right))
				if err != nil {
					return nil, err
				}
				return encode(codec, f(&p))
			},
		}
	}
	result := &node{kind: boltNode, op: op, outs: []output{{shape: shapeOf(t, a.key, codec), side: true}}}
	part := func(op string, from []input, out *shape, shape func(join.ForeignKeyConfig) component.Shape, open func(join.ForeignKeyConfig) processor.Processor) *node {
		n := &node{kind: boltNode, op: op, from: from, outs: []output{{shape: out}}}
		n.shape = func() component.Shape { return shape(cfg()) }
		n.open = func(component.Env) (processor.Processor, error) { return n.wrap(open(cfg())), nil }
		return t.add(n, o.part(op))
	}
	asks := part("subscribe", []input{a.input()}, shapeOf(t, b.key, Raw()),
		func(join.ForeignKeyConfig) component.Shape { return component.Shape{Rekeys: true} }, join.NewSubscribe)
	answers := part("subscriptions", []input{{source{asks, 0}, asks.outs[0].shape}, b.input()}, shapeOf(t, a.key, Raw()),
		func(c join.ForeignKeyConfig) component.Shape {
			return component.Shape{Rekeys: true, Keyed: true, Inputs: []string{"asks", "right"}, Stores: c.SubscriptionStores(), Reads: c.SubscriptionReads()}
		}, join.NewSubscriptions)
	result.from = []input{a.input(), {source{answers, 0}, answers.outs[0].shape}}
	result.shape = func() component.Shape {
		c := cfg()
		return component.Shape{Keyed: true, Inputs: []string{"left", "answers"}, Stores: c.ResolveStores(), Reads: c.ResolveReads()}
	}
	result.open = func(component.Env) (processor.Processor, error) { return result.wrap(join.NewResolve(cfg())), nil }
	t.add(result, o)
	return Table[K, R]{t: t, at: source{result, 0}, key: a.key, value: codec, from: &lookup{n: result}}
}

// Span is how far apart in event time the records of two streams may be to meet.
type Span struct {
	before, after, grace time.Duration
}

// Within lets records meet that are no further apart than d.
func Within(d time.Duration) Span { return Span{before: d, after: d} }

// Before bounds how much earlier than the left record the right one may be.
func (s Span) Before(d time.Duration) Span {
	s.before = d
	return s
}

// After bounds how much later than the left record the right one may be.
func (s Span) After(d time.Duration) Span {
	s.after = d
	return s
}

// Grace is how long by stream time a record may still come after that.
func (s Span) Grace(d time.Duration) Span {
	s.grace = d
	return s
}

// JoinStreams gives a result for each pair of records of one key that are close to each other in event time. A record that
// comes when the time to meet it is over, and meets nobody itself, is late: see LateOf. It takes WithValue and InMemory.
func JoinStreams[K, V, W, R any](a Stream[K, V], b Stream[K, W], span Span, f func(left V, right W) R, opts ...Option) Stream[K, R] {
	return result(streamStream(a, b, span, join.Inner, opts), func(p *pair[V, W]) R { return f(p.left, p.right) }).calling(function{"f", f})
}

// LeftJoinStreams gives a result for each left record without a partner, too, when its time to find one is over: right is
// nil then.
func LeftJoinStreams[K, V, W, R any](a Stream[K, V], b Stream[K, W], span Span, f func(left V, right *W) R, opts ...Option) Stream[K, R] {
	return result(streamStream(a, b, span, join.Left, opts), func(p *pair[V, W]) R {
		_, right := p.sides()
		return f(p.left, right)
	}).calling(function{"f", f})
}

// OuterJoinStreams gives a result for each record of either side without a partner, too.
func OuterJoinStreams[K, V, W, R any](a Stream[K, V], b Stream[K, W], span Span, f func(left *V, right *W) R, opts ...Option) Stream[K, R] {
	return result(streamStream(a, b, span, join.Outer, opts), func(p *pair[V, W]) R { return f(p.sides()) }).calling(function{"f", f})
}

func streamStream[K, V, W any](a Stream[K, V], b Stream[K, W], span Span, typ join.Type, opts []Option) Stream[K, pair[V, W]] {
	const op = "join-streams"
	o := a.t.read(op, opts, optValue, optMemory)
	if span.before+span.after < 0 || span.grace < 0 {
		a.t.problem(CodeValueInvalid, op, "", "read %s: the span ends before it begins, or its grace is below zero", op)
	}
	cfg := join.StreamStreamConfig{Before: span.before, After: span.after, Grace: span.grace, Type: typ, Memory: o.memory, LateApart: true}
	cfg.Join = func(_, left, right []byte) ([]byte, error) { return joinBytes(left, right), nil }
	n := &node{op: op, from: []input{a.input(), b.input()}, hasty: span.grace == 0}
	n.shape = func() component.Shape {
		return component.Shape{Keyed: true, Inputs: []string{"left", "right"}, Stores: cfg.Stores()}
	}
	n.open = func(component.Env) (processor.Processor, error) { return n.wrap(join.NewStreamStream(cfg)), nil }
	out := pairs(a.t, n, o, a.key, a.value, b.value)
	n.addLate("left", "right")
	return out
}
