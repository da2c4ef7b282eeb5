package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/topology"
)

// feed brings the records of an outside spout into its internal topic, in transactions that carry the spout's position
// along. It runs in the worker that owns partition 0 of that topic; its transactional id keeps a second one out.
type feed struct {
	plan    *topology.Feed
	engine  *Engine
	records atomic.Int64
	ended   atomic.Bool
	problem atomic.Pointer[string]
}

type feedRun struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func (s *session) startFeeds(live context.Context, partitions map[string][]int32) {
	for _, f := range s.w.engine.feeds {
		for _, n := range partitions[f.plan.Topic] {
			if n == 0 {
				ctx, cancel := context.WithCancel(live)
				run := &feedRun{cancel: cancel, done: make(chan struct{})}
				s.feeds[f.plan.Topic] = run
				s.w.lanes.Go(func() { defer close(run.done); f.run(ctx) })
			}
		}
	}
}

func (s *session) stopFeeds(partitions map[string][]int32) {
	for topic, ns := range partitions {
		for _, n := range ns {
			if run := s.feeds[topic]; run != nil && n == 0 {
				run.cancel()
				<-run.done
				delete(s.feeds, topic)
			}
		}
	}
}

// stopAllFeeds ends them before a drain: no new records come in by us.
func (s *session) stopAllFeeds() {
	for topic, run := range s.feeds {
		run.cancel()
		<-run.done
		delete(s.feeds, topic)
	}
}

// run feeds until ctx is done, the source ends, or it fails for good; other failures are retried.
func (f *feed) run(ctx context.Context) {
	for attempt := 1; ctx.Err() == nil; attempt++ {
		err := f.once(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, io.EOF):
			f.ended.Store(true)
			f.problem.Store(nil)
			return
		case component.ClassOf(err) == component.Never:
			f.engine.fail(fmt.Errorf("read spout %q: %w", f.plan.Name, err))
			return
		}
		text := err.Error()
		f.problem.Store(&text)
		f.engine.log.Warn("spout is retried", "spout", f.plan.Name, "err", err)
		sleep(ctx, backoff(f.engine.plan.Retry, attempt))
	}
}

// once opens the spout after the last durable position and feeds until something ends it.
func (f *feed) once(ctx context.Context) error {
	w, err := kafka.NewFeedWriter(ctx, kafka.FeedConfig{
		Config: f.engine.env.Kafka, ID: f.plan.Group, Group: f.plan.Group, Topic: f.plan.Topic,
	})
	if err != nil {
		return err
	}
	defer w.Close()
	position, err := w.Position(ctx)
	if err != nil {
		return err
	}
	spout, err := f.plan.Component.NewSpout(f.plan.Config, f.engine.env.component(f.engine.plan, f.plan.Name))
	if err != nil {
		return component.Permanent(err)
	}
	defer func() { _ = spout.Close() }() // it was only read from
	if err := spout.Open(ctx, position); err != nil {
		return err
	}
	f.problem.Store(nil)
	return f.pump(ctx, spout, w)
}

type read struct {
	batch component.Batch
	err   error
}

// pump gathers batches for at most a commit interval, so that a fast spout does not commit a thousand times a second
// and a slow one does not wait.
func (f *feed) pump(ctx context.Context, spout component.Spout, w *kafka.FeedWriter) error {
	ctx, cancel := context.WithCancel(ctx)
	reads, stopped := readAhead(ctx, spout)
	defer func() { cancel(); <-stopped }()
	g := gathering{feed: f, w: w}
	for {
		select {
		case r := <-reads:
			if err := g.take(ctx, r); err != nil {
				return err
			}
		case <-g.due:
			if err := g.commit(ctx); err != nil {
				return err
			}
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastCommit)
			defer cancel()
			return g.commit(last)
		}
	}
}

// readAhead reads the spout until an error or the end of ctx; stopped is closed when it does so no longer.
func readAhead(ctx context.Context, spout component.Spout) (reads chan read, stopped chan struct{}) {
	reads, stopped = make(chan read), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			b, err := spout.Next(ctx, feedBatch)
			select {
			case reads <- read{b, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return reads, stopped
}

// gathering is the batches since the last commit.
type gathering struct {
	feed     *feed
	w        *kafka.FeedWriter
	pending  int
	position []byte           // after the last of them
	due      <-chan time.Time // when they are committed; nil if there are none
}

// take writes a batch into the open transaction, and commits if that is large or the last.
func (g *gathering) take(ctx context.Context, r read) error {
	for _, rec := range r.batch.Records {
		g.w.Produce(ctx, feedRecord(g.feed.plan.Topic, rec))
	}
	if n := len(r.batch.Records); n > 0 || r.batch.Position != nil {
		g.position, g.pending = r.batch.Position, g.pending+n
	}
	if r.err != nil || g.pending >= 4*feedBatch {
		if err := g.commit(ctx); err != nil {
			return err
		}
	}
	if g.due == nil && g.pending > 0 {
		g.due = time.After(g.feed.engine.plan.Commit / 2)
	}
	return r.err
}

func (g *gathering) commit(ctx context.Context) error {
	if g.pending == 0 {
		return nil
	}
	if err := g.w.Commit(ctx, g.position); err != nil {
		return err
	}
	g.feed.records.Add(int64(g.pending))
	g.pending, g.due = 0, nil
	return nil
}

const (
	feedBatch  = 1000
	lastCommit = 3 * time.Second // how long a stop waits for what was read; the rest is read again at the next start
)

func feedRecord(topic string, r *record.Record) *kgo.Record {
	out := &kgo.Record{Topic: topic, Key: r.Key, Value: r.Value}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
	}
	stamp(out, r.Time)
	return out
}

// stamp gives a record on an internal topic its event time; one that says none happened now.
func stamp(out *kgo.Record, event time.Time) {
	now := time.Now()
	if event.IsZero() {
		event = now
	}
	kafka.SetTime(out, event, now)
}
