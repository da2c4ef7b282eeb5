package stream

import (
	"iter"
	"time"

	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/engine/window"
)

// TableView is an open table: what its task holds of it.
type TableView[K, V any] struct {
	from  *lookup
	c     processor.Context
	key   Codec[K]
	value Codec[V]
}

// In opens the table for reading in a processor that declares it with Uses. A table that is calculated and not Kept
// panics.
func (s Table[K, V]) In(c Access) TableView[K, V] {
	if s.from == nil {
		panic("open a table: it is calculated and kept nowhere; use Kept")
	}
	return TableView[K, V]{s.from, c.Opened(), s.key, s.value}
}

func (s GlobalTable[K, V]) declaration() *storeDecl {
	return &storeDecl{own: s.n, full: func() string { return s.n.name }}
}

// In opens the table for reading in a processor that declares it with Uses.
func (s GlobalTable[K, V]) In(c Access) TableView[K, V] {
	return TableView[K, V]{&lookup{n: s.n}, c.Opened(), s.key, s.value}
}

// Get returns the value of a key.
func (s TableView[K, V]) Get(key K) (value V, ok bool) {
	k := mustEncode(s.key, key)
	e, ok := s.entry(k)
	if !ok || e.Value == nil {
		return value, false
	}
	return s.see(k, e.Value)
}

func (s TableView[K, V]) entry(key []byte) (store.Entry, bool) {
	name := s.from.n.name
	switch {
	case s.from.windows != nil:
		group, w, err := window.ParseKey(key)
		if err != nil {
			panic(codecFailure{err})
		}
		if s.from.windows.Kind == window.Session {
			return s.c.Sessions(name).Get(group, w.Start, w.End)
		}
		return s.c.Windows(name).Get(group, w.Start, 0)
	case s.from.versioned:
		return s.c.Versions(name).Latest(key)
	}
	return s.c.KeyValue(name).Get(key)
}

// All visits every entry: by key, in the order of the keys' bytes, or of windows in any stable order.
func (s TableView[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for k, e := range s.entries() {
			if v, ok := s.see(k, e.Value); ok && !yield(mustDecode(s.key, k), v) {
				return
			}
		}
	}
}

func (s TableView[K, V]) entries() iter.Seq2[[]byte, store.Entry] {
	name := s.from.n.name
	switch {
	case s.from.windows != nil && s.from.windows.Kind == window.Session:
		return sessionEntries(s.c.Sessions(name))
	case s.from.windows != nil:
		return windowEntries(s.c.Windows(name), s.from.windows)
	case s.from.versioned:
		return s.c.Versions(name).Range(nil, nil)
	}
	return s.c.KeyValue(name).Range(nil, nil)
}

// The ends of time, as far as records have it.
func beginning() time.Time { return time.UnixMilli(0) }
func end() time.Time       { return time.UnixMilli(1 << 48) }

func windowEntries(in store.Windows, spec *window.Spec) iter.Seq2[[]byte, store.Entry] {
	return func(yield func([]byte, store.Entry) bool) {
		for k, e := range in.All(beginning(), end()) {
			if k.Seq == 0 && !yield(window.AppendKey(nil, k.Key, spec.From(k.Start)), e) {
				return
			}
		}
	}
}

func sessionEntries(in store.Sessions) iter.Seq2[[]byte, store.Entry] {
	return func(yield func([]byte, store.Entry) bool) {
		for k, e := range in.All(beginning(), end()) {
			if !yield(window.AppendKey(nil, k.Key, window.Window{Start: k.Start, End: k.End}), e) {
				return
			}
		}
	}
}

func (s TableView[K, V]) see(key, data []byte) (value V, ok bool) {
	if s.from.view != nil {
		var err error
		if data, err = s.from.view(key, data); err != nil {
			panic(codecFailure{err})
		}
	}
	if data == nil {
		return value, false
	}
	return mustDecode(s.value, data), true
}

// Stored is the name of the store the table is read from, for queries; empty if it is calculated and kept nowhere.
func (s Table[K, V]) Stored() string {
	if s.from == nil {
		return ""
	}
	return s.from.n.name
}
