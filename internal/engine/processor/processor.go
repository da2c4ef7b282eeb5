// Package processor is the contract of bolts that keep state.
//
// A processor works on the records of one task: one partition of a stage, one record at a time, in the order of the
// task. What it emits and what it writes to its stores become visible together with the offset of the record, or not at
// all: if Process returns an error, its writes are undone, what it emitted is dropped, and the record becomes a dead
// letter. A processor is never called concurrently and must not start goroutines that touch its Context.
//
// A processor keeps what matters in its stores only. Fields of its own are a cache at best: the task may be closed and
// opened again on another machine at any moment.
package processor

import (
	"log/slog"
	"time"

	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
)

// Processor is a bolt with state, made once per task.
type Processor interface {
	// Open is called once, when the stores of the task are restored and before the first record.
	Open(c Context) error
	// Process works on one record. Input is the index of the source in the bolt's from list, so that a join can tell
	// its sides apart. The record is given away.
	Process(input int, r *record.Record) error
}

// Context is what a processor may use. It stays the same for the life of the task.
type Context interface {
	// Emit hands a record to what follows a port, at once: it has been worked on when Emit returns. The record is
	// given away. Emit may be called from Process and from scheduled functions only.
	Emit(port int, r *record.Record)

	// The stores of the stage, by their names in the plan: the processor's own, which are store.NameOf(Bolt(), …), and those
	// that its shape says it reads. A wrong name or kind is a programming error and panics when the task is opened. Stores of
	// global tables are read-only.
	KeyValue(name string) store.KeyValue
	Windows(name string) store.Windows
	Sessions(name string) store.Sessions
	Versions(name string) store.Versions

	// StreamTime is the greatest event time of the task so far, the record at work included. It never goes back, and
	// it survives restarts.
	StreamTime() time.Time
	// Now is the wall clock, or the virtual one of a test.
	Now() time.Time
	// Schedule calls f every interval of the given clock until the task ends or stop is called: by stream time when
	// records move it past a multiple of the interval (once, however far it jumped), by wall clock between records.
	Schedule(clock Clock, every time.Duration, f func(now time.Time) error) (stop func())

	Topology() string
	Bolt() string
	Partition() int32
	Log() *slog.Logger
}

// Clock is what drives a schedule.
type Clock uint8

// The clocks.
const (
	StreamTime Clock = iota
	WallClock
)
