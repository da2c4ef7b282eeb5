package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/deadletter"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/topology"
)

// delivery takes the records of an internal topic to an outside sink. The sink keeps the offsets with what it is given,
// so the group is only used to share the partitions; the offsets committed to it are for people who look at lag.
type delivery struct {
	plan    *topology.Delivery
	engine  *Engine
	log     *slog.Logger
	records atomic.Int64
	problem atomic.Pointer[string]

	mu     sync.Mutex
	next   map[component.Partition]int64  // partitions we own and where they go on; GUARDED_BY(mu)
	stable map[kafka.TopicPartition]int64 // last stable offsets; GUARDED_BY(mu)
}

// run delivers until ctx is done, then until everything up to the ends it is sent on drain is delivered, or the bound
// passes.
func (d *delivery) run(ctx context.Context, drain <-chan struct{}) {
	for attempt := 1; ctx.Err() == nil; attempt++ {
		err := d.session(ctx, drain)
		if err == nil {
			return
		}
		if errors.Is(err, kafka.ErrReplaced) || component.ClassOf(err) == component.Never {
			d.engine.fail(fmt.Errorf("deliver to sink %q: %w", d.plan.Name, err))
			return
		}
		if ctx.Err() != nil {
			return
		}
		d.note(err)
		sleep(ctx, backoff(d.engine.plan.Retry, attempt))
	}
}

func (d *delivery) note(err error) {
	text := err.Error()
	if old := d.problem.Swap(&text); old == nil || *old != text {
		d.log.Warn("delivery waits and tries again", "sink", d.plan.Name, "err", err)
	}
}

// session is one membership: open the sink, join, deliver, until something fails or the drain is complete.
func (d *delivery) session(ctx context.Context, drain <-chan struct{}) error {
	sink, err := d.plan.Component.NewSink(d.plan.Config, d.engine.env.component(d.engine.plan, d.plan.Name))
	if err != nil {
		return err
	}
	defer func() { _ = sink.Close() }() // what it did not deliver is delivered again
	d.mu.Lock()
	d.next = make(map[component.Partition]int64)
	d.mu.Unlock()
	tx, err := kafka.NewTransactor(kafka.TransactorConfig{
		Config: d.engine.env.Kafka, Group: d.plan.Group, Topics: []string{d.plan.Topic},
		ID:       "raven." + d.engine.plan.Name + "." + d.plan.Name + "." + d.engine.env.ID,
		Assigned: func(context.Context, map[string][]int32) error { return nil },
		Begin: func(ctx context.Context, topic string, n int32) (int64, bool, error) {
			return d.begin(ctx, sink, d.partition(topic, n))
		},
		Revoked: d.forget,
		Lost:    d.forget,
	})
	if err != nil {
		return err
	}
	if err := d.loop(ctx, drain, tx, sink); err != nil {
		tx.Close()
		return err
	}
	if err := tx.CloseAndLeave(ctx); err != nil {
		d.log.Warn("the group waits for this delivery until its session times out", "sink", d.plan.Name, "err", err)
	}
	return nil
}

// begin asks the sink where a partition goes on; a partition it has never seen begins at its first record.
func (d *delivery) begin(ctx context.Context, sink component.Sink, p component.Partition) (int64, bool, error) {
	at, ok, err := sink.Position(ctx, p)
	if err != nil {
		return 0, false, fmt.Errorf("read position of %s/%d: %w", p.Topic, p.Partition, err)
	}
	if !ok {
		at = 0
	}
	d.mu.Lock()
	d.next[p] = at
	d.mu.Unlock()
	return at, ok, nil
}

func (d *delivery) partition(topic string, n int32) component.Partition {
	return component.Partition{Topic: topic, Partition: n, Log: d.engine.topicIDs[topic]}
}

func (d *delivery) forget(partitions map[string][]int32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for topic, ns := range partitions {
		for _, n := range ns {
			delete(d.next, d.partition(topic, n))
		}
	}
}

func (d *delivery) loop(ctx context.Context, drain <-chan struct{}, tx *kafka.Transactor, sink component.Sink) error {
	committed := time.Now()
	draining := false
	for {
		if draining && d.caughtUp() {
			d.commit(ctx, tx)
			return nil
		}
		pollCtx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		fetches, err := tx.Poll(pollCtx, deliverBatch)
		cancel()
		if err != nil {
			return err
		}
		fetches.EachPartition(func(fp kgo.FetchTopicPartition) {
			if err == nil && len(fp.Records) > 0 {
				err = d.deliver(ctx, sink, fp)
			}
		})
		if err != nil {
			return err
		}
		if time.Since(committed) > time.Second {
			d.commit(ctx, tx)
			committed = time.Now()
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		select {
		case <-drain:
			draining, drain = true, nil
		default:
		}
	}
}

const deliverBatch = 5000

// deliver brings one partition's batch to the sink, with the records it rejects going to the dead letters.
func (d *delivery) deliver(ctx context.Context, sink component.Sink, fp kgo.FetchTopicPartition) error {
	p := d.partition(fp.Topic, fp.Partition)
	d.mu.Lock()
	from, ours := d.next[p]
	d.mu.Unlock()
	if !ours {
		return nil
	}
	fresh := undelivered(fp.Records, from)
	if len(fresh) == 0 {
		return nil
	}
	raws, records := d.convert(fresh)
	next := fresh[len(fresh)-1].Offset + 1
	for attempt := 1; ; attempt++ {
		err := sink.Deliver(ctx, p, from, next, records)
		var rejected *component.RejectedError
		switch {
		case err == nil:
			d.problem.Store(nil)
			d.records.Add(int64(len(records)))
			d.mu.Lock()
			if _, ours := d.next[p]; ours {
				d.next[p] = next
			}
			d.mu.Unlock()
			return nil
		case errors.As(err, &rejected):
			if err := d.reject(ctx, raws[rejected.Index], err); err != nil {
				return err
			}
			raws = append(raws[:rejected.Index:rejected.Index], raws[rejected.Index+1:]...)
			records = append(records[:rejected.Index:rejected.Index], records[rejected.Index+1:]...)
			attempt = 0
		case errors.Is(err, component.ErrMoved), component.ClassOf(err) == component.Never, ctx.Err() != nil:
			return err // a new session reads the position again
		default:
			d.note(err)
			if !sleep(ctx, backoff(d.engine.plan.Retry, attempt)) {
				return ctx.Err()
			}
		}
	}
}

// undelivered leaves out what lies below the position. That is read again when a partition is taken away and given back
// while a batch of it is on its way to the sink: reading begins anew at the position of that moment, then the batch
// moves the position on. The sink only compares positions, so it would take the records a second time.
func undelivered(records []*kgo.Record, position int64) []*kgo.Record {
	for len(records) > 0 && records[0].Offset < position {
		records = records[1:]
	}
	return records
}

// convert makes records of what was read, without the markers between them.
func (d *delivery) convert(in []*kgo.Record) (raws []*kgo.Record, records []*record.Record) {
	slab := make([]record.Record, len(in))
	for i, raw := range in {
		if raw.Attrs.IsControl() {
			continue
		}
		r := &slab[i]
		raw.Timestamp = kafka.Unstamp(raw)
		r.Key, r.Value, r.Time, r.Format = raw.Key, raw.Value, raw.Timestamp, d.plan.Format
		r.Origin = record.Origin{Topic: raw.Topic, Partition: raw.Partition, Offset: raw.Offset}
		for _, h := range raw.Headers {
			if h.Key == record.HeaderOrigin {
				if o, err := record.ParseOrigin(string(h.Value)); err == nil {
					r.Origin = o
				}
				continue
			}
			r.Headers = append(r.Headers, record.Header{Key: h.Key, Value: h.Value})
		}
		raws, records = append(raws, raw), append(records, r)
	}
	return raws, records
}

// reject writes a dead letter and waits until it is durable. A crash before the sink has moved on writes it again under
// the same id, which folds into one.
func (d *delivery) reject(ctx context.Context, raw *kgo.Record, cause error) error {
	now := time.Now()
	source := record.Origin{Topic: raw.Topic, Partition: raw.Partition, Offset: raw.Offset}
	origin := source
	for _, h := range raw.Headers {
		if o, err := record.ParseOrigin(string(h.Value)); h.Key == record.HeaderOrigin && err == nil {
			origin = o
		}
	}
	d.log.Warn("record became a dead letter", "sink", d.plan.Name, "source", source.String(), "err", cause)
	letter := deadletter.Record(d.engine.plan.DeadLetters, raw.Partition, raw.Key, raw.Value, raw.Headers, deadletter.Cause{
		Topology: d.engine.plan.Name, Bolt: d.plan.Name, Input: deadletter.DeliveryInput(d.plan.Name), Class: "permanent", Err: cause.Error(), Attempts: 1,
		First: now, Last: now, Origin: origin, Source: source, OriginalTime: raw.Timestamp,
	})
	if err := d.engine.letters.ProduceSync(ctx, letter).FirstErr(); err != nil {
		return fmt.Errorf("write dead letter: %w", err)
	}
	d.engine.counters.dead.Add(1)
	return nil
}

// commit tells the group how far we are, for whoever looks at its lag. Nothing depends on it, so a failure is left to
// the next time.
func (d *delivery) commit(ctx context.Context, tx *kafka.Transactor) {
	offsets := kafka.Offsets{d.plan.Topic: {}}
	d.mu.Lock()
	for p, at := range d.next {
		if at > 0 {
			offsets[p.Topic][p.Partition] = at
		}
	}
	d.mu.Unlock()
	if len(offsets[d.plan.Topic]) > 0 {
		_ = tx.Commit(ctx, offsets, func(string) {})
	}
}

func (d *delivery) setStable(stable map[kafka.TopicPartition]int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stable = stable
}

// caughtUp says whether our partitions are delivered up to the last known ends.
func (d *delivery) caughtUp() bool { return d.lag() == 0 }

func (d *delivery) lag() (lag int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for p, at := range d.next {
		lag += max(d.stable[kafka.TopicPartition{Topic: p.Topic, Partition: p.Partition}]-at, 0)
	}
	return lag
}
