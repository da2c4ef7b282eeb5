// Package aggregate holds the processors that bring the records of a key together: aggregates with and without windows,
// the ones that wait (Suppress), that let the first of equal records through (Deduplicate), and that group a table anew
// (TableGroup). They work on bytes; package stream and the components put types and expressions on top.
//
// A processor belongs to one task and is used by one goroutine, as package processor says; only its counters may be read
// from others. What it knows is in its stores: a new one over the same stores goes on as if nothing had happened.
//
// Do not assume that time passes by itself: a window closes when a record moves the stream time of the task past its end
// and grace, so that the last windows of a stream that has ended stay open.
package aggregate

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/engine/window"
	"ravenswood.dev/internal/record"
)

// PortLate is the port of records that come too late for every window they could fall into, as they came. Where Options has
// several Inputs, each has its own: that of the input i is PortLate + i.
const PortLate = 1

// The names of the stores of a bolt, within the bolt; see store.NameOf.
const (
	StoreMain = ""     // what can be asked for: the groups, or the windows
	StoreOpen = "open" // of final results and of what waits: what has not been given out yet
)

// own is the name in the plan of a store of the bolt at work.
func own(c processor.Context, name string) string { return store.NameOf(c.Bolt(), name) }

// Fold takes a record into the aggregate of its group, or out of it. Aggregate is nil if there is none. It returns the new
// one: fresh bytes, the record's, or aggregate itself if nothing changed; nil says that the group is gone. It writes into
// neither argument and keeps neither: the aggregate's bytes are the store's.
type Fold func(r *record.Record, aggregate []byte) ([]byte, error)

// Input is how the records of one source are aggregated.
type Input struct {
	Add Fold
	// Remove undoes what Add did with the value it is told; needed where the records are the changes of a table.
	Remove Fold
}

// Results says when results are given out.
type Results uint8

// The ways.
const (
	Changes Results = iota // at every change, with the value before as Old
	Final                  // once for each window, when it has closed
)

// Keys says how the key of a window's result is written.
type Keys uint8

// The ways.
const (
	KeyGroup    Keys = iota // the group's key; headers say which window
	KeyWindowed             // key@start/end, one for each window, as a compacted topic needs it; the headers are there, too
)

// Options is what an Aggregate does.
type Options struct {
	// Init makes the aggregate of an empty group; nil gives nil.
	Init func() []byte
	// Inputs is how the records of each source are aggregated, by its index (cogroup). A single one serves all sources.
	Inputs []Input
	// Merge joins the aggregates of two sessions that become one, the earlier first. Sessions need it.
	Merge func(key, a, b []byte) ([]byte, error)
	// Result makes what is given out of an aggregate; nil gives out the aggregate. It must return fresh bytes.
	Result func(aggregate []byte) ([]byte, error)
	// Table says that the records are changes of a table: Old is removed from its group before Value is added, and a
	// record without a value only removes. Records that TableGroup has marked are understood in any case.
	Table bool

	Window    *window.Spec  // nil: one aggregate for each key, for ever
	Results   Results       //
	Keys      Keys          //
	Retention time.Duration // how long a group, or a window after its start, is kept; 0: groups for ever, windows until a day after they have closed
	Memory    bool          // the stores are kept in memory only
	Unlogged  bool          // and have no changelog
	Format    record.Format // of results
}

const askedFor = 24 * time.Hour // how long a window is kept after nothing changes it any more, unless the options say otherwise

// Check says what is wrong with the options.
func (o Options) Check() error {
	if len(o.Inputs) == 0 {
		return errors.New("check aggregate: it has no inputs")
	}
	for i, in := range o.Inputs {
		switch {
		case in.Add == nil:
			return fmt.Errorf("check aggregate: input %d has no function to add", i)
		case o.Table && in.Remove == nil:
			return fmt.Errorf("check aggregate: input %d has no function to remove, which the changes of a table need", i)
		}
	}
	switch {
	case o.Retention < 0:
		return fmt.Errorf("check aggregate: the retention %s is negative", o.Retention)
	case o.Window == nil && o.Results == Final:
		return errors.New("check aggregate: without a window no result is ever final")
	case o.Window == nil && o.Keys == KeyWindowed:
		return errors.New("check aggregate: without a window there is no windowed key")
	case o.Window == nil:
		return nil
	case o.Table:
		return errors.New("check aggregate: the changes of a table have no place in windows, since a row is removed at another time than it was added")
	case o.Window.Kind == window.Session && o.Merge == nil:
		return errors.New("check aggregate: sessions need a function to merge two aggregates")
	case o.Retention != 0 && o.Retention < o.Window.Retention():
		return fmt.Errorf("check aggregate: the retention %s is less than the windows need: %s", o.Retention, o.Window.Retention())
	}
	return o.Window.Check()
}

// Stores are the stores an Aggregate needs, named within its bolt.
func (o Options) Stores() []store.Spec {
	if o.Window == nil {
		return []store.Spec{{Name: StoreMain, Kind: store.KindKeyValue, Memory: o.Memory, Unlogged: o.Unlogged, Retention: o.Retention}}
	}
	main := store.Spec{Name: StoreMain, Kind: store.KindWindow, Memory: o.Memory, Unlogged: o.Unlogged, Retention: o.Retention, Window: o.Window.Length()}
	if o.Window.Kind == window.Session {
		main.Kind = store.KindSession
	}
	if main.Retention == 0 {
		main.Retention = o.Window.Retention() + askedFor
	}
	if o.Results == Final {
		return []store.Spec{main, openStore(o.Memory, o.Unlogged)}
	}
	return []store.Spec{main}
}

func openStore(memory, unlogged bool) store.Spec {
	return store.Spec{Name: StoreOpen, Kind: store.KindKeyValue, Memory: memory, Unlogged: unlogged}
}

// Counters is what a processor has counted since it was made. They may be read at any time.
type Counters struct {
	late, dropped atomic.Uint64
}

// Late is the number of records that came too late.
func (c *Counters) Late() uint64 { return c.late.Load() }

// Dropped is the number of records that have no key, or no value where one is needed.
func (c *Counters) Dropped() uint64 { return c.dropped.Load() }

// Aggregate keeps one value for each group of records: for each key, or for each key and window. Make it with New.
type Aggregate struct {
	Counters
	o    Options
	ctx  processor.Context
	mode mode
	mark marker
	// final gives out the windows that close; nil if results are given out at every change.
	final *finals

	removed record.Record // scratch: the record whose value is removed
}

// mode is what differs between the kinds of windows. The record has a key and a value, or is a change of a table.
type mode interface {
	process(input int, r *record.Record) error
}

var _ processor.Processor = (*Aggregate)(nil)

// New makes the processor. The options have been checked.
func New(o Options) *Aggregate { return &Aggregate{o: o} }

// Open implements processor.Processor.
func (a *Aggregate) Open(c processor.Context) error {
	if err := a.o.Check(); err != nil {
		return err
	}
	a.ctx = c
	switch w := a.o.Window; {
	case w == nil:
		a.mode = &groups{Aggregate: a, kv: c.KeyValue(own(c, StoreMain))}
	case w.Kind == window.Session:
		a.mode = newSessions(a, c)
	case w.Kind == window.Sliding:
		a.mode = newSliding(a, c)
	default:
		a.mode = newFixed(a, c)
	}
	return nil
}

// Process implements processor.Processor.
func (a *Aggregate) Process(input int, r *record.Record) error {
	if a.final != nil {
		if err := a.final.close(r); err != nil {
			return err
		}
	}
	if r.Key == nil || r.Value == nil && (!a.o.Table || r.Old == nil) {
		a.dropped.Add(1)
		return nil
	}
	if len(a.o.Inputs) == 1 {
		input = 0
	}
	return a.mode.process(input, r)
}

// add takes a record into an aggregate, which may be nil.
func (a *Aggregate) add(input int, r *record.Record, aggregate []byte) ([]byte, error) {
	if aggregate == nil && a.o.Init != nil {
		aggregate = a.o.Init()
	}
	return a.o.Inputs[input].Add(r, aggregate)
}

// give emits a result: r becomes it.
func (a *Aggregate) give(r *record.Record, value, old []byte, at time.Time) error {
	if a.o.Result != nil {
		var err error
		if value, err = a.result(value); err != nil {
			return err
		}
		if old, err = a.result(old); err != nil {
			return err
		}
	}
	r.Value, r.Old, r.Time, r.Format = value, old, at, a.o.Format
	a.ctx.Emit(0, r)
	return nil
}

func (a *Aggregate) result(aggregate []byte) ([]byte, error) {
	if aggregate == nil {
		return nil, nil
	}
	return a.o.Result(aggregate)
}

// giveWindow emits the result of a window.
func (a *Aggregate) giveWindow(r *record.Record, w window.Window, value, old []byte, at time.Time) error {
	a.mark.mark(r, w, a.o.Keys)
	return a.give(r, value, old, at)
}

// giveLate emits a record that came too late, untouched.
func (a *Aggregate) giveLate(input int, r *record.Record) {
	a.late.Add(1)
	a.ctx.Emit(PortLate+input, r)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
