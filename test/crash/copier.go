package main

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/test/proof"
)

// copier reads a topic and writes another, with the offsets of its group in its transactions: exactly-once as a client
// of another maker does it.
type copier struct {
	cfg      kafka.Config
	group    string
	from, to string
	rounds   atomic.Int64 // transactions that were committed

	mu     sync.Mutex
	offset map[int32]int64 // what the broker said that the group has committed; GUARDED_BY(mu)
}

// run copies until ctx is done. An error ends a session, never the copier: the next session begins where the broker says.
func (c *copier) run(ctx context.Context) error {
	c.offset = map[int32]int64{}
	for ctx.Err() == nil {
		s, err := c.session()
		if err != nil {
			return err
		}
		c.copy(ctx, s)
		s.Close()
	}
	return nil
}

func (c *copier) session() (*kgo.GroupTransactSession, error) {
	s, err := kgo.NewGroupTransactSession(append(c.cfg.Options(), impatient(),
		kgo.TransactionalID("crash-copier"), kgo.TransactionTimeout(10*time.Second),
		kgo.ConsumerGroup(c.group), kgo.InstanceID("copier"), kgo.ConsumeTopics(c.from),
		kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(200*time.Millisecond),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(100*time.Millisecond),
	)...)
	if err != nil {
		return nil, fmt.Errorf("copy topic %q: %w", c.from, err)
	}
	return s, nil
}

// copy goes on until an error, or ctx is done.
func (c *copier) copy(ctx context.Context, s *kgo.GroupTransactSession) {
	// The transaction of the session before is ended before this one reads an offset.
	if _, _, err := s.Client().ProducerID(ctx); err != nil {
		return
	}
	for ctx.Err() == nil {
		if err := c.round(ctx, s); err != nil {
			return
		}
		proof.Sleep(ctx, 5*time.Millisecond)
	}
}

func (c *copier) round(ctx context.Context, s *kgo.GroupTransactSession) error {
	polling, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	records := s.PollRecords(polling, 200).Records()
	if len(records) == 0 {
		return nil
	}
	if err := s.Begin(); err != nil {
		return err
	}
	ending, cancelEnd := context.WithTimeout(context.WithoutCancel(ctx), stepLimit)
	defer cancelEnd()
	for _, r := range records {
		s.Produce(ending, &kgo.Record{Topic: c.to, Key: r.Key, Value: r.Value}, nil)
	}
	done, err := s.End(ending, kgo.TryCommit)
	if err == nil && done {
		c.rounds.Add(1)
		c.noteOffsets(records)
	}
	return err
}

func (c *copier) noteOffsets(records []*kgo.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range records {
		c.offset[r.Partition] = max(c.offset[r.Partition], r.Offset+1)
	}
}

// committed is what the broker said so far.
func (c *copier) committed() map[int32]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.offset)
}
