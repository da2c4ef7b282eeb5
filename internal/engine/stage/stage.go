// Package stage runs the late step of one task: the bolts with state of a stage, and what follows them, one record at a
// time (docs/internals/state.md).
//
// A Task belongs to one goroutine. It does no I/O but that of its stores and bolts, and it starts nothing: the engine
// drives it between polls and commits, and streamtest in virtual time. It does not know of transactions; who drives it
// seals and commits the State.
package stage

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/topology"
)

// Config is what a Task is made of.
type Config struct {
	Plan      *topology.Plan
	Stage     int // into Plan.Stages
	Partition int32
	State     *store.State
	Streamed  time.Time // stream time as it was committed; zero at the very beginning
	Now       func() time.Time
	// Global gives the store of a global table, read-only; nil if the plan has none.
	Global func(name string) store.KeyValue
	// Bolt gives the opened instance of a bolt without state, by index into Plan.Bolts.
	Bolt func(i int) component.Bolt
	// Check says whether a sink takes a record; one that is not taken fails the record at work.
	Check func(sink int, r *record.Record) error
	// MaxChange is the largest entry that a changelog takes; a larger one fails the record at work. Nil: any is taken.
	MaxChange func(changelog string) int
	// Env is what an instance of a bolt is given.
	Env func(bolt string) component.Env
	// Counts is where the work of a bolt is counted, by index into Plan.Bolts; nil if nobody wants to know.
	Counts func(i int) *Counts
	Log    *slog.Logger
}

// Task is one partition's share of a stage.
type Task struct {
	cfg        Config
	nodes      []*node // by index into Plan.Bolts; nil where the bolt is of another stage or early
	streamTime time.Time
	outputs    []Output
	failed     *Error // of the record at work
	ctx        context.Context
	schedules  []*schedule
}

// Work is a record and where it goes.
type Work struct {
	Target topology.Target
	Record *record.Record
}

// Output is a record for a sink.
type Output struct {
	Sink   int // into Plan.Sinks
	Record *record.Record
}

// Error is the failure of one record at one bolt.
type Error struct {
	Bolt string
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("bolt %q: %v", e.Bolt, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// New opens the processors of a task over its restored stores.
func New(cfg Config) (*Task, error) {
	t := &Task{cfg: cfg, nodes: make([]*node, len(cfg.Plan.Bolts)), streamTime: cfg.Streamed}
	t.limit()
	for _, i := range cfg.Plan.Stages[cfg.Stage].Bolts {
		if err := t.open(i); err != nil {
			return nil, fmt.Errorf("open bolt %q of partition %d: %w", cfg.Plan.Bolts[i].Name, cfg.Partition, err)
		}
	}
	return t, cfg.State.Err()
}

// limit bounds the stores by what their changelogs take.
func (t *Task) limit() {
	if t.cfg.MaxChange == nil {
		return
	}
	for _, s := range t.cfg.Plan.Stages[t.cfg.Stage].Stores {
		if s.Changelog != "" && !s.Source {
			t.cfg.State.Limit(s.Name, t.cfg.MaxChange(s.Changelog))
		}
	}
}

// tooLarge fails the record at work if it left an entry that the changelog does not take: the transaction would fail with
// it, and every transaction after it.
func (t *Task) tooLarge() {
	name, bytes, found := t.cfg.State.TooLarge()
	if !found || t.failed != nil {
		return
	}
	for _, s := range t.cfg.Plan.Stages[t.cfg.Stage].Stores {
		if s.Name == name {
			err := fmt.Errorf("write store %q: an entry of %d bytes is above the %d that topic %q takes (max.message.bytes): keep less for each key, or set the limit higher",
				name, bytes, t.cfg.MaxChange(s.Changelog), s.Changelog)
			t.failed = &Error{Bolt: s.Bolt, Err: component.Permanent(err)}
		}
	}
}

func (t *Task) open(i int) error {
	b := &t.cfg.Plan.Bolts[i]
	if !b.Late {
		return nil
	}
	n := &node{task: t, bolt: b, index: i, counts: t.countsOf(i)}
	t.nodes[i] = n
	if b.Component.NewProcessor == nil {
		n.plain = t.cfg.Bolt(i)
		return nil
	}
	p, err := b.Component.NewProcessor(b.Config, t.cfg.Env(b.Name))
	if err != nil {
		return err
	}
	n.processor, n.tally.processor = p, countedIn(p)
	return guard(func() error { return p.Open(n) })
}

func (t *Task) countsOf(i int) *Counts {
	if t.cfg.Counts == nil {
		return new(Counts)
	}
	return t.cfg.Counts(i)
}

// Process takes one record through the late bolts and returns what goes to sinks. All of its effects happen or none:
// after an *Error the stores and stream time are as they were before. Any other error is one of the stores; the task is of
// no use after it. The outputs are valid until the next call.
//
// Stream time follows the records as the early bolts left them: these may have made several of one, or have given it the
// event time that is written in it.
func (t *Task) Process(ctx context.Context, work []Work) ([]Output, error) {
	t.begin(ctx)
	before := t.streamTime
	for i := range work {
		r := work[i].Record
		r.Time = logged(r.Time)
		t.observe(r.Time)
		t.walk(work[i].Target, r)
	}
	if err := t.cfg.State.Err(); err != nil {
		return nil, err
	}
	if t.tooLarge(); t.failed != nil {
		t.cfg.State.Rollback()
		t.streamTime = before
		return nil, t.failed
	}
	t.runSchedules(processor.StreamTime, t.streamTime)
	return t.outputs, t.cfg.State.Err()
}

// logged is a time as the log has it. Stores and windows know milliseconds only, so a finer time would be another one in
// the store than at work, and the same record another one behind a topic than without.
func logged(at time.Time) time.Time { return at.Truncate(time.Millisecond) }

func (t *Task) observe(at time.Time) {
	if at.After(t.streamTime) {
		t.streamTime = at
		t.cfg.State.Observe(at)
	}
}

// Punctuate runs the wall-clock schedules that are due and returns what they emitted.
func (t *Task) Punctuate(ctx context.Context) ([]Output, error) {
	if len(t.schedules) == 0 {
		return nil, nil
	}
	t.begin(ctx)
	t.runSchedules(processor.WallClock, t.cfg.Now())
	return t.outputs, t.cfg.State.Err()
}

// StreamTime is the greatest event time so far: to be committed with the offsets.
func (t *Task) StreamTime() time.Time { return t.streamTime }

func (t *Task) begin(ctx context.Context) {
	t.ctx, t.failed = ctx, nil
	clear(t.outputs)
	t.outputs = t.outputs[:0]
	t.cfg.State.Mark()
}

// walk hands a record to one target, and by the emits of that bolt to all that follows.
func (t *Task) walk(to topology.Target, r *record.Record) {
	if t.failed != nil {
		return
	}
	if err := checkTime(r.Time); err != nil {
		t.failed = &Error{Bolt: t.nameOf(to), Err: err}
		return
	}
	if to.Sink {
		if err := t.check(to.Index, r); err != nil {
			t.failed = &Error{Bolt: t.nameOf(to), Err: err}
			return
		}
		t.outputs = append(t.outputs, Output{Sink: to.Index, Record: r})
		return
	}
	t.nodes[to.Index].run(to.Input, r)
}

func (t *Task) nameOf(to topology.Target) string {
	if to.Sink {
		return t.cfg.Plan.Sinks[to.Index].Name
	}
	return t.cfg.Plan.Bolts[to.Index].Name
}

// checkTime refuses times that would be others after a store was restored from the log.
func checkTime(at time.Time) error {
	if at.IsZero() {
		return nil // a bolt that makes records need not give them a time
	}
	return record.CheckTime(at)
}

func (t *Task) check(sink int, r *record.Record) error {
	if t.cfg.Check == nil {
		return nil
	}
	return t.cfg.Check(sink, r)
}

// fail keeps the first failure of the record at work; everything after it is dropped.
func (t *Task) fail(n *node, err error) {
	n.counts.Errors.Add(1)
	if t.failed == nil {
		t.failed = &Error{Bolt: n.bolt.Name, Err: err}
	}
}

// Close ends the processors that want to know.
func (t *Task) Close() error {
	t.Tally()
	var first error
	for _, n := range slices.Backward(t.nodes) {
		if n == nil {
			continue
		}
		if c, ok := n.processor.(interface{ Close() error }); ok {
			if err := guard(c.Close); err != nil && first == nil {
				first = fmt.Errorf("close bolt %q: %w", n.bolt.Name, err)
			}
		}
	}
	return first
}
