package tables

import (
	"context"
	"fmt"
	"iter"
	"time"
)

// Codec turns values of one type to bytes and back. Every stream.Codec is one.
type Codec[T any] interface {
	Encode(buf []byte, value T) ([]byte, error)
	Decode(data []byte) (T, error)
}

// Typed asks a table whose keys and values are of known types.
type Typed[K, V any] struct {
	*Handle // asks in bytes
	key     Codec[K]
	value   Codec[V]
}

// Of gives a table's keys and values their types. The codecs must be those that the topology writes with.
func Of[K, V any](h *Handle, key Codec[K], value Codec[V]) Typed[K, V] {
	return Typed[K, V]{h, key, value}
}

// TypedEntry is an entry with its types.
type TypedEntry[K, V any] struct {
	Key        K
	Value      V // the zero value if it was deleted
	Deleted    bool
	Time       time.Time
	Start, End time.Time // of a window or session
	Stale      *Stale    // of a single answer: who gave it is behind
}

// Get returns the value of a key. ErrNoKey says that there is none.
func (t Typed[K, V]) Get(ctx context.Context, key K, ask Ask) (TypedEntry[K, V], error) {
	return t.one(key, func(raw []byte) (Answer, error) { return t.Handle.Get(ctx, raw, ask) })
}

// AsOf returns the version of a key that was valid at a time.
func (t Typed[K, V]) AsOf(ctx context.Context, key K, at time.Time, ask Ask) (TypedEntry[K, V], error) {
	return t.one(key, func(raw []byte) (Answer, error) { return t.Handle.AsOf(ctx, raw, at, ask) })
}

func (t Typed[K, V]) one(key K, get func(raw []byte) (Answer, error)) (e TypedEntry[K, V], err error) {
	raw, err := t.raw(key)
	if err != nil {
		return e, err
	}
	a, err := get(raw)
	if err != nil {
		return e, err
	}
	if e, err = t.entry(a.Entry); err != nil {
		return e, err
	}
	e.Stale = a.Stale
	return e, nil
}

// All runs over the entries of a range in the order of the keys' bytes.
func (t Typed[K, V]) All(ctx context.Context, r Range) iter.Seq2[TypedEntry[K, V], error] {
	return func(yield func(TypedEntry[K, V], error) bool) {
		for raw, err := range t.Handle.All(ctx, r) {
			e := TypedEntry[K, V]{}
			if err == nil {
				e, err = t.entry(raw)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// Windows returns the windows of a key that begin within the span, the oldest first.
func (t Typed[K, V]) Windows(ctx context.Context, key K, s Span) ([]TypedEntry[K, V], error) {
	return t.span(key, func(raw []byte) (Page, error) { return t.Handle.Windows(ctx, raw, s) })
}

// Sessions returns the sessions of a key that overlap the span.
func (t Typed[K, V]) Sessions(ctx context.Context, key K, s Span) ([]TypedEntry[K, V], error) {
	return t.span(key, func(raw []byte) (Page, error) { return t.Handle.Sessions(ctx, raw, s) })
}

// Versions returns the history of a key within the span, the oldest version first.
func (t Typed[K, V]) Versions(ctx context.Context, key K, s Span) ([]TypedEntry[K, V], error) {
	return t.span(key, func(raw []byte) (Page, error) { return t.Handle.Versions(ctx, raw, s) })
}

func (t Typed[K, V]) span(key K, ask func(raw []byte) (Page, error)) ([]TypedEntry[K, V], error) {
	raw, err := t.raw(key)
	if err != nil {
		return nil, err
	}
	page, err := ask(raw)
	if err != nil {
		return nil, err
	}
	var all []TypedEntry[K, V]
	for _, e := range page.Entries {
		typed, err := t.entry(e)
		if err != nil {
			return nil, err
		}
		all = append(all, typed)
	}
	return all, nil
}

// Watch runs over the changes of a table from now on; see Handle.Watch.
func (t Typed[K, V]) Watch(ctx context.Context, w Watch) iter.Seq2[TypedEntry[K, V], error] {
	return func(yield func(TypedEntry[K, V], error) bool) {
		for c, err := range t.Handle.Watch(ctx, w) {
			e := TypedEntry[K, V]{}
			if err == nil {
				e, err = t.entry(c.Entry)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

func (t Typed[K, V]) raw(key K) ([]byte, error) {
	raw, err := t.key.Encode([]byte{}, key)
	if err != nil {
		return nil, fmt.Errorf("write key: %w", err)
	}
	return raw, nil
}

func (t Typed[K, V]) entry(e Entry) (typed TypedEntry[K, V], err error) {
	typed = TypedEntry[K, V]{Deleted: e.Value == nil, Time: e.Time, Start: e.Start, End: e.End}
	if typed.Key, err = t.key.Decode(e.Key); err != nil {
		return typed, fmt.Errorf("read key: %w", err)
	}
	if e.Value != nil {
		if typed.Value, err = t.value.Decode(e.Value); err != nil {
			return typed, fmt.Errorf("read value: %w", err)
		}
	}
	return typed, nil
}
