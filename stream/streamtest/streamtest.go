// Package streamtest runs a topology of package stream without a broker, in virtual time: the same plan, with its
// internal topics, tasks and stores, worked on step by step in the goroutine of the test.
//
//	d := streamtest.New(t, topology)
//	in, out := streamtest.Input(d, lines), streamtest.Output(d, counts)
//	in.Send("1", "to be or not to be")
//	got := out.Records()
//
// A Send works on the record and on everything that follows from it before it returns, so that a test reads like the
// story it tells. Time moves only by the test: event time by the times of records, the wall clock by Advance. A Driver is
// used by one goroutine.
//
// Do not assume that a record that a function refuses stops the test at once: it becomes a dead letter, as it would in
// production. A test that never asks for DeadLetters fails at its end if there were any.
package streamtest

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine/join"
	late "ravenswood.dev/internal/engine/stage"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/topology"
	"ravenswood.dev/stream"
)

// T is the part of testing.TB that a Driver needs, so that examples and benchmarks can bring their own.
type T interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
	Cleanup(f func())
}

// Option changes how a topology is driven.
type Option func(*Driver)

// Partitions gives every topic so many partitions; without it, they have one.
func Partitions(n int) Option { return func(d *Driver) { d.partitions = max(n, 1) } }

// Begin sets the wall clock at the beginning; without it, it is 2020-01-01 in UTC.
func Begin(at time.Time) Option { return func(d *Driver) { d.now = at } }

// Log writes what the topology logs; without it, nobody sees it.
func Log(log *slog.Logger) Option { return func(d *Driver) { d.log = log } }

// Driver is a topology at work.
type Driver struct {
	t          T
	ctx        context.Context
	log        *slog.Logger
	plan       *topology.Plan
	partitions int
	now        time.Time

	topics  map[string]*topic
	bolts   []component.Bolt // without state, by index into the plan
	counts  []*late.Counts   // with state, by index into the plan
	stages  []*stage
	globals map[string]*store.State
	feeds   map[string][]string // names of global tables by topic
	dead    []DeadLetter
	asked   bool // for dead letters
	closed  bool
	open    int // records worked on since the last commit
}

// DeadLetter is a record that could not be worked on.
type DeadLetter struct {
	Node   string // the operator that refused it, or the first of those it was fused with
	Err    error
	Origin stream.Origin
	Key    []byte // of the record as it entered the stage
	Value  []byte
}

// commitEvery bounds what a transaction holds.
const commitEvery = 1000

// New begins to drive a topology. What is wrong with the topology ends the test.
func New(t T, topo *stream.Topology, opts ...Option) *Driver {
	t.Helper()
	plan, err := topo.Plan()
	if err != nil {
		t.Fatalf("%v", err)
	}
	d := &Driver{
		t: t, ctx: context.Background(), log: slog.New(slog.DiscardHandler), plan: plan, partitions: 1,
		now:    time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
		topics: map[string]*topic{}, globals: map[string]*store.State{}, feeds: map[string][]string{},
	}
	for _, o := range opts {
		o(d)
	}
	d.check(d.start(), "start")
	t.Cleanup(d.Close)
	return d
}

func (d *Driver) check(err error, doing string) {
	d.t.Helper()
	if err != nil {
		d.t.Fatalf("%s topology %q: %v", doing, d.plan.Name, err)
	}
}

func (d *Driver) start() error {
	for _, b := range d.plan.Bolts {
		var bolt component.Bolt
		if b.Component.NewBolt != nil {
			var err error
			if bolt, err = b.Component.NewBolt(b.Config, d.env(b.Name)); err != nil {
				return fmt.Errorf("open bolt %q: %w", b.Name, err)
			}
		}
		d.bolts, d.counts = append(d.bolts, bolt), append(d.counts, new(late.Counts))
	}
	for _, g := range d.plan.Globals {
		state, err := store.Open(store.Options{Specs: []store.Spec{g.Store}, Log: d.log})
		if err != nil {
			return err
		}
		d.globals[g.Store.Name] = state
		d.feeds[g.Topic] = append(d.feeds[g.Topic], g.Store.Name)
	}
	for i := range d.plan.Stages {
		s, err := d.newStage(i)
		if err != nil {
			return err
		}
		d.stages = append(d.stages, s)
	}
	return nil
}

func (d *Driver) env(name string) component.Env {
	return component.Env{Topology: d.plan.Name, Name: name, Log: d.log}
}

// Close ends the driver before the test ends, as one of many cases should. It fails a test that overlooked dead letters.
func (d *Driver) Close() {
	d.t.Helper()
	if d.closed {
		return
	}
	d.closed = true
	for _, s := range d.stages {
		d.check(s.close(), "close")
	}
	for _, g := range d.globals {
		d.check(g.Close(), "close")
	}
	if len(d.dead) > 0 && !d.asked {
		d.t.Errorf("topology %q: %d records became dead letters, the first at %q: %v", d.plan.Name, len(d.dead), d.dead[0].Node, d.dead[0].Err)
	}
}

// DeadLetters are the records that could not be worked on so far.
func (d *Driver) DeadLetters() []DeadLetter {
	d.asked = true
	return slices.Clone(d.dead)
}

// LeftOut says how many records the operator of that name has not passed on, by reason: "late", "no-key", "no-value" … A
// record that came too late is counted also if nobody takes the late ones.
func (d *Driver) LeftOut(name string) map[string]int64 {
	d.t.Helper()
	for i := range d.plan.Bolts {
		if d.plan.Bolts[i].Name != name {
			continue
		}
		for _, s := range d.stages {
			s.tally()
		}
		return d.counts[i].Dropped()
	}
	d.t.Fatalf("topology %q has no operator %q that works by itself", d.plan.Name, name)
	return nil
}

func (d *Driver) bury(r *record.Record, node string, err error) {
	d.dead = append(d.dead, DeadLetter{Node: node, Err: err, Origin: stream.Origin(r.Origin), Key: r.Key, Value: r.Value})
}

// Now is the wall clock.
func (d *Driver) Now() time.Time { return d.now }

// Advance moves the wall clock, and calls what is scheduled by it: once, however far it moved.
func (d *Driver) Advance(by time.Duration) {
	d.t.Helper()
	d.now = d.now.Add(by)
	for _, s := range d.stages {
		d.check(s.punctuate(), "run the schedules of")
	}
	if err := d.work(); err != nil {
		d.t.Fatalf("%v", err)
	}
}

// work lets every stage work until there is nothing left to do. It does not mark itself as a test's help, which would
// cost more than the work.
func (d *Driver) work() error {
	for busy := true; busy; {
		busy = false
		for _, s := range d.stages {
			worked, err := s.work()
			if err != nil {
				return fmt.Errorf("work on topology %q: %w", d.plan.Name, err)
			}
			busy = busy || worked
		}
	}
	if d.open >= commitEvery {
		return d.commit()
	}
	return nil
}

// Commit ends the open transaction: what was written to stores is in their changelogs.
func (d *Driver) Commit() {
	if err := d.commit(); err != nil {
		d.t.Helper()
		d.t.Fatalf("%v", err)
	}
}

func (d *Driver) commit() error {
	d.open = 0
	for _, s := range d.stages {
		if err := s.commit(); err != nil {
			return fmt.Errorf("commit topology %q: %w", d.plan.Name, err)
		}
	}
	return nil
}

// Restart commits, closes every task and opens it again with stores that are restored from their changelogs, as if the
// topology went on on another machine.
func (d *Driver) Restart() {
	d.t.Helper()
	d.Commit()
	for _, s := range d.stages {
		d.check(s.restart(), "restart")
	}
}

// topic is a topic in memory.
type topic struct {
	parts   [][]*record.Record
	order   []place              // of all records, as they came
	hash    kgo.TopicPartitioner // nil if there is one partition
	keyless int
}

type place struct{ partition, offset int }

func (d *Driver) topic(name string) *topic {
	t := d.topics[name]
	if t == nil {
		t = &topic{parts: make([][]*record.Record, d.partitions)}
		if d.partitions > 1 { // making one takes a while
			t.hash = kgo.StickyKeyPartitioner(nil).ForTopic(name)
		}
		d.topics[name] = t
	}
	return t
}

// write appends a record to the partition of its key, as every Kafka client does; one without a key goes round.
func (d *Driver) write(name string, r *record.Record, internal bool) {
	t := d.topic(name)
	n := 0
	switch {
	case len(t.parts) == 1:
	case r.Key != nil:
		n = t.hash.Partition(&kgo.Record{Key: r.Key}, len(t.parts))
	default:
		n = t.keyless % len(t.parts)
		t.keyless++
	}
	if !internal {
		r.Origin = record.Origin{Topic: name, Partition: int32(n), Offset: int64(len(t.parts[n]))}
	}
	r.Old = nil
	r.Time = r.Time.Truncate(time.Millisecond)
	t.order = append(t.order, place{n, len(t.parts[n])})
	t.parts[n] = append(t.parts[n], r)
	for _, global := range d.feeds[name] {
		join.UpdateGlobal(d.globals[global].KeyValue(global), r)
	}
}

func (d *Driver) global(name string) store.KeyValue {
	if g := d.globals[name]; g != nil {
		return g.KeyValue(name)
	}
	return nil
}

// Plain is a T where there is no test, as in examples: it panics where a test would fail.
type Plain struct{}

var _ T = Plain{}

// Helper implements T.
func (Plain) Helper() {}

// Fatalf implements T.
func (Plain) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// Errorf implements T.
func (Plain) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// Cleanup implements T: what is to be done at the end is left to Close.
func (Plain) Cleanup(func()) {}
