package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync/atomic"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine/aggregate"
	"ravenswood.dev/internal/engine/join"
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/record"
)

// The subjects with state work on a million keys with values of 100 bytes, in stores on disk, exactly once with a commit
// every 100 ms. Their bolts work on bytes, as those of programs do; expressions would measure themselves.
const (
	stateKeys  = 1_000_000
	stateValue = 100
	stateAim   = 0.5
)

// Count measures a count of records by key: each record reads an entry, writes it, and writes the result to a topic.
func Count(ctx context.Context, o Options) (*Throughput, error) {
	s := subject{format: "raw", bolts: "last: {from: in, count: {}}", components: []component.Definition{countBolt()}}
	return stateful(ctx, o, "count", s, rawLoop{work: rawCount})
}

// Join measures a join of a stream with a table of as many records as the stream has: half of the records make the
// table, each of the others, which are later, reads its entry and writes the result to a topic.
func Join(ctx context.Context, o Options) (*Throughput, error) {
	found := &found{}
	s := subject{
		format: "raw", components: []component.Definition{tableBolt(), joinBolt(found)},
		spouts: "rows: {topic: {name: TABLE, format: raw}}",
		bolts:  "entries: {from: rows, entries: {}}\nlast: {from: in, joined: {}}",
	}
	r, err := stateful(ctx, o, "join", s, rawLoop{work: found.raw, table: true})
	if missed := found.missed.Load(); err == nil && missed > 0 {
		err = fmt.Errorf("join: %d records found no entry, and all of them have one", missed)
	}
	return r, err
}

// stateful runs a subject and the raw loop of it in turn.
func stateful(ctx context.Context, o Options, name string, s subject, raw rawLoop) (*Throughput, error) {
	o = o.orElse(1_000_000, 5, 0)
	s.delivery, s.commit = api.ExactlyOnce, Commit
	r := &Throughput{Benchmark: name, Aim: stateAim, Rounds: o.Rounds, Records: o.Records, Machine: o.machine()}
	c, err := newCluster(ctx, o)
	if err != nil {
		return nil, err
	}
	defer c.close()
	in, total := unique("in"), int64(o.Records)
	if raw.table { // before the stream, so that each of its records finds an entry
		table, next := unique("table"), uint64(0)
		if err := c.fillKeys(ctx, o, table, func() uint64 { next++; return next }); err != nil {
			return nil, err
		}
		s.spouts, raw.rows = strings.ReplaceAll(s.spouts, "TABLE", table), table
		total *= 2
	}
	keys := uint64(stateKeys)
	if raw.table { // each of them has a row
		keys = min(keys, uint64(o.Records))
	}
	if err := c.fillKeys(ctx, o, in, func() uint64 { return 1 + rand.Uint64N(keys) }); err != nil {
		return nil, err
	}
	measure := func(turn int) (ours, theirs float64, got outcome, err error) {
		run := func() { got, err = c.runState(ctx, s, in, total) }
		reference := func() {
			if err == nil {
				theirs, err = c.rawRate(ctx, raw, in, total)
			}
		}
		if turn%2 == 0 {
			reference()
			if err == nil {
				run()
			}
		} else {
			run()
			reference()
		}
		return got.way.rate(), theirs, got, err
	}
	return r, r.rounds(o, measure)
}

// rounds measures in turn and fills in the numbers.
func (r *Throughput) rounds(o Options, measure func(turn int) (ours, theirs float64, got outcome, err error)) error {
	var ours, theirs, pairs, p50, p99 Series
	heap := new(memory)
	for turn := range o.Rounds + 1 { // the first is to warm up
		if turn == 1 {
			heap = watchMemory()
		}
		rate, reference, got, err := measure(turn)
		if err != nil {
			return err
		}
		o.say("  %-8s reference %8.0f/s   %s %8.0f/s   ratio %.2f", roundName(turn), reference, r.Benchmark, rate, rate/reference)
		if turn > 0 {
			ours, theirs, pairs = append(ours, rate), append(theirs, reference), append(pairs, rate/reference)
			p50, p99 = append(p50, got.status.CommitP50), append(p99, got.status.CommitP99)
		}
	}
	heap.close()
	r.RecordsPerS, r.ReferencePerS = round(ours.Median(), 0), round(theirs.Median(), 0)
	r.Ratio = round(ours.Median()/theirs.Median(), 3)
	r.RatioOfPairs = round(pairs.Median(), 3)
	r.Spread, r.ReferenceSpread = round(ours.Spread(), 3), round(theirs.Spread(), 3)
	r.CommitP50, r.CommitP99, r.Heap = round(p50.Median(), 2), round(p99.Median(), 2), heap.heap()
	o.say("%s: %.0f records/s, reference %.0f/s, ratio %.2f (aim %.2f), heap %.0f MB at the start, %.0f MB at the end",
		r.Benchmark, r.RecordsPerS, r.ReferencePerS, r.Ratio, r.Aim, r.Start, r.End)
	return nil
}

// fillKeys writes as many records as a round has, over a million keys.
func (c *cluster) fillKeys(ctx context.Context, o Options, topic string, number func() uint64) error {
	o.say("writing %d records over %d keys to %s", o.Records, stateKeys, topic)
	if err := c.topic(ctx, topic); err != nil {
		return err
	}
	value := make([]byte, stateValue)
	return c.fill(ctx, topic, o.Records, func(int) (k, v []byte) {
		return binary.BigEndian.AppendUint64(nil, number()%stateKeys), value
	})
}

func (c *cluster) runState(ctx context.Context, s subject, in string, records int64) (outcome, error) {
	o, err := c.run(ctx, s, in, records)
	if err != nil {
		return o, fmt.Errorf("in %s: %w", filepath.Base(c.dir), err)
	}
	return o, nil
}

type nothing struct{}

func shaped(s component.Shape) func(*nothing) component.Shape {
	return func(*nothing) component.Shape { return s }
}

// countBolt keeps 100 bytes for each key, of which the first eight count its records.
func countBolt() component.Definition {
	o := aggregate.Options{Inputs: []aggregate.Input{{Add: func(_ *record.Record, so []byte) ([]byte, error) { return countUp(so), nil }}}}
	return component.DefineProcessor(component.Spec{Name: "count"}, nil, shaped(component.Shape{Keyed: true, Stores: o.Stores()}),
		func(*nothing, component.Env) (processor.Processor, error) {
			return aggregate.New(o), nil
		})
}

func countUp(so []byte) []byte {
	next := make([]byte, stateValue)
	if so != nil {
		binary.BigEndian.PutUint64(next, binary.BigEndian.Uint64(so)+1)
	}
	return next
}

func tableBolt() component.Definition {
	c := join.TableConfig{}
	return component.DefineProcessor(component.Spec{Name: "entries"}, nil, shaped(component.Shape{Keyed: true, Table: true, Stores: c.Stores()}),
		func(*nothing, component.Env) (processor.Processor, error) { return join.NewTable(c), nil })
}

func joinBolt(f *found) component.Definition {
	c := join.StreamTableConfig{Table: join.Source{Store: "entries"}, Type: join.Left, Join: func(r *record.Record, right []byte) ([]byte, error) {
		return f.joined(r.Value, right), nil
	}}
	return component.DefineProcessor(component.Spec{Name: "joined"}, nil, shaped(component.Shape{Keyed: true, Reads: c.Reads()}),
		func(*nothing, component.Env) (processor.Processor, error) { return join.NewStreamTable(c), nil })
}

// found says whether a join has found what is there.
type found struct{ missed atomic.Int64 }

func (f *found) joined(left, right []byte) []byte {
	if right == nil {
		f.missed.Add(1)
	}
	return append(append(make([]byte, 0, len(left)+len(right)), left...), right...)
}
