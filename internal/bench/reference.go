package bench

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// referenceLoop is what a good engineer writes with franz-go and nothing else: read, write, commit both in one
// transaction per interval. It has the settings of our own clients: no linger, the partitioner of keys, read_committed,
// the same buffers and fetch sizes.
func (c *cluster) referenceLoop(ctx context.Context, in, out string, records int64) (course, error) {
	name := unique("reference")
	session, err := kgo.NewGroupTransactSession(append(c.cfg.Options(),
		kgo.TransactionalID(name),
		kgo.ConsumerGroup(name),
		kgo.ConsumeTopics(in),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.FetchMaxWait(500*time.Millisecond),
		kgo.MaxBufferedRecords(50_000),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
	)...)
	if err != nil {
		return nil, fmt.Errorf("run reference loop: %w", err)
	}
	defer session.Close()
	var way course
	way.reach(0)
	for done := int64(0); done < records; {
		n, err := oneTransaction(ctx, session, out, records-done)
		if err != nil {
			return nil, fmt.Errorf("run reference loop: %w", err)
		}
		done += n
		way.reach(done)
	}
	return way, nil
}

// oneTransaction reads and writes for one commit interval, or until everything is read, and commits.
func oneTransaction(ctx context.Context, session *kgo.GroupTransactSession, out string, left int64) (n int64, err error) {
	if err := session.Begin(); err != nil {
		return 0, err
	}
	var failed atomic.Pointer[error]
	promise := func(_ *kgo.Record, err error) {
		if err != nil {
			failed.CompareAndSwap(nil, &err)
		}
	}
	interval, cancel := context.WithTimeout(ctx, Commit)
	defer cancel()
	for interval.Err() == nil && n < left {
		fetches := session.PollRecords(interval, 8192)
		if err := fetches.Err0(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return 0, err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			n++
			session.Produce(ctx, &kgo.Record{Topic: out, Key: r.Key, Value: r.Value, Headers: r.Headers, Timestamp: r.Timestamp}, promise)
		})
	}
	committed, err := session.End(ctx, kgo.TryCommit)
	if lost := failed.Load(); lost != nil {
		err = errors.Join(err, *lost)
	}
	if err == nil && !committed && n > 0 {
		err = errors.New("end transaction: not committed")
	}
	return n, err
}
