package join

import (
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
)

// TableConfig is a table: the last value of each key of its source.
type TableConfig struct {
	// Store is where it is kept: key-value or versioned. Its name is that within the bolt, usually empty.
	Store   store.Spec
	Dropped Dropped
}

// Stores are the table's own.
func (c TableConfig) Stores() []store.Spec { return []store.Spec{c.Store} }

// NewTable makes the processor that materialises its source, a stream or the changes of another table, and emits each
// change with the value before. Records without a key are dropped; one without a value deletes.
//
// In a key-value store the last record of a key wins, whatever its time. In a versioned store the one with the greatest
// time is the latest; a record that comes out of order goes into the history and is no change of the table.
func NewTable(c TableConfig) processor.Processor {
	if c.Store.Kind == store.KindVersioned {
		return &versionedTable{cfg: c}
	}
	return &table{cfg: c}
}

type table struct {
	losses
	cfg     TableConfig
	c       processor.Context
	entries store.KeyValue
}

// Open implements processor.Processor.
func (t *table) Open(c processor.Context) error {
	t.c = c
	t.tell(c, t.cfg.Dropped)
	t.entries = c.KeyValue(store.NameOf(c.Bolt(), t.cfg.Store.Name))
	return nil
}

// Process implements processor.Processor.
func (t *table) Process(_ int, r *record.Record) error {
	if r.Key == nil {
		t.lose(NoKey)
		return nil
	}
	r.Old = replace(t.entries, r.Key, store.Entry{Value: r.Value, Time: r.Time})
	t.c.Emit(0, r)
	return nil
}

// replace puts an entry, or deletes it if it has no value, and returns the value before.
func replace(entries store.KeyValue, key []byte, e store.Entry) (old []byte) {
	if before, ok := entries.Get(key); ok {
		old = present(before.Value)
	}
	if e.Value == nil {
		entries.Delete(key, e.Time)
	} else {
		entries.Put(key, e)
	}
	return old
}

// UpdateGlobal applies a record of a global table's topic to the table. It returns why the record was dropped, empty if
// it was not.
func UpdateGlobal(entries store.KeyValue, r *record.Record) Reason {
	switch {
	case r.Key == nil:
		return NoKey
	case r.Value == nil:
		entries.Delete(r.Key, r.Time)
	default:
		entries.Put(r.Key, store.Entry{Value: r.Value, Time: r.Time})
	}
	return ""
}

type versionedTable struct {
	losses
	cfg      TableConfig
	c        processor.Context
	versions store.Versions
}

// Open implements processor.Processor.
func (t *versionedTable) Open(c processor.Context) error {
	t.c = c
	t.tell(c, t.cfg.Dropped)
	t.versions = c.Versions(store.NameOf(c.Bolt(), t.cfg.Store.Name))
	return nil
}

// Process implements processor.Processor.
func (t *versionedTable) Process(_ int, r *record.Record) error {
	if r.Key == nil {
		t.lose(NoKey)
		return nil
	}
	before, ok := t.versions.Latest(r.Key)
	outOfOrder := ok && before.Time.After(r.Time) || !ok && t.deletedAfter(r)
	t.versions.Put(r.Key, store.Entry{Value: r.Value, Time: r.Time})
	if outOfOrder {
		return nil
	}
	if r.Old = nil; ok {
		r.Old = present(before.Value)
	}
	t.c.Emit(0, r)
	return nil
}

// deletedAfter says whether the key of a record was deleted at a later time.
func (t *versionedTable) deletedAfter(r *record.Record) bool {
	for e := range t.versions.History(r.Key, r.Time, later(r.Time, t.c.StreamTime())) {
		if e.Time.After(r.Time) {
			return true
		}
	}
	return false
}
