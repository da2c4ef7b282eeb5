package stream

import (
	"fmt"
	"iter"
	"slices"
	"time"

	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
)

// Store is a declared store for processors of your own: a *KeyValueStore, a *WindowStore, or a Table or
// GlobalTable that is read.
type Store interface {
	declaration() *storeDecl
}

// storeDecl is a store as data.
type storeDecl struct {
	spec store.Spec
	own  *node         // whose it is; nil until somebody uses it
	full func() string // name in the plan

	coded    bool // it has its codecs
	unwanted []optionKind
}

// Access is the Context of a processor, as stores want it. Nobody else implements it, but package streamtest.
type Access interface {
	Opened() processor.Context
}

// KeyValueStore is a store of one entry per key, declared for Process. The first operator that uses it owns it; others
// that use it work in the same tasks and see the same entries.
type KeyValueStore[K, V any] struct {
	decl  storeDecl
	key   Codec[K]
	value Codec[V]
}

// NewStore declares a store of one entry per key. It takes InMemory and TTL. Keys are visited in the order of their bytes.
func NewStore[K, V any](name string, key Codec[K], value Codec[V], opts ...Option) *KeyValueStore[K, V] {
	s := &KeyValueStore[K, V]{key: key, value: value}
	s.decl.set(store.Spec{Name: name, Kind: store.KindKeyValue}, opts, optMemory, optTTL)
	s.decl.coded = key != nil && value != nil
	return s
}

func (d *storeDecl) set(spec store.Spec, opts []Option, takes ...optionKind) {
	var o options
	for _, option := range opts {
		if !slices.Contains(takes, option.kind) {
			d.unwanted = append(d.unwanted, option.kind)
			continue
		}
		option.apply(&o)
	}
	d.spec = spec
	d.spec.Memory = o.memory
	if o.ttl > 0 {
		d.spec.Retention = o.ttl
	}
	d.full = func() string {
		if d.own == nil {
			panic(fmt.Sprintf("open store %q: no processor has declared it; add the option Uses", spec.Name))
		}
		return store.NameOf(d.own.name, spec.Name)
	}
}

func (s *KeyValueStore[K, V]) declaration() *storeDecl { return &s.decl }

// In opens the store for a processor that declares it with Uses. A store that it does not declare panics.
func (s *KeyValueStore[K, V]) In(c Access) *KeyValue[K, V] {
	return &KeyValue[K, V]{c.Opened().KeyValue(s.decl.full()), s.key, s.value, c.Opened()}
}

// KeyValue is an open KeyValueStore. Reads see what the open transaction wrote. An entry that cannot be read or written
// as its codec wants makes the record at work a dead letter.
type KeyValue[K, V any] struct {
	in    store.KeyValue
	key   Codec[K]
	value Codec[V]
	c     processor.Context
}

// Get returns the value of a key.
func (s *KeyValue[K, V]) Get(key K) (value V, ok bool) {
	value, _, ok = s.GetTime(key)
	return value, ok
}

// GetTime returns the value of a key and its time.
func (s *KeyValue[K, V]) GetTime(key K) (value V, at time.Time, ok bool) {
	e, ok := s.in.Get(mustEncode(s.key, key))
	if !ok {
		return value, at, false
	}
	return mustDecode(s.value, e.Value), e.Time, true
}

// Put sets the value of a key, with stream time as its time.
func (s *KeyValue[K, V]) Put(key K, value V) { s.PutTime(key, value, s.c.StreamTime()) }

// PutTime sets the value of a key and its time.
func (s *KeyValue[K, V]) PutTime(key K, value V, at time.Time) {
	s.in.Put(mustEncode(s.key, key), store.Entry{Value: mustEncode(s.value, value), Time: at})
}

// Delete removes a key.
func (s *KeyValue[K, V]) Delete(key K) { s.in.Delete(mustEncode(s.key, key), s.c.StreamTime()) }

// All visits every entry, in the order of the keys' bytes.
func (s *KeyValue[K, V]) All() iter.Seq2[K, V] { return s.seq(s.in.Range(nil, nil)) }

// Range visits the entries with from <= key < to, in the order of the keys' bytes.
func (s *KeyValue[K, V]) Range(from, to K) iter.Seq2[K, V] {
	return s.seq(s.in.Range(mustEncode(s.key, from), mustEncode(s.key, to)))
}

func (s *KeyValue[K, V]) seq(in iter.Seq2[[]byte, store.Entry]) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for key, e := range in {
			if !yield(mustDecode(s.key, key), mustDecode(s.value, e.Value)) {
				return
			}
		}
	}
}

// WindowStore is a store of one entry per key and time, declared for Process, which forgets what is older than its
// retention.
type WindowStore[K, V any] struct {
	decl  storeDecl
	key   Codec[K]
	value Codec[V]
}

// NewWindowStore declares a store of one entry per key and time. It takes InMemory.
func NewWindowStore[K, V any](name string, key Codec[K], value Codec[V], retention time.Duration, opts ...Option) *WindowStore[K, V] {
	s := &WindowStore[K, V]{key: key, value: value}
	s.decl.set(store.Spec{Name: name, Kind: store.KindWindow, Retention: retention}, opts, optMemory)
	s.decl.coded = key != nil && value != nil
	return s
}

func (s *WindowStore[K, V]) declaration() *storeDecl { return &s.decl }

// In opens the store for a processor that declares it with Uses.
func (s *WindowStore[K, V]) In(c Access) *Times[K, V] {
	return &Times[K, V]{c.Opened().Windows(s.decl.full()), s.key, s.value}
}

// Times is an open WindowStore.
type Times[K, V any] struct {
	in    store.Windows
	key   Codec[K]
	value Codec[V]
}

// Get returns the value of a key at a time.
func (s *Times[K, V]) Get(key K, at time.Time) (value V, ok bool) {
	e, ok := s.in.Get(mustEncode(s.key, key), at, 0)
	if !ok {
		return value, false
	}
	return mustDecode(s.value, e.Value), true
}

// Put sets the value of a key at a time.
func (s *Times[K, V]) Put(key K, at time.Time, value V) {
	s.in.Put(mustEncode(s.key, key), at, 0, store.Entry{Value: mustEncode(s.value, value), Time: at})
}

// Delete removes the value of a key at a time.
func (s *Times[K, V]) Delete(key K, at time.Time) { s.in.Delete(mustEncode(s.key, key), at, 0, at) }

// Fetch visits the values of a key with from <= time <= to, in the order of time.
func (s *Times[K, V]) Fetch(key K, from, to time.Time) iter.Seq2[time.Time, V] {
	return func(yield func(time.Time, V) bool) {
		for at, e := range s.in.Fetch(mustEncode(s.key, key), from, to) {
			if !yield(at.Start, mustDecode(s.value, e.Value)) {
				return
			}
		}
	}
}

// codecFailure is thrown where an entry of a store cannot be read or written, and caught where the operator was called.
type codecFailure struct{ err error }

func mustEncode[T any](c Codec[T], value T) []byte {
	data, err := encode(c, value)
	if err != nil {
		panic(codecFailure{fmt.Errorf("write to a store: %w", err)})
	}
	return data
}

func mustDecode[T any](c Codec[T], data []byte) T {
	value, err := c.Decode(data)
	if err != nil {
		panic(codecFailure{fmt.Errorf("read from a store: %w", err)})
	}
	return value
}

// Stored is the name of the store in the plan, once an operator uses it.
func (s *KeyValueStore[K, V]) Stored() string { return s.decl.full() }
