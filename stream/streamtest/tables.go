package streamtest

import (
	"fmt"
	"log/slog"
	"maps"
	"time"

	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/stream"
)

// Entries are all entries of a table, of all its partitions.
func Entries[K comparable, V any](d *Driver, table stream.Table[K, V]) map[K]V {
	d.t.Helper()
	all := map[K]V{}
	for _, t := range d.holders(table.Stored()) {
		maps.Insert(all, table.In(opened{t}).All())
	}
	return all
}

// Get is the value of a key in a table.
func Get[K, V any](d *Driver, table stream.Table[K, V], key K) (value V, ok bool) {
	d.t.Helper()
	for _, t := range d.holders(table.Stored()) {
		if value, ok = table.In(opened{t}).Get(key); ok {
			return value, true
		}
	}
	return value, false
}

// StoreEntries are all entries of a store of a processor, of all its partitions.
func StoreEntries[K comparable, V any](d *Driver, s *stream.KeyValueStore[K, V]) map[K]V {
	d.t.Helper()
	all := map[K]V{}
	for _, t := range d.holders(s.Stored()) {
		maps.Insert(all, s.In(opened{t}).All())
	}
	return all
}

// holders are the tasks that have a store.
func (d *Driver) holders(name string) []*task {
	d.t.Helper()
	for _, s := range d.stages {
		for _, st := range s.plan.Stores {
			if st.Name == name {
				return s.tasks
			}
		}
	}
	if name == "" {
		d.t.Fatalf("look into topology %q: the table is calculated and kept nowhere; it needs Kept", d.plan.Name)
	}
	d.t.Fatalf("look into topology %q: there is no store %q", d.plan.Name, name)
	return nil
}

// opened is a task as an open table wants it.
type opened struct{ t *task }

var _ processor.Context = opened{}

// Opened implements stream.Access.
func (o opened) Opened() processor.Context { return o }

// KeyValue implements processor.Context, as all that follows.
func (o opened) KeyValue(name string) store.KeyValue { return o.t.state.KeyValue(name) }

// Windows implements processor.Context.
func (o opened) Windows(name string) store.Windows { return o.t.state.Windows(name) }

// Sessions implements processor.Context.
func (o opened) Sessions(name string) store.Sessions { return o.t.state.Sessions(name) }

// Versions implements processor.Context.
func (o opened) Versions(name string) store.Versions { return o.t.state.Versions(name) }

// Emit implements processor.Context.
func (o opened) Emit(int, *record.Record) {
	panic("streamtest: a table that is looked at emits nothing")
}

// StreamTime implements processor.Context.
func (o opened) StreamTime() time.Time { return o.t.late.StreamTime() }

// Now implements processor.Context.
func (o opened) Now() time.Time { return o.t.stage.d.now }

// Schedule implements processor.Context.
func (o opened) Schedule(processor.Clock, time.Duration, func(time.Time) error) func() {
	panic("streamtest: a table that is looked at schedules nothing")
}

// Topology implements processor.Context.
func (o opened) Topology() string { return o.t.stage.d.plan.Name }

// Bolt implements processor.Context.
func (o opened) Bolt() string { return fmt.Sprintf("stage %q", o.t.stage.plan.Name) }

// Partition implements processor.Context.
func (o opened) Partition() int32 { return int32(o.t.n) }

// Log implements processor.Context.
func (o opened) Log() *slog.Logger { return o.t.stage.d.log }
