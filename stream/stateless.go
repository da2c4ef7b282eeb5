package stream

import (
	"fmt"
	"iter"
	"strconv"
	"time"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/record"
)

// free adds an operator without state that gives one stream. Make makes its step from what follows.
func free[K, V, K2, V2 any](t *Topology, op string, from input, o options, as Stream[K2, V2], rekeys bool, make func(n *node, next step[K2, V2]) step[K, V]) Stream[K2, V2] {
	n := &node{kind: freeNode, op: op, from: []input{from}, rekeys: rekeys, outs: []output{{shape: shapeOf(t, as.key, as.value)}}}
	n.link = func(next [][]any) any { return make(n, fan[K2, V2](next[0])) }
	t.add(n, o)
	return Stream[K2, V2]{t, source{n, 0}, as.key, as.value}
}

// failed is the error of a user's function: no retry can mend it, so the record becomes a dead letter.
func (n *node) failed(err error) error {
	return component.Permanent(fmt.Errorf("run %s: %w", n.label(), err))
}

// Filter keeps the records for which keep is true. It takes Named.
func (s Stream[K, V]) Filter(keep func(key K, value V) bool, opts ...Option) Stream[K, V] {
	return free(s.t, "filter", s.input(), s.t.read("filter", opts), s, false, func(n *node, next step[K, V]) step[K, V] {
		return func(x *run, it *item[K, V]) error {
			x.at = n
			if !keep(it.Key, it.Value) {
				return nil
			}
			return next(x, it)
		}
	}).calling(function{"keep", keep})
}

// Peek calls look for every record and hands it on as it is. It may be called again for a record after a crash.
func (s Stream[K, V]) Peek(look func(r Record[K, V]), opts ...Option) Stream[K, V] {
	return free(s.t, "peek", s.input(), s.t.read("peek", opts), s, false, func(n *node, next step[K, V]) step[K, V] {
		return func(x *run, it *item[K, V]) error {
			x.at = n
			look(it.Record)
			return next(x, it)
		}
	}).calling(function{"look", look})
}

// ForEach calls do for every record and ends the stream. An error makes the record a dead letter. It may be called
// again for a record after a crash, and runs before the record's transaction is committed.
func (s Stream[K, V]) ForEach(do func(r Record[K, V]) error, opts ...Option) {
	n := &node{kind: freeNode, op: "for-each", from: []input{s.input()}, last: true, calls: []function{{"do", do}}}
	n.link = func([][]any) any {
		return step[K, V](func(x *run, it *item[K, V]) error {
			x.at = n
			if err := do(it.Record); err != nil {
				return n.failed(err)
			}
			return nil
		})
	}
	s.t.add(n, s.t.read("for-each", opts))
}

// Map gives every record another key and value. A record without a value stays without. It takes WithKey and WithValue.
func Map[K, V, K2, V2 any](s Stream[K, V], f func(key K, value V) (K2, V2), opts ...Option) Stream[K2, V2] {
	return Transform(s, func(r Record[K, V], emit func(Record[K2, V2]) error) error {
		key, value := f(r.Key, r.Value)
		if r.Deleted {
			value = *new(V2)
		}
		return emit(Record[K2, V2]{Key: key, Value: value, Headers: r.Headers, Time: r.Time, Origin: r.Origin, Deleted: r.Deleted})
	}, stemmed("map", opts)...).calling(function{"f", f})
}

// FlatMap gives none, one or several records for each. It takes WithKey and WithValue.
func FlatMap[K, V, K2, V2 any](s Stream[K, V], f func(key K, value V) iter.Seq2[K2, V2], opts ...Option) Stream[K2, V2] {
	return Transform(s, func(r Record[K, V], emit func(Record[K2, V2]) error) error {
		for key, value := range f(r.Key, r.Value) {
			if err := emit(Record[K2, V2]{Key: key, Value: value, Headers: r.Headers, Time: r.Time, Origin: r.Origin}); err != nil {
				return err
			}
		}
		return nil
	}, stemmed("flat-map", opts)...).calling(function{"f", f})
}

// Transform is the general operator without state: f sees the whole record and emits what it likes, headers and event
// time included; a record without a time or origin gets that of r. An error makes the record a dead letter. It takes WithKey
// and WithValue.
func Transform[K, V, K2, V2 any](s Stream[K, V], f func(r Record[K, V], emit func(Record[K2, V2]) error) error, opts ...Option) Stream[K2, V2] {
	o := s.t.read("transform", opts, optKey, optValue, optStem)
	op := o.stemOr("transform")
	as := Stream[K2, V2]{key: codecOr[K2](s.t, op, o.key), value: codecOr[V2](s.t, op, o.value)}
	return free(s.t, op, s.input(), o, as, true, func(n *node, next step[K2, V2]) step[K, V] {
		return func(x *run, it *item[K, V]) error {
			x.at = n
			var within error // of what follows: it names its own operator
			err := f(it.Record, func(r Record[K2, V2]) error {
				within = next(x, &item[K2, V2]{Record: r.after(it.Time, it.Origin)})
				x.at = n
				return within
			})
			if err == nil || within != nil {
				return within
			}
			return n.failed(err)
		}
	}).calling(function{"f", f})
}

// MapValues gives every record another value; keys stay, so nothing needs to be repartitioned. A record without a value
// stays as it is, without a call. It takes WithValue.
func MapValues[K, V, W any](s Stream[K, V], f func(value V) W, opts ...Option) Stream[K, W] {
	return TryMapValues(s, func(_ K, value V) (W, error) { return f(value), nil }, stemmed("map-values", opts)...).calling(function{"f", f})
}

// TryMapValues is MapValues for a function that sees the key and may fail: an error makes the record a dead letter. It
// takes WithValue.
func TryMapValues[K, V, W any](s Stream[K, V], f func(key K, value V) (W, error), opts ...Option) Stream[K, W] {
	o := s.t.read("map-values", opts, optValue, optStem)
	op := o.stemOr("map-values")
	as := Stream[K, W]{key: s.key, value: codecOr[W](s.t, op, o.value)}
	return free(s.t, op, s.input(), o, as, false, func(n *node, next step[K, W]) step[K, V] {
		return func(x *run, it *item[K, V]) error {
			out := retyped[K, V, W](it)
			if !it.Deleted {
				x.at = n
				var err error
				if out.Value, err = f(it.Key, it.Value); err != nil {
					return n.failed(err)
				}
			}
			return next(x, &out)
		}
	}).calling(function{"f", f})
}

// FlatMapValues gives none, one or several values for each; keys stay. It takes WithValue.
func FlatMapValues[K, V, W any](s Stream[K, V], f func(value V) iter.Seq[W], opts ...Option) Stream[K, W] {
	const op = "flat-map-values"
	o := s.t.read(op, opts, optValue)
	as := Stream[K, W]{key: s.key, value: codecOr[W](s.t, op, o.value)}
	return free(s.t, op, s.input(), o, as, false, func(n *node, next step[K, W]) step[K, V] {
		return func(x *run, it *item[K, V]) error {
			if it.Deleted {
				return nil
			}
			x.at = n
			for value := range f(it.Value) {
				out := retyped[K, V, W](it)
				out.Value = value
				if err := next(x, &out); err != nil {
					return err
				}
				x.at = n
			}
			return nil
		}
	}).calling(function{"f", f})
}

// Rekey gives every record another key; for one without a value, f sees the zero value. What needs all records of a key together, such as a join, gets them through an
// internal topic. It takes WithKey.
func Rekey[K, V, K2 any](s Stream[K, V], f func(key K, value V) K2, opts ...Option) Stream[K2, V] {
	return rekey(s, "rekey", false, f, opts)
}

// rekey may drop records without a value, where nobody could do anything with them, before f sees them.
func rekey[K, V, K2 any](s Stream[K, V], op string, drop bool, f func(key K, value V) K2, opts []Option) Stream[K2, V] {
	o := s.t.read(op, opts, optKey)
	as := Stream[K2, V]{key: codecOr[K2](s.t, op, o.key), value: s.value}
	return free(s.t, op, s.input(), o, as, true, func(n *node, next step[K2, V]) step[K, V] {
		return func(x *run, it *item[K, V]) error {
			if it.Deleted && drop {
				return nil
			}
			x.at = n
			out := rekeyed(it, f(it.Key, it.Value))
			return next(x, &out)
		}
	}).calling(function{"f", f})
}

// Timed gives every record the event time that f reads from it. A record whose time is not between 1970 and 2262, the zero
// time included, becomes a dead letter.
func (s Stream[K, V]) Timed(f func(r Record[K, V]) time.Time, opts ...Option) Stream[K, V] {
	return free(s.t, "timed", s.input(), s.t.read("timed", opts), s, false, func(n *node, next step[K, V]) step[K, V] {
		return func(x *run, it *item[K, V]) error {
			x.at = n
			out := *it
			out.Time = f(it.Record)
			if err := record.CheckTime(out.Time); err != nil {
				return n.failed(err)
			}
			return next(x, &out)
		}
	}).calling(function{"f", f})
}

// Branch splits a stream: each record goes to the first branch whose condition is true, and to the last one, which is
// given in addition, if none is.
func (s Stream[K, V]) Branch(conditions ...func(key K, value V) bool) []Stream[K, V] {
	n := &node{kind: freeNode, op: "branch", from: []input{s.input()}}
	var branches []Stream[K, V]
	for i, c := range conditions {
		n.calls = append(n.calls, function{fmt.Sprintf("conditions[%d]", i), c})
	}
	for i := range len(conditions) + 1 {
		n.outs = append(n.outs, output{name: strconv.Itoa(i), shape: shapeOf(s.t, s.key, s.value), side: true})
		branches = append(branches, Stream[K, V]{s.t, source{n, i}, s.key, s.value})
	}
	n.link = func(next [][]any) any {
		ways := make([]step[K, V], len(next))
		for i := range next {
			ways[i] = fan[K, V](next[i])
		}
		return step[K, V](func(x *run, it *item[K, V]) error {
			x.at = n
			for i, c := range conditions {
				if c(it.Key, it.Value) {
					return ways[i](x, it)
				}
			}
			return ways[len(conditions)](x, it)
		})
	}
	s.t.add(n, options{})
	return branches
}

// Merge puts streams together; records of different streams come in no order.
func (s Stream[K, V]) Merge(others ...Stream[K, V]) Stream[K, V] {
	n := &node{kind: freeNode, op: "merge", outs: []output{{shape: shapeOf(s.t, s.key, s.value)}}}
	for _, m := range append([]Stream[K, V]{s}, others...) {
		n.from = append(n.from, input{m.at, shapeOf(s.t, s.key, s.value)})
	}
	n.link = func(next [][]any) any { return fan[K, V](next[0]) }
	s.t.add(n, options{})
	return Stream[K, V]{s.t, source{n, 0}, s.key, s.value}
}

// Repartition spreads the stream by its keys through an internal topic of so many partitions; 0 leaves the number to
// the planner. Operators that need it do so by themselves; ask for it to work in more tasks than the input has
// partitions.
func (s Stream[K, V]) Repartition(partitions int, opts ...Option) Stream[K, V] {
	out := free(s.t, "repartition", s.input(), s.t.read("repartition", opts), s, false, func(_ *node, next step[K, V]) step[K, V] { return next })
	if partitions < 0 {
		s.t.problem(CodeValueInvalid, "repartition", "", "read repartition: %d partitions cannot be", partitions)
	}
	out.at.n.cut = true
	out.at.n.shape = func() component.Shape { return component.Shape{Repartition: true, Partitions: partitions} }
	return out
}

// WithCodecs says how the stream's keys and values are written where they must be; nil leaves it as it is.
func (s Stream[K, V]) WithCodecs(key Codec[K], value Codec[V]) Stream[K, V] {
	as := s
	if key != nil {
		as.key = key
	}
	if value != nil {
		as.value = value
	}
	return free(s.t, "codecs", s.input(), options{}, as, false, func(_ *node, next step[K, V]) step[K, V] { return next })
}
