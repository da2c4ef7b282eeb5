// Package join makes tables and joins as processors over bytes: what the typed SDK and the components for files are built
// on. Its results are those of Kafka Streams, differences are listed in docs/internals/joins.md.
//
// A processor is used by the one goroutine of its task, as package processor says, and keeps everything that matters in
// the stores of the task. A Config is read-only and may be shared by all tasks, so its functions must be safe for
// concurrent use. What they are given belongs to the processor: they must not write into it.
//
// Do not assume that a function is called once per record: results before a change are calculated again to say what they
// were (record.Old), so functions must give the same answer for the same bytes. What counts as absent is nil; empty bytes
// are a value.
package join

import (
	"time"

	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
)

// Type says what becomes of a record without a partner.
type Type uint8

// The types.
const (
	Inner Type = iota // it has no result
	Left              // one of the left side has a result, with nil in place of the right
	Outer             // so has one of the right side
)

func (t Type) String() string { return [...]string{"inner", "left", "outer"}[t] }

// keeps says whether a record of a side has a result without a partner.
func (t Type) keeps(side int) bool { return t == Outer || t == Left && side == leftSide }

// The sides of a join, which are the inputs of its bolt.
const (
	leftSide = iota
	rightSide
)

// Joiner makes the result of a pair. In left and outer joins one side may be nil. A nil result of a join of tables says
// that there is no entry.
type Joiner func(key, left, right []byte) ([]byte, error)

// present is a value that is there: never nil.
func present(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// Source is a table as a join reads it.
type Source struct {
	Store     string // as the plan knows it
	Versioned bool   // the store keeps versions
	View      View   // what the join sees of it; nil: everything as it is
}

// reader is an opened Source.
type reader struct {
	plain    store.KeyValue
	versions store.Versions
	view     View
}

func (s Source) open(c processor.Context) reader {
	if s.Versioned {
		return reader{versions: c.Versions(s.Store), view: s.View}
	}
	return reader{plain: c.KeyValue(s.Store), view: s.View}
}

// latest returns the entry of a key; its value is nil if there is none.
func (r *reader) latest(key []byte) (store.Entry, error) {
	if r.versions != nil {
		return r.seen(key)(r.versions.Latest(key))
	}
	return r.seen(key)(r.plain.Get(key))
}

// asOf returns the entry that was valid at a time.
func (r *reader) asOf(key []byte, at time.Time) (store.Entry, error) {
	return r.seen(key)(r.versions.AsOf(key, at))
}

func (r *reader) seen(key []byte) func(store.Entry, bool) (store.Entry, error) {
	return func(e store.Entry, ok bool) (store.Entry, error) {
		if !ok {
			return store.Entry{}, nil
		}
		value, err := r.view.of(key, present(e.Value))
		if value == nil || err != nil {
			return store.Entry{}, err
		}
		return store.Entry{Value: value, Time: e.Time}, nil
	}
}
