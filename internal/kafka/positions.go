package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// positions are what the group had committed when partitions were assigned.
//
// They are read before the owner is told of its partitions, because it restores by them, and the client's own reading
// of the same offsets comes after that. Where the two differ ours count: a task must begin where its stores stand.
type positions struct {
	mu sync.Mutex
	at map[TopicPartition]Committed // Offset -1 is none; GUARDED_BY(mu)
}

func (p *positions) set(tp TopicPartition, c Committed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at == nil {
		p.at = make(map[TopicPartition]Committed)
	}
	p.at[tp] = c
}

func (p *positions) get(tp TopicPartition) (Committed, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.at[tp]
	return c, ok
}

// Committed returns the offset the group had committed for a partition when it was assigned, -1 for none.
func (t *Transactor) Committed(topic string, partition int32) int64 {
	if c, ok := t.positions.get(TopicPartition{topic, partition}); ok {
		return c.Offset
	}
	return -1
}

// CommittedMeta returns the metadata the group had committed for a partition when it was assigned, "" for none.
func (t *Transactor) CommittedMeta(topic string, partition int32) string {
	c, _ := t.positions.get(TopicPartition{topic, partition})
	return c.Metadata
}

// readPositions asks what the group has committed for partitions, and waits while a transaction is about to change it.
func (t *Transactor) readPositions(ctx context.Context, partitions map[string][]int32) error {
	for {
		err := t.askPositions(ctx, partitions)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, kerr.UnstableOffsetCommit):
			return fmt.Errorf("read offsets of group %q: %w", t.cfg.Group, err)
		}
		if err := pause(ctx, retryPause); err != nil {
			return fmt.Errorf("read offsets of group %q: a transaction is open: %w", t.cfg.Group, err)
		}
	}
}

func (t *Transactor) askPositions(ctx context.Context, partitions map[string][]int32) error {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.RequireStable = true
	group := kmsg.NewOffsetFetchRequestGroup()
	group.Group = t.cfg.Group
	for topic, ps := range partitions {
		rt := kmsg.NewOffsetFetchRequestGroupTopic()
		rt.Topic, rt.Partitions = topic, ps
		group.Topics = append(group.Topics, rt)
	}
	req.Groups = append(req.Groups, group)
	resp, err := req.RequestWith(ctx, t.cl)
	if err != nil {
		return err
	}
	for _, g := range resp.Groups {
		if err := kerr.ErrorForCode(g.ErrorCode); err != nil {
			return err
		}
		for _, rt := range g.Topics {
			if err := t.takePositions(rt); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *Transactor) takePositions(rt kmsg.OffsetFetchResponseGroupTopic) error {
	for _, rp := range rt.Partitions {
		if err := kerr.ErrorForCode(rp.ErrorCode); err != nil {
			return fmt.Errorf("topic %q partition %d: %w", rt.Topic, rp.Partition, err)
		}
		t.positions.set(TopicPartition{rt.Topic, rp.Partition}, Committed{Offset: max(rp.Offset, -1), Metadata: deref(rp.Metadata)})
	}
	return nil
}

// beginAt says where the client begins to read: where readPositions found the group, unless Begin or Latest say
// otherwise. It refuses to let reading begin after a failed assignment.
func (t *Transactor) beginAt(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	if err := t.assigned.Load(); err != nil {
		return nil, *err
	}
	for topic, partitions := range offsets {
		for p, read := range partitions {
			begin, err := t.beginPartition(ctx, TopicPartition{topic, p}, read)
			if err != nil {
				t.fail(&t.assigned, err)
				return nil, err
			}
			partitions[p] = begin
		}
	}
	return offsets, nil
}

// beginPartition is given what the client has read itself.
func (t *Transactor) beginPartition(ctx context.Context, tp TopicPartition, read kgo.Offset) (kgo.Offset, error) {
	if t.cfg.Begin != nil {
		offset, ok, err := t.cfg.Begin(ctx, tp.Topic, tp.Partition)
		if err != nil {
			return read, err
		}
		if ok {
			t.positions.set(tp, Committed{Offset: offset})
			return kgo.NewOffset().At(offset), nil
		}
	}
	at, _ := t.positions.get(tp)
	switch {
	case at.Offset >= 0 && at.Offset == read.EpochOffset().Offset:
		return read, nil // with the leader's epoch, by which the client notices a log that was cut
	case at.Offset >= 0:
		return kgo.NewOffset().At(at.Offset), nil
	case t.cfg.Latest[tp.Topic]:
		return kgo.NewOffset().AtEnd(), nil
	default:
		return kgo.NewOffset().AtStart(), nil
	}
}
