// Package bolttest runs one bolt with state by itself, as a task does: over stores in memory, with the stream time that its
// records move, and with everything undone that a record did before it failed.
//
// A Task belongs to the goroutine of its test. Do not assume more than one bolt: what it emits goes nowhere but to Out.
package bolttest

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
)

// Bolt is the name of the bolt in its plan.
const Bolt = "b"

// Task is one bolt at work, and the Context of its processor.
type Task struct {
	Out   []Output       // what came out so far
	Drops map[string]int // what was counted as dropped, by the reason that was told

	t     testing.TB
	state *store.State
	p     processor.Processor
	now   time.Time
	due   []func(time.Time) error // by stream time
}

// Output is what came out of a port.
type Output struct {
	Port int
	*record.Record
}

func (o Output) String() string { return fmt.Sprintf("%d %s %s", o.Port, o.Key, o.Value) }

var _ processor.Context = (*Task)(nil)

// Open opens a bolt. Its settings must have nothing wrong with them.
func Open(t testing.TB, d component.Definition, config any) *Task {
	t.Helper()
	if problems := d.Check(config); problems != nil {
		t.Fatal(problems)
	}
	specs := append([]store.Spec(nil), d.Shape(config).Stores...)
	for i := range specs {
		specs[i].Name, specs[i].Memory = store.NameOf(Bolt, specs[i].Name), true
	}
	k := &Task{t: t, Drops: map[string]int{}}
	var err error
	if k.state, err = store.Open(store.Options{Specs: specs}); err != nil {
		t.Fatal(err)
	}
	if k.p, err = d.NewProcessor(config, component.Env{Log: k.Log()}); err == nil {
		err = k.p.Open(k)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Try works on a record, and on what time closes.
func (k *Task) Try(input int, r *record.Record) error {
	kept, before := len(k.Out), k.now
	k.state.Mark()
	if r.Time.After(k.now) {
		k.now = r.Time
		k.state.Observe(k.now)
	}
	err := k.p.Process(input, r)
	for _, f := range k.due {
		if err == nil {
			err = f(k.now)
		}
	}
	if err != nil {
		k.state.Rollback()
		k.Out, k.now = k.Out[:kept], before
		return err
	}
	return k.state.Err()
}

// Do works on an Event of the first input, which must not fail.
func (k *Task) Do(key, value string, ms int64) {
	k.t.Helper()
	if err := k.Try(0, Event(key, value, ms)); err != nil {
		k.t.Fatal(err)
	}
}

// Event is a record of JSON; one of an empty text has no value.
func Event(key, value string, ms int64) *record.Record {
	r := &record.Record{Key: []byte(key), Format: record.JSON, Time: time.UnixMilli(ms)}
	if value != "" {
		r.Value = []byte(value)
	}
	return r
}

// Last is the last value that came out; empty if none did.
func (k *Task) Last() string {
	if len(k.Out) == 0 {
		return ""
	}
	return string(k.Out[len(k.Out)-1].Value)
}

// Emit implements processor.Context, as all that follows.
func (k *Task) Emit(port int, r *record.Record) { k.Out = append(k.Out, Output{port, r}) }

// Dropped notes the reason, as the engine's contexts do.
func (k *Task) Dropped(reason string) { k.Drops[reason]++ }

// Counted is how many records the bolt says it has dropped, with or without a reason; 0 if it does not count.
func (k *Task) Counted() uint64 {
	if c, ok := k.p.(interface{ Dropped() uint64 }); ok {
		return c.Dropped()
	}
	return 0
}

// KeyValue is a store of the bolt.
func (k *Task) KeyValue(name string) store.KeyValue { return k.state.KeyValue(name) }

// Windows is a store of the bolt.
func (k *Task) Windows(name string) store.Windows { return k.state.Windows(name) }

// Sessions is a store of the bolt.
func (k *Task) Sessions(name string) store.Sessions { return k.state.Sessions(name) }

// Versions is a store of the bolt.
func (k *Task) Versions(name string) store.Versions { return k.state.Versions(name) }

// StreamTime is the greatest time of a record so far.
func (k *Task) StreamTime() time.Time { return k.now }

// Now is stream time, too: no test needs another.
func (k *Task) Now() time.Time { return k.now }

// Topology is a name.
func (k *Task) Topology() string { return "t" }

// Bolt is the constant of that name.
func (k *Task) Bolt() string { return Bolt }

// Partition is 0.
func (k *Task) Partition() int32 { return 0 }

// Log goes nowhere.
func (k *Task) Log() *slog.Logger { return slog.New(slog.DiscardHandler) }

// Schedule notes what is due after each record; the wall clock stands still.
func (k *Task) Schedule(clock processor.Clock, _ time.Duration, f func(time.Time) error) (stop func()) {
	if clock == processor.StreamTime {
		k.due = append(k.due, f)
	}
	return func() { panic("no bolt stops what it has scheduled") }
}
