package store

import (
	"iter"
	"time"
)

// Kind is how a store is laid out and asked.
type Kind uint8

// The kinds.
const (
	KindKeyValue  Kind = iota // one entry per key
	KindWindow                // one entry per key and window start (and sequence, for buffers of a join)
	KindSession               // one entry per key and session, which is a stretch of time
	KindVersioned             // every version of a key's entry within the retention
)

func (k Kind) String() string { return [...]string{"key-value", "window", "session", "versioned"}[k] }

// Spec is a store as data. It is part of a topology's plan.
type Spec struct {
	Name      string        // unique in its topology
	Kind      Kind          //
	Memory    bool          // kept in memory only and restored whole from its changelog at each start; else on disk
	Retention time.Duration // how long an entry lives after its time; 0 means for ever. Window, session and versioned stores need one
	Window    time.Duration // window stores: the length of a window, so that a start says the end; 0 if they are buffers
	Unlogged  bool          // has no changelog: what it holds can be lost. Nobody but tests and benchmarks wants that
}

// Entry is a value and the event time of the record that made it.
type Entry struct {
	Value []byte
	Time  time.Time // millisecond precision
}

// KeyValue is a table: one entry per key. A read that fails makes the whole State fail (State.Err) and answers as if
// nothing was there. Returned bytes are never overwritten and must not be changed; iterators see the store as it was when
// they began. With a retention, an entry is gone when its time plus the retention is before the observed time.
type KeyValue interface {
	Get(key []byte) (Entry, bool)
	Put(key []byte, e Entry)
	Delete(key []byte, at time.Time)
	// Range visits keys from (inclusive) to (exclusive; nil is the end) in order.
	Range(from, to []byte) iter.Seq2[[]byte, Entry]
	Prefix(prefix []byte) iter.Seq2[[]byte, Entry]
}

// Windows holds one entry per key and window start, or several told apart by seq. Entries whose start plus the retention
// is before the greatest time the State was told of (State.Observe) are gone: they are neither found nor kept.
type Windows interface {
	Get(key []byte, start time.Time, seq uint64) (Entry, bool)
	Put(key []byte, start time.Time, seq uint64, e Entry)
	Delete(key []byte, start time.Time, seq uint64, at time.Time)
	// Fetch visits the entries of a key with from <= start <= to, by start, then seq.
	Fetch(key []byte, from, to time.Time) iter.Seq2[WindowKey, Entry]
	// All visits the entries of all keys with from <= start <= to, in any stable order.
	All(from, to time.Time) iter.Seq2[WindowKey, Entry]
}

// WindowKey names an entry of Windows.
type WindowKey struct {
	Key   []byte
	Start time.Time
	Seq   uint64
}

// Sessions holds one entry per key and stretch of time. A session is gone when its end plus the retention is before the
// observed time.
type Sessions interface {
	Get(key []byte, start, end time.Time) (Entry, bool)
	Put(key []byte, start, end time.Time, e Entry)
	Delete(key []byte, start, end, at time.Time)
	// Overlapping visits the sessions of a key with end >= from and start <= to, by end.
	Overlapping(key []byte, from, to time.Time) iter.Seq2[SessionKey, Entry]
	All(from, to time.Time) iter.Seq2[SessionKey, Entry]
}

// SessionKey names an entry of Sessions.
type SessionKey struct {
	Key        []byte
	Start, End time.Time
}

// Versions holds the history of each key's entry within the retention. A version is gone when a later one of its key is
// as old as the retention allows: so the history reaches back one retention, and the latest version of a key stays for
// ever. A deletion that old is forgotten.
type Versions interface {
	// Put adds a version valid from e.Time on; a nil value says that the key was deleted then.
	Put(key []byte, e Entry)
	// AsOf returns the version that was valid at a time; ok is false if there was none, if the key was deleted then, or
	// if the version is gone.
	AsOf(key []byte, at time.Time) (Entry, bool)
	// Latest returns the newest version; ok is false if that is a deletion.
	Latest(key []byte) (Entry, bool)
	// History visits the versions of a key with from <= time <= to from the oldest on; a deletion has a nil value.
	History(key []byte, from, to time.Time) iter.Seq[Entry]
	// Range visits the latest version of each key that is not deleted.
	Range(from, to []byte) iter.Seq2[[]byte, Entry]
}

// Change is one write, as it stands in a changelog: Key is the store's own (see layout in docs/internals/store.md).
type Change struct {
	Store string
	Key   []byte
	Value []byte // nil: deleted
	Time  time.Time
}
