package stream

import (
	"context"
	"fmt"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/record"
)

// Call asks the world outside, such as a service or a database: what f returns is the new value. F may wait, and must return
// soon after ctx is done. It is called for several keys at once, for records of one key one after the other. A record
// without a value stays as it is, without a call. It takes WithValue.
//
// The world outside is in no transaction: after a crash or an error f is called again for a record whose call may
// have been heard. So give the other side something by which it knows the same call again: a key of the business, or
// r.Origin, which is the same each time.
//
// An error is tried again after growing pauses; then the record is laid aside, with those of its key behind it, and
// tried further, until it becomes a dead letter. Permanent and Outage say that an error is not like that.
func Call[K, V, W any](s Stream[K, V], f func(ctx context.Context, r Record[K, V]) (W, error), opts ...Option) Stream[K, W] {
	const op = "call"
	o := s.t.read(op, opts, optValue)
	out := Stream[K, W]{t: s.t, key: s.key, value: codecOr[W](s.t, op, o.value)}
	as := shapeOf(s.t, out.key, out.value)
	n := &node{kind: boltNode, op: op, from: []input{s.input()}, outs: []output{{shape: as}}, calls: []function{{"f", f}}}
	in := s.input().want
	n.call = func() component.Bolt {
		return &call[K, V, W]{n: n, f: f, in: in, out: as, key: s.key, value: s.value, outValue: out.value}
	}
	s.t.add(n, o)
	out.at = source{n, 0}
	return out
}

// Permanent marks an error of a Call that no further attempt can mend: the record becomes a dead letter at once.
func Permanent(err error) error { return component.Permanent(err) }

// Outage marks an error of a Call that is not the record's fault, because whom it calls is down as a whole: the record is
// tried until that has passed.
func Outage(err error) error { return component.Outage(err) }

// call is Call at work. It keeps nothing of a record, so lanes may use it at once.
type call[K, V, W any] struct {
	n        *node
	f        func(ctx context.Context, r Record[K, V]) (W, error)
	in, out  *shape
	key      Codec[K]
	value    Codec[V]
	outValue Codec[W]
}

// Process implements component.Bolt.
func (c *call[K, V, W]) Process(ctx context.Context, r *record.Record, emit component.Emit) error {
	it, err := readItem(c.in, c.key, c.value, r)
	if err != nil {
		return component.Permanent(err)
	}
	out := retyped[K, V, W](&it)
	if !it.Deleted {
		err = guard(c.n.name, func() (err error) {
			if out.Value, err = c.f(ctx, it.Record); err != nil {
				return fmt.Errorf("run %s: %w", c.n.label(), err)
			}
			return nil
		})
	}
	if err != nil {
		return err
	}
	written, err := writeItem(c.out, c.key, c.outValue, &out)
	if err != nil {
		return component.Permanent(err)
	}
	emit(0, written)
	return nil
}
