package stream

import (
	"slices"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine/join"
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/engine/window"
	"ravenswood.dev/internal/record"
)

// Table is the last value of each key: it changes with every record of its source, and joins and queries see what it
// holds.
type Table[K, V any] struct {
	t       *Topology
	at      source // of its changes
	key     Codec[K]
	value   Codec[V]
	from    *lookup      // how it is read; nil: it is calculated and kept nowhere
	windows *window.Spec // of the windows whose results it holds; nil: none
}

// lookup is a table in a store, as joins and processors read it.
type lookup struct {
	n         *node // whose store it is
	versioned bool
	view      join.View    // of what is in the store; nil: as it is
	windows   *window.Spec // the store is one of windows; nil: it is not
	ops       []*node      // whose view it is
}

func (l *lookup) source() join.Source {
	return join.Source{Store: l.n.name, Versioned: l.versioned, View: l.view}
}

// GlobalTable is a table that every process keeps whole, so that any key of it can be joined with anywhere.
type GlobalTable[K, V any] struct {
	t     *Topology
	n     *node
	key   Codec[K]
	value Codec[V]
}

func (s Table[K, V]) input() input { return input{s.at, shapeOf(s.t, s.key, s.value)} }

// TableOf reads a topic as a table: a record sets its key's value, one without a value deletes the key. The topic itself
// is the table's changelog, so it should be Compacted. It takes InMemory and Versioned.
func TableOf[K, V any](t *Topology, topic TopicOf[K, V], opts ...Option) Table[K, V] {
	o := t.read("table", opts, optMemory, optVersions)
	from := t.spout(topic.decl, shapeOf(t, topic.key, topic.value), options{})
	return keep(t, asName(topic.decl.name)+"-table", source{from, 0}, topic.key, topic.value, o)
}

// ToTable keeps the last value of each key of the stream. It takes InMemory and Versioned.
func (s Stream[K, V]) ToTable(opts ...Option) Table[K, V] {
	return keep(s.t, "table", s.at, s.key, s.value, s.t.read("table", opts, optMemory, optVersions))
}

// keep adds a table with a store.
func keep[K, V any](t *Topology, op string, from source, key Codec[K], value Codec[V], o options) Table[K, V] {
	spec := store.Spec{Memory: o.memory}
	if o.versions > 0 {
		spec.Kind, spec.Retention = store.KindVersioned, o.versions
	}
	cfg := join.TableConfig{Store: spec}
	as := shapeOf(t, key, value)
	n := &node{kind: boltNode, op: op, from: []input{{from, as}}, outs: []output{{shape: as, side: true}}}
	n.shape = func() component.Shape { return component.Shape{Table: true, Stores: cfg.Stores()} }
	n.open = func(component.Env) (processor.Processor, error) { return join.NewTable(cfg), nil }
	t.add(n, o)
	return Table[K, V]{t: t, at: source{n, 0}, key: key, value: value, from: &lookup{n: n, versioned: o.versions > 0}}
}

// GlobalOf reads a topic as a table that every process keeps whole. It takes InMemory.
func GlobalOf[K, V any](t *Topology, topic TopicOf[K, V], opts ...Option) GlobalTable[K, V] {
	o := t.read("global", opts, optMemory)
	as := shapeOf(t, topic.key, topic.value)
	from := t.spout(topic.decl, as, options{})
	cfg := join.TableConfig{Store: store.Spec{Memory: o.memory}}
	n := &node{kind: boltNode, op: asName(topic.decl.name) + "-global", from: []input{{source{from, 0}, as}}, last: true}
	n.shape = func() component.Shape { return component.Shape{Table: true, Global: true, Stores: cfg.Stores()} }
	n.open = func(component.Env) (processor.Processor, error) { return join.NewTable(cfg), nil }
	t.add(n, o)
	return GlobalTable[K, V]{t, n, topic.key, topic.value}
}

// Changes is the stream of the table's changes: each new value, and a record without a value where a key is deleted.
func (s Table[K, V]) Changes(opts ...Option) Stream[K, V] {
	out := Stream[K, V]{key: s.key, value: s.value}
	return free(s.t, "changes", s.input(), s.t.read("changes", opts), out, false, func(_ *node, next step[K, V]) step[K, V] {
		return func(x *run, it *item[K, V]) error {
			out := *it
			out.old, out.hasOld, out.rawOld = *new(V), false, nil
			return next(x, &out)
		}
	})
}

// To writes the table's changes to a topic, which should be Compacted.
func (s Table[K, V]) To(topic TopicOf[K, V], opts ...Option) { s.Changes().To(topic, opts...) }

// Filter is the part of the table for which keep is true. It takes no room: it is calculated where it is read.
func (s Table[K, V]) Filter(keep func(key K, value V) bool, opts ...Option) Table[K, V] {
	n := &node{kind: freeNode, op: "filter", view: true, from: []input{s.input()}, outs: []output{{shape: shapeOf(s.t, s.key, s.value), side: true}}}
	n.link = func(next [][]any) any { return filterChanges(n, keep, fan[K, V](next[0])) }
	s.t.add(n, s.t.read("filter", opts))
	out := Table[K, V]{t: s.t, at: source{n, 0}, key: s.key, value: s.value, windows: s.windows}
	out.from = s.from.seenBy(n, func(key, value []byte) ([]byte, error) {
		k, v, err := decodePair(s.key, s.value, key, value)
		if err != nil || !keep(k, v) {
			return nil, err
		}
		return value, nil
	})
	return out.calling(function{"keep", keep})
}

func filterChanges[K, V any](n *node, keep func(K, V) bool, next step[K, V]) step[K, V] {
	return func(x *run, it *item[K, V]) error {
		x.at = n
		out := *it
		if !out.Deleted && !keep(out.Key, out.Value) {
			out.Value, out.Deleted, out.rawValue = *new(V), true, nil
		}
		if out.hasOld && !keep(out.Key, out.old) {
			out.old, out.hasOld, out.rawOld = *new(V), false, nil
		}
		if out.Deleted && !out.hasOld {
			return nil // it is not in the part, and was not
		}
		return next(x, &out)
	}
}

// MapTable is the table with other values. It takes no room: f is called where the table is read, so it must give the same
// value whenever it is called with the same. It takes WithValue.
func MapTable[K, V, W any](s Table[K, V], f func(key K, value V) W, opts ...Option) Table[K, W] {
	const op = "map-table"
	o := s.t.read(op, opts, optValue)
	codec := codecOr[W](s.t, op, o.value)
	n := &node{kind: freeNode, op: op, view: true, from: []input{s.input()}, outs: []output{{shape: shapeOf(s.t, s.key, codec), side: true}}}
	n.link = func(next [][]any) any { return mapChanges(n, f, fan[K, W](next[0])) }
	s.t.add(n, o)
	out := Table[K, W]{t: s.t, at: source{n, 0}, key: s.key, value: codec, windows: s.windows}
	if codec != nil {
		out.from = s.from.seenBy(n, func(key, value []byte) ([]byte, error) {
			k, v, err := decodePair(s.key, s.value, key, value)
			if err != nil {
				return nil, err
			}
			return encode(codec, f(k, v))
		})
	}
	return out.calling(function{"f", f})
}

func mapChanges[K, V, W any](n *node, f func(K, V) W, next step[K, W]) step[K, V] {
	return func(x *run, it *item[K, V]) error {
		x.at = n
		out := retyped[K, V, W](it)
		if !it.Deleted {
			out.Value = f(it.Key, it.Value)
		}
		if it.hasOld {
			out.old, out.hasOld = f(it.Key, it.old), true
		}
		return next(x, &out)
	}
}

// used notes that somebody reads the table through its operators.
func (l *lookup) used() {
	for _, n := range l.ops {
		n.viewed = true
	}
}

// seenBy is the lookup through one more view, that of an operator.
func (l *lookup) seenBy(n *node, v join.View) *lookup {
	if l == nil {
		return nil
	}
	out := *l
	out.ops = append(slices.Clone(l.ops), n)
	if l.view != nil {
		v = join.Chain(l.view, v)
	}
	out.view = v
	return &out
}

func decodePair[K, V any](kc Codec[K], vc Codec[V], key, value []byte) (k K, v V, err error) {
	if k, err = kc.Decode(key); err != nil {
		return k, v, err
	}
	v, err = vc.Decode(value)
	return k, v, err
}

// stored is the table in a store: as it is if it is read from one anyway, else kept in one of its own, named after who
// needs it.
func (s Table[K, V]) stored(reader options, side string) Table[K, V] {
	if s.from != nil && s.from.windows == nil {
		s.from.used()
		return s
	}
	return keep(s.t, "table", s.at, s.key, s.value, reader.part(side))
}

// Kept keeps a table that is calculated (filtered, mapped or joined) in a store of its own, under its name, so that it
// can be asked for. It takes InMemory.
func (s Table[K, V]) Kept(opts ...Option) Table[K, V] {
	return keep(s.t, "table", s.at, s.key, s.value, s.t.read("table", opts, optMemory))
}

func (s Table[K, V]) declaration() *storeDecl {
	n := s.at.n
	if s.from != nil {
		s.from.used()
		n = s.from.n
	}
	return &storeDecl{own: n, full: func() string { return n.name }}
}

var _ processor.Processor = (*wrapped)(nil)

// wrapped is a processor over bytes whose functions are a user's: what they panic with is an error of the record.
type wrapped struct {
	processor.Processor
	n *node
}

// Unwrap gives what it is made around, which may count what it does not pass on.
func (w *wrapped) Unwrap() processor.Processor { return w.Processor }

// Process implements processor.Processor.
func (w *wrapped) Process(in int, r *record.Record) error {
	err := guard(w.n.name, func() error { return w.Processor.Process(in, r) })
	if err != nil {
		return component.Permanent(err)
	}
	return nil
}
