package kafka

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Offsets are next offsets to read, by topic and partition.
type Offsets map[string]map[int32]int64

// Metadata is what is kept with committed offsets, by topic and partition; at most MaxMetadata bytes each.
type Metadata map[string]map[int32]string

// MaxMetadata bounds the metadata of one offset, in bytes. Brokers refuse more than 4,096.
const MaxMetadata = 4000

// Commit is CommitWith without metadata.
func (t *Transactor) Commit(ctx context.Context, offsets Offsets, step func(string)) error {
	return t.CommitWith(ctx, offsets, nil, step)
}

// CommitWith makes everything produced since the last commit visible together with the offsets and their metadata, or
// nothing of it. An offset without metadata loses what the last commit stored with it. Step is called with the name of
// each step that was reached. ctx ends the wait for a broker that does not answer; what became of the transaction is
// then unknown and ErrAborted is returned, as for every failure.
func (t *Transactor) CommitWith(ctx context.Context, offsets Offsets, meta Metadata, step func(string)) error {
	if err := meta.check(); err != nil {
		return fmt.Errorf("%w: %w", err, ErrAborted)
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	step("before-flush")
	if err := t.cl.Flush(ctx); err != nil {
		return fmt.Errorf("flush: %w: %w", err, ErrAborted)
	}
	if err := t.Failed(); err != nil {
		return err
	}
	step("after-flush")
	if !t.cfg.Transactional || !t.inTxn {
		// Nothing was produced, so nothing has to be atomic with the offsets. (An empty transaction is no option:
		// the client would end it without telling the broker and leave the offsets pending.)
		if err := t.commitPlain(ctx, offsets, meta); err != nil {
			return err
		}
	} else if err := t.commitTransaction(ctx, offsets, meta, step); err != nil {
		return err
	}
	t.inTxn = false
	t.writes.commit()
	step("after-end")
	return nil
}

func (t *Transactor) commitTransaction(ctx context.Context, offsets Offsets, meta Metadata, step func(string)) error {
	if err := t.commitOffsets(ctx, offsets, meta); err != nil {
		return err
	}
	step("after-offsets")
	if err := t.cl.EndTransaction(ctx, kgo.TryCommit); err != nil {
		return fmt.Errorf("end transaction: %w: %w", err, classify(err))
	}
	return nil
}

// commitOffsets adds the offsets to the open transaction. The group's generation goes with them, so a member that lost
// its partitions is refused (KIP-447).
func (t *Transactor) commitOffsets(ctx context.Context, offsets Offsets, meta Metadata) error {
	id, epoch, err := t.cl.ProducerID(ctx)
	if err != nil {
		return fmt.Errorf("commit offsets: %w: %w", err, ErrAborted)
	}
	member, generation := t.cl.GroupMetadata()
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.Group = t.cfg.ID, t.cfg.Group
	req.ProducerID, req.ProducerEpoch = id, epoch
	if !t.cfg.Unfenced {
		req.MemberID, req.Generation, req.InstanceID = member, generation, &t.cfg.ID
	}
	for topic, partitions := range offsets {
		rt := kmsg.NewTxnOffsetCommitRequestTopic()
		rt.Topic = topic
		for p, at := range partitions {
			rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
			rp.Partition, rp.Offset, rp.Metadata = p, at, meta.of(topic, p)
			rt.Partitions = append(rt.Partitions, rp)
		}
		req.Topics = append(req.Topics, rt)
	}
	resp, err := req.RequestWith(ctx, t.cl)
	if err != nil {
		return fmt.Errorf("commit offsets: %w: %w", err, ErrAborted)
	}
	for _, rt := range resp.Topics {
		for _, rp := range rt.Partitions {
			if err := kerr.ErrorForCode(rp.ErrorCode); err != nil {
				return refusedOffset(rt.Topic, rp.Partition, err)
			}
		}
	}
	return nil
}

// commitPlain commits offsets outside of a transaction, as the group's member of now.
func (t *Transactor) commitPlain(ctx context.Context, offsets Offsets, meta Metadata) error {
	if len(offsets) == 0 {
		return nil
	}
	commit := make(map[string]map[int32]kgo.EpochOffset, len(offsets))
	for topic, partitions := range offsets {
		commit[topic] = make(map[int32]kgo.EpochOffset, len(partitions))
		for p, at := range partitions {
			commit[topic][p] = kgo.EpochOffset{Epoch: -1, Offset: at}
		}
	}
	ctx = kgo.PreCommitFnContext(ctx, func(req *kmsg.OffsetCommitRequest) error {
		meta.add(req)
		return nil
	})
	var failed error
	t.cl.CommitOffsetsSync(ctx, commit, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		if err != nil {
			failed = fmt.Errorf("commit offsets: %w: %w", err, ErrAborted)
			return
		}
		for _, rt := range resp.Topics {
			for _, rp := range rt.Partitions {
				if err := kerr.ErrorForCode(rp.ErrorCode); err != nil && failed == nil {
					failed = refusedOffset(rt.Topic, rp.Partition, err)
				}
			}
		}
	})
	return failed
}

func refusedOffset(topic string, partition int32, err error) error {
	return fmt.Errorf("commit offset of topic %q partition %d: %w: %w", topic, partition, err, classify(err))
}

// Abort ends the open transaction without effect, as far as the broker can be reached.
func (t *Transactor) Abort(ctx context.Context) {
	if t.cfg.Transactional && t.inTxn {
		_ = t.cl.AbortBufferedRecords(ctx)
		_ = t.cl.EndTransaction(ctx, kgo.TryAbort) // unanswered: the successor's takeover or the timeout ends it
		t.inTxn = false
	}
}

// of returns what to send: null for none, since an empty string would be something.
func (m Metadata) of(topic string, partition int32) *string {
	if s, ok := m[topic][partition]; ok {
		return &s
	}
	return nil
}

func (m Metadata) add(req *kmsg.OffsetCommitRequest) {
	for i := range req.Topics {
		t := &req.Topics[i]
		for j := range t.Partitions {
			t.Partitions[j].Metadata = m.of(t.Topic, t.Partitions[j].Partition)
		}
	}
}

func (m Metadata) check() error {
	for topic, partitions := range m {
		for p, s := range partitions {
			if len(s) > MaxMetadata {
				return fmt.Errorf("commit offset of topic %q partition %d: its metadata has %d bytes, %d are allowed", topic, p, len(s), MaxMetadata)
			}
		}
	}
	return nil
}
